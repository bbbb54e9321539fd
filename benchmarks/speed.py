"""How long the main steps take, against a stated reference in the same run, on one thread.

    python benchmarks/speed.py      # writes benchmarks/results/speed.csv

Scoring: all modules of one MNIST-1D stage (55,296 of three layers), inside one context and alone, beside the same
modules assembled and run as batches (timed on 2,000 of them). Construction: see 80_construction.
"""
import itertools, platform, time
from pathlib import Path

import numpy as np, pandas as pd, torch

from autobuild import Architecture, AutoBuild, load_dataset
from autobuild.construction import best_products, best_within
from autobuild.importance import Modules, _assembled, module_scores

def timed(f):
    "(seconds, result)"
    start = time.perf_counter()
    out = f()
    return time.perf_counter()-start, out

def main():
    torch.set_num_threads(1)
    rows, data = [], load_dataset('mnist1d')
    train, _ = data.sample(100, 0)
    seconds, ab = timed(lambda: AutoBuild(ensemble=5, seed=0).fit(train, progress=False))
    one, _ = timed(lambda: AutoBuild(ensemble=1, seed=0).fit(train, progress=False))
    rows.append(dict(what='fit, 100 labels, ensemble of 5', seconds=seconds, reference='ensemble of 1', reference_seconds=one, ratio=seconds/one))
    modules, context = Modules(data.space.stages[1]), ab.contexts[0]
    some = np.random.default_rng(0).integers(0, len(modules), 2000)
    def assembled():
        nets = [Architecture([*context.stages[:1], modules.config(i), *context.stages[2:]]) for i in some]
        with torch.no_grad(): return _assembled(ab.net, ab.shift, ab.encoder, nets, 'context')
    slow, _ = timed(assembled)
    slow *= len(modules)/len(some)
    for readout in ('context', 'last'):
        fast, _ = timed(lambda: module_scores(ab.net, ab.shift, ab.encoder, 2, [context], readout))
        rows.append(dict(what=f'score {len(modules):,} modules, {readout}, one context, ensemble of 5', seconds=fast, reference='assembled and run in batches', reference_seconds=slow, ratio=slow/fast))
    rng = np.random.default_rng(0)
    stages = [rng.normal(size=7371) for _ in range(5)]
    costs = [rng.gamma(2, size=7371) for _ in range(5)]
    budget = np.quantile(sum(rng.choice(c, 100_000) for c in costs), .01)
    rows.append(dict(what='best 10,000 of 7,371^5', seconds=timed(lambda: list(itertools.islice(best_products(stages), 10_000)))[0]))
    rows.append(dict(what='best 1,000 of 7,371^5 under a budget that 1 % keep', seconds=timed(lambda: list(itertools.islice(best_within(stages, costs, budget), 1000)))[0]))
    table = pd.DataFrame(rows).round(3).assign(torch=torch.__version__, python=platform.python_version())
    table.to_csv(Path(__file__).parent/'results/speed.csv', index=False)
    print(table.to_string(index=False))

if __name__=='__main__': main()

"""How long the main steps take on one thread, in seconds of that core, against a stated reference in the same run.

    python benchmarks/speed.py            # everything, adds to benchmarks/results/speed.csv row by row
    python benchmarks/speed.py score      # one part: fit, ensemble, score, construct, labels, modules
    python benchmarks/speed.py --table other.csv    # to another table, as to compare two checkouts by their ratios

The reference for fits and scores is `reference.py`: the paper's method as a PyTorch Geometric loop with the authors'
settings. OFA-PN's labels are SURROGATES; times do not depend on where labels come from. Every part runs in a process
of its own, whose peak memory is noted.
"""
import argparse, itertools, multiprocessing, platform, resource, sys, time, warnings
from pathlib import Path

import numpy as np, pandas as pd, torch
from scipy.stats import spearmanr

from autobuild import AutoBuild, LabelledData, Space, load_dataset
from autobuild.construction import best_products, best_within
from autobuild.encoding import Encoder
from autobuild.importance import score_parts

table = Path(__file__).parent/'results/speed.csv'

def timed(work):
    "(seconds, result)"
    start = time.process_time()
    out = work()
    return time.process_time()-start, out

def fastest(work, times=2):
    "The least seconds of some runs"
    return min(timed(work)[0] for _ in range(times))

def memory():
    "The most that this process has held, in MB"
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024

def note(what, seconds, reference='', reference_seconds=np.nan, wanted='', **more):
    "Write one row; ratio is reference / ours"
    row = dict(what=what, seconds=round(seconds, 3), reference=reference,
               reference_seconds=round(reference_seconds, 3), ratio=round(reference_seconds/seconds, 2), wanted=wanted,
               peak_memory_mb=memory(), torch=torch.__version__, python=platform.python_version(), **more)
    known = pd.read_csv(table) if table.exists() else pd.DataFrame(columns=['what'])
    rows = known[known.what!=what].to_dict('records')+[row]
    pd.DataFrame(rows).to_csv(table, index=False)
    print(row, flush=True)

def warm():
    "Load what the first fit of a process loads"
    data = load_dataset('nas_bench_macro')
    AutoBuild(ensemble=1, steps=2, warmup=1).fit(data[:12], progress=False)

def fit():
    "Time to quality on 2,700 labels: one network until it ranks held-out networks as well as the reference at its end"
    import reference
    warm()
    data = load_dataset('ofa_pn_surrogate')
    train, rest = data.sample(2700, 0)
    labels, encoder = train.target('accuracy'), Encoder(data.space)
    def correlation(predicted): return spearmanr(predicted, rest.target('accuracy'))[0]
    slow, net = timed(lambda: reference.train_reference(encoder, reference.graphs(train, encoder), labels))
    wanted = correlation(reference.reference_predict(net, reference.graphs(rest, encoder)))
    for steps in (25, 50, 100, 200, 400, 800, 1600):
        fast, ab = timed(lambda: AutoBuild(ensemble=1, steps=steps).fit(train, progress=False))
        found = correlation(ab.predict(rest))
        if found>=wanted: break
    rival = f'PyG loop, 200 epochs, {wanted:.3f}'
    what = f'fit one network on 2,700 labels to a held-out Spearman of {found:.3f}, {steps} steps'
    note(what, fast, rival, slow, '10 times faster')
    fast, ab = timed(lambda: AutoBuild().fit(train, progress=False))
    note(f'fit with the defaults on 2,700 labels, Spearman {correlation(ab.predict(rest)):.3f}', fast, rival, slow)

def ensemble():
    "An ensemble trained side by side, and the default fit on 100 labels"
    warm()
    train, _ = load_dataset('ofa_pn_surrogate').sample(300, 0)
    one = fastest(lambda: AutoBuild(ensemble=1, steps=300).fit(train, progress=False))
    for members in (5, 10):
        seconds = fastest(lambda: AutoBuild(ensemble=members, steps=300).fit(train, progress=False))
        note(f'fit an ensemble of {members} on 300 labels', seconds, 'one network', one,
             'an ensemble of 5 costs at most 3.5 times one', times_one=round(seconds/one, 2))
    for name in ('nas_bench_macro', 'ofa_pn_surrogate', 'mnist1d', 'nas_bench_graph:cs'):
        train, _ = load_dataset(name).sample(100, 0)
        seconds = fastest(lambda: AutoBuild().fit(train, progress=False))
        note(f'fit with the defaults on 100 labels of {name}', seconds, wanted='8 s')

def ofa_space(name):
    "The space of OFA-MBv3 or OFA-PN; PN's last stage of one layer is merged with the one before, as in the paper"
    layer, last = dict(expansion=[3,4,6], kernel=[3,5,7]), [3,4,5] if name=='pn' else [2,3,4]
    stages = [dict(layers=layers, layer=layer) for layers in [[2,3,4]]*4+[last]]
    return Space(f'ofa_{name}', stages, dict(resolution=[192, 208, 224]))

def labelled(space, n=300, seed=0):
    "Random networks with a made-up label, for spaces whose times are measured without labels at hand"
    archs = space.sample(n, seed)
    depth = np.array([len(arch.rows) for arch in archs])
    return LabelledData(space, archs, pd.DataFrame(dict(accuracy=depth+np.random.default_rng(seed).normal(size=n))))

def one_at_a_time(data, n=400):
    "Seconds for one module by the reference: alone, from its last node, run by itself"
    import reference
    encoder, labels, space = Encoder(data.space), data.target('accuracy'), data.space
    net = reference.train_reference(encoder, reference.graphs(data, encoder), labels, epochs=1)
    shift, rng = reference.reference_shift(net, encoder, data.archs, labels), np.random.default_rng(0)
    some = []
    for stage in rng.integers(0, len(space.stages), n):
        modules = space.modules[stage]
        config = modules.config(int(rng.integers(len(modules))))
        some.append(reference.alone(stage+1, config, **data.archs[0].network))
    score = reference.reference_module_score_one_at_a_time
    return timed(lambda: [score(net, encoder, shift, module) for module in some])[0]/n

def score():
    "Every module of OFA-MBv3 and OFA-PN: the paper's read-out by one network, and the default read-out"
    for name,wanted in (('mbv3', 300), ('pn', 150)):
        data = labelled(ofa_space(name))
        one, count, stages = one_at_a_time(data), sum(map(len, data.space.modules)), range(1, 6)
        ab = AutoBuild(ensemble=1, width=32, steps=20).fit(data, progress=False)
        ab.module_scores(1, 'last')
        ab._scores.clear()
        fast, _ = timed(lambda: [ab.module_scores(stage, 'last') for stage in stages])
        what = f"score all {count:,} modules of OFA-{name}, the paper's read-out, one network of width 32"
        note(what, fast, 'one at a time, PyG (400 timed)', one*count, f'{wanted} times faster')
        for members,width in ((5, 32), (10, 16)):
            ab = AutoBuild(ensemble=members, width=width, steps=20).fit(data, progress=False)
            slowest = max(timed(lambda: ab.modules(stage=stage, top=10))[0] for stage in stages)
            note(f'top 10 modules of a stage of OFA-{name}, default read-out, {members} networks of width {width}, '
                 'slowest stage', slowest, wanted='5 s')

def products():
    "The best products of stages, with and without a budget"
    rng = np.random.default_rng(0)
    stages, costs = [rng.normal(size=7371) for _ in range(5)], [rng.gamma(2, size=7371) for _ in range(5)]
    budget, before = np.quantile(sum(rng.choice(cost, 100_000) for cost in costs), .01), memory()
    seconds, _ = timed(lambda: list(itertools.islice(best_products(stages), 10_000)))
    note('best 10,000 of 7,371^5 networks', seconds, wanted='1 s, 200 MB', more_memory_mb=memory()-before)
    seconds, _ = timed(lambda: list(itertools.islice(best_within(stages, costs, budget), 1000)))
    note('best 1,000 of 7,371^5 under a budget that 1 % keep', seconds, wanted='5 s')

def construct():
    "The best products of stages, and networks of OFA-PN: without a condition, with one, and a front"
    products()
    train, _ = load_dataset('ofa_pn_surrogate').sample(300, 0)
    ab = AutoBuild().fit(train, progress=False)
    seconds, _ = timed(lambda: ab.construct(10, progress=False))
    note('construct 10 networks of OFA-PN, modules scored on the way', seconds)
    where = f'latency_gpu < {train.table.latency_gpu.median()}'
    ab.construct(1, where=where, progress=False) # Fits the second predictor and scores its modules
    seconds, _ = timed(lambda: ab.construct(10, where=where, progress=False))
    note('construct 10 networks of OFA-PN under the median of a labelled column, its predictor fitted before', seconds)
    ab = AutoBuild().fit(train, progress=False)
    ab.construct(1, progress=False) # Scores the modules
    seconds, front = timed(lambda: ab.construct_front(['accuracy', '-latency_gpu'], progress=False))
    note(f'construct_front for accuracy and GPU latency, {len(front)} networks, the second predictor fitted on the way',
         seconds)

def labels():
    "How the cost of a fit grows with labels, its steps with the root of their number"
    warm()
    space = ofa_space('mbv3')
    for n in (100, 1000, 10_000, 100_000):
        data = labelled(space, n)
        steps = round(300*max(1, n/128)**.5)
        seconds, _ = timed(lambda: AutoBuild(ensemble=1, steps=steps).fit(data, progress=False))
        note(f'fit one network on {n:,} labels', seconds, labels=n)

def modules():
    "How the cost of the best modules grows with the modules of a stage"
    for choices,layers in ((10, 3), (10, 4), (10, 5), (10, 6), (10, 7)):
        stage = dict(layers=[layers], layer=dict(op=list(range(choices))))
        data = labelled(Space('long', [stage]*2), 50)
        ab = AutoBuild(ensemble=1, contexts=1, steps=5).fit(data, progress=False)
        seconds, _ = timed(lambda: [part.shape for part in score_parts(ab.predictor, 1, ab.contexts)])
        what = f'score {choices**layers:,} modules of {layers} layers, streamed, one network, one context'
        note(what, seconds, modules=choices**layers)

parts = dict(fit=fit, ensemble=ensemble, score=score, construct=construct, labels=labels, modules=modules)

def run(part, path):
    global table
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    table = path
    parts[part]()

def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument('parts', nargs='*', choices=[*parts, []])
    ask.add_argument('--table', type=Path, default=table)
    asked = ask.parse_args()
    for part in asked.parts or parts:
        job = multiprocessing.get_context('spawn').Process(target=run, args=(part, asked.table))
        job.start()
        job.join()
        if job.exitcode: sys.exit(f'{part} failed')

if __name__=='__main__': main()

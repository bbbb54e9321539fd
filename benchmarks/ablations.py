"""What carries the recipe: the default with one thing changed at a time, scored as in label_efficiency.py.

    python benchmarks/ablations.py      # adds to benchmarks/results/ablations.csv, resumable

The draws are not those of label_efficiency.py: repeats count from 1,000.
"""
import itertools, time, warnings
from pathlib import Path

import joblib, numpy as np, pandas as pd, torch
from scipy.stats import spearmanr
from tqdm.auto import tqdm

import autobuild.ranking
from label_efficiency import loaded, ours, row

table = Path(__file__).parent/'results/ablations.csv'
tasks = ['nas_bench_macro', 'accel_nasbench', 'nas_bench_graph:cs', 'nas_bench_graph:arxiv']
variants = {
    'default': {}, 'no ranking loss, y\' alone': dict(rank_weight=0, readout='regressor'), 'labels not ranked': {}, 'no warm-up': dict(warmup=0),
    'no linear part': dict(linear=0), 'linear part takes half': dict(linear=.5),
    'read-out: norms in context': dict(readout='context'), 'read-out: regressor in context': dict(readout='regressor'),
    '1 network': dict(ensemble=1), '5 networks': dict(ensemble=5), '5 networks of width 32': dict(ensemble=5, width=32), '20 networks': dict(ensemble=20),
    '2 hops': dict(hops=2), '6 hops': dict(hops=6), '150 steps': dict(steps=150), '600 steps': dict(steps=600),
}

def not_ranked(values, axis):
    "Stands in for ranks: the labels as they are, as in the released code"
    return values

def cell(name, n, repeat, variant):
    "One variant on one draw"
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    task = loaded(name)
    draw = np.random.default_rng([repeat, n]).permutation(len(task.seen))
    rows, rest = draw[:n], np.sort(draw[n:])
    ranks, start = autobuild.ranking.rankdata, time.perf_counter()
    if variant=='labels not ranked': autobuild.ranking.rankdata = not_ranked
    try: order, scores = ours(task, rows, repeat, **variants[variant])['AutoBuild']
    finally: autobuild.ranking.rankdata = ranks
    evaluated = np.concatenate([rows, rest[np.argsort(-order[rest], kind='stable')[:10]]])
    return dict(task=name, N=n, repeat=repeat, variant=variant, **row(task, evaluated, spearmanr(scores[rest], task.judged[rest])[0], time.perf_counter()-start))

def main(repeats=5, labels=(50,), jobs=2):
    done = set(pd.read_csv(table)[['task', 'N', 'repeat', 'variant']].itertuples(index=False, name=None)) if table.exists() else set()
    todo = [o for o in ((t, n, 1000+r, v) for r,n,t,v in itertools.product(range(repeats), labels, tasks, variants)) if o not in done]
    for found in tqdm(joblib.Parallel(jobs, return_as='generator_unordered')(joblib.delayed(cell)(*o) for o in todo), total=len(todo)):
        pd.DataFrame([found]).round(6).to_csv(table, mode='a', header=not table.exists(), index=False)

if __name__=='__main__': main()

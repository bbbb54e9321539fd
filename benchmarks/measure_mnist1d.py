"""Measure random MNIST-1D networks by training them: resumable, append-only, then one table.

    python benchmarks/measure_mnist1d.py run       # train; stop it and start it again at will
    python benchmarks/measure_mnist1d.py latency   # time them, on an idle machine
    python benchmarks/measure_mnist1d.py table     # write autobuild/measured/mnist1d.csv
"""
import os, platform, sys
from pathlib import Path

import joblib, pandas as pd, torch
from tqdm import tqdm

from autobuild.data import Quantity
from autobuild.mnist1d import curves, end_params, latency, macs, node_params, space, train
from logs import append, read

networks, reseeded, seed = 600, 100, 2026
here = Path(__file__).parent
log, timed, table = here/'results/mnist1d_runs.jsonl', here/'results/mnist1d_latency.jsonl', here.parent/'autobuild/measured/mnist1d.csv'

def measure(arch, s):
    return dict(architecture=str(arch), seed=s, accuracy=train(arch, s))

def run():
    "Train what is not measured yet: every network once, then the first ones with two more seeds"
    archs = space.sample(networks, seed)
    todo = [(a, 0) for a in archs] + [(a, s) for a in archs[:reseeded] for s in (1, 2)]
    done = {(r['architecture'], r['seed']) for r in read(log)}
    todo = [o for o in todo if (str(o[0]), o[1]) not in done]
    curves()
    jobs = joblib.Parallel(n_jobs=os.cpu_count(), return_as='generator_unordered')(joblib.delayed(measure)(*o) for o in todo)
    for r in tqdm(jobs, total=len(todo)): append(log, **r)

def time_all():
    "Latency of every measured network, one after the other"
    done = {r['architecture'] for r in read(timed)}
    for a in tqdm([a for a in space.sample(networks, seed) if str(a) not in done]):
        median, spread = latency(a)
        append(timed, architecture=str(a), latency_ms=round(median, 4), latency_spread_ms=round(spread, 4))

def write_table():
    "One row a network"
    runs = pd.DataFrame(read(log)).pivot(index='architecture', columns='seed', values='accuracy')
    runs.columns = ['accuracy', 'accuracy_seed1', 'accuracy_seed2']
    times = pd.DataFrame(read(timed), columns=['architecture', 'latency_ms', 'latency_spread_ms']).set_index('architecture')
    order = [a for a in space.sample(networks, seed) if str(a) in runs.index]
    out = runs.loc[map(str, order)].round(4).assign(params=Quantity(node_params, end_params)(order).astype(int), macs=[macs(a) for a in order]).join(times)
    table.parent.mkdir(exist_ok=True)
    out.to_csv(table)
    print(f'{len(out)} networks, {out.accuracy_seed2.notna().sum()} of them with 3 seeds -> {table.name}; torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}')

if __name__=='__main__': dict(run=run, latency=time_all, table=write_table)[sys.argv[1]]()

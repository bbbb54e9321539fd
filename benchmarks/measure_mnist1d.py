"""Measure random MNIST-1D networks by training them: resumable, append-only, then one table.

    python benchmarks/measure_mnist1d.py run       # train; stop it and start it again at will
    python benchmarks/measure_mnist1d.py latency   # time them, on an idle machine
    python benchmarks/measure_mnist1d.py table     # write autobuild/measured/mnist1d.csv
"""
import multiprocessing, os, platform, sys, threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import pandas as pd, torch
from tqdm import tqdm

from autobuild.datasets import dataset_registry, mnist1d_space as space
from autobuild.examples.mnist1d import curves, latency, macs, train
from logs import append, read

networks, reseeded, seed = 600, 100, 2026
here = Path(__file__).parent
log, timed = here/'results/mnist1d_runs.jsonl', here/'results/mnist1d_latency.jsonl'
table = here.parent/'autobuild/measured/mnist1d.csv'

def measure(arch, seed):
    "Train one network once; the record of it"
    return dict(architecture=str(arch), seed=seed, accuracy=train(arch, seed))

def end_with_parent():
    "In a worker: end when the process that started it has ended, however it ended"
    def watch():
        multiprocessing.parent_process().join()
        os._exit(1)
    threading.Thread(target=watch, daemon=True).start()

def run_all(work, todo, workers=None):
    "Results of `work` on every tuple of arguments, as they are ready; workers never outlive this process"
    spawn = multiprocessing.get_context('spawn') # forked workers would hold the pipes open that others watch
    pool = ProcessPoolExecutor(workers or os.cpu_count(), spawn, end_with_parent)
    try:
        for future in as_completed([pool.submit(work, *arguments) for arguments in todo]): yield future.result()
    finally: pool.shutdown(cancel_futures=True)

def run():
    "Train what is not measured yet: every network once, then the first ones with two more seeds"
    archs = space.sample(networks, seed)
    todo = [(arch, 0) for arch in archs] + [(arch, other) for arch in archs[:reseeded] for other in (1, 2)]
    done = {(record['architecture'], record['seed']) for record in read(log)}
    todo = [(arch, seed) for arch,seed in todo if (str(arch), seed) not in done]
    curves()
    for record in tqdm(run_all(measure, todo), total=len(todo), disable=None): append(log, **record)

def time_all():
    "Latency of every measured network, one after the other"
    done = {record['architecture'] for record in read(timed)}
    for arch in tqdm([arch for arch in space.sample(networks, seed) if str(arch) not in done], disable=None):
        median, spread = latency(arch)
        append(timed, architecture=str(arch), latency_ms=round(median, 4), latency_spread_ms=round(spread, 4))

def write_table():
    "One row per network"
    runs = pd.DataFrame(read(log)).pivot(index='architecture', columns='seed', values='accuracy')
    runs.columns = ['accuracy', 'accuracy_seed1', 'accuracy_seed2']
    columns = ['architecture', 'latency_ms', 'latency_spread_ms']
    times = pd.DataFrame(read(timed), columns=columns).set_index('architecture')
    order = [arch for arch in space.sample(networks, seed) if str(arch) in runs.index]
    params = dataset_registry['mnist1d'].quantities['params'](order).astype(int)
    out = runs.loc[map(str, order)].round(4).assign(params=params, macs=[macs(arch) for arch in order]).join(times)
    table.parent.mkdir(exist_ok=True)
    out.to_csv(table)
    print(f'{len(out)} networks, {out.accuracy_seed2.notna().sum()} of them with 3 seeds -> {table.name}; '
          f'torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}')

if __name__=='__main__': dict(run=run, latency=time_all, table=write_table)[sys.argv[1]]()

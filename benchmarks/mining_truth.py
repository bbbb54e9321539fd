"""Do the scores of mined modules tell the truth? 100 labels of NAS-Bench-Graph cs, checked against all its cells.

    python benchmarks/mining_truth.py      # adds to benchmarks/results/mining_truth.csv, resumable

A module's true value is the mean accuracy of all cells that contain it. A default ensemble learns from 100 cells and
mines 2,000 without their labels. A row per draw (cells, initial parameters, folds) and hop: Spearman with the true
value, of all mined modules and of those that a labelled cell has, for which `free`, the mean label of the labelled
cells that have it, is a rival.
"""
import argparse, warnings
from pathlib import Path

import numpy as np, torch
from scipy.stats import spearmanr

from autobuild import AutoBuild, load_dataset
from autobuild.mining import find_modules
from logs import append_table, done

table, hops = Path(__file__).parent/'results/mining_truth.csv', (1, 2, 3)

def value(archs, labels, hop):
    "Mean label of the networks that contain a module: by the module's name"
    found = find_modules(archs, hop).drop_duplicates(['module', 'network'])
    return found.assign(y=labels[found.network]).groupby('module').y.mean()

def one_draw(data, truths, seed):
    "Rows of all hops"
    order = np.random.default_rng(seed).permutation(len(data))
    train, pool = data[order[:100]], data[order[:2000]].archs
    ab, rows = AutoBuild('accuracy', seed=seed).fit(train, progress=False), []
    for hop,truth in truths.items():
        mined = ab.mine(pool, hop)
        mined = mined.assign(truth=truth, free=value(train.archs, train.target('accuracy'), hop))
        known, row = mined.dropna(subset='free'), dict(draw=seed, hop=hop, modules=len(mined))
        row |= {name: spearmanr(mined[name], mined.truth)[0] for name in ('score', 'norm')}
        row |= dict(known=len(known))
        row |= {f'{name}, known': spearmanr(known[name], known.truth)[0] for name in ('score', 'norm', 'free')}
        rows.append(row)
    return rows

def main():
    ask = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ask.add_argument('--repeats', type=int, default=4)
    asked = ask.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    todo = [seed for seed in range(asked.repeats) if (seed,) not in done(table, 'draw')]
    if not todo: return
    data = load_dataset('nas_bench_graph:cs')
    truths = {hop: value(data.archs, data.target('accuracy'), hop) for hop in hops}
    for seed in todo: append_table(table, one_draw(data, truths, seed), digits=4)

if __name__=='__main__': main()

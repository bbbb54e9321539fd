"""Do changed nodes cost what a score says? Every read-out of nodes against measured drops, on NAS-Bench-Macro.

    python benchmarks/fidelity.py               # five seeds, 300 networks each: adds to benchmarks/results/fidelity.csv
    python benchmarks/fidelity.py 60            # 60 networks of each seed; rows that are there already are skipped

A default ensemble learns from 100 measured labels; networks that it was not trained on are explained, and a table of
measured accuracies says what becomes of them when one node is changed. Labels are real, means of three trainings.
"""
import sys, warnings
from pathlib import Path

import numpy as np, pandas as pd
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV

from autobuild.datasets import DatasetError, load_dataset
from autobuild.estimator import AutoBuild, AutoBuildWarning
from autobuild.fidelity import fidelity, measured_drops, swap_scores
from logs import append_table, done

here = Path(__file__).resolve().parent
results, labels = here/'results/fidelity.csv', here.parents[1]/'shared/data'
seeds, n_labels = range(5), 100

def macro():
    "NAS-Bench-Macro with its measured accuracies, or None with a word why"
    for root in (labels, None):
        try: return load_dataset('nas_bench_macro', root=root)
        except DatasetError as e: reason = e
    print(f'nothing to measure: {reason}')

def one_hot(archs):
    "(networks, layers x operations) ones and zeros"
    ops = pd.DataFrame([[row['op'] for row in arch.rows] for arch in archs])
    return np.concatenate([ops==op for op in ('identity', 'MB3', 'MB6')], 1).astype(float)

def ridge(archs, accuracy):
    "The predictions of ridge regression on one-hot choices, a baseline"
    fit = RidgeCV(np.logspace(-2, 3, 11)).fit(one_hot(archs), accuracy)
    return lambda archs: fit.predict(one_hot(archs))

def learned(data, seed):
    "A default ensemble"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', AutoBuildWarning)
        return AutoBuild(seed=seed).fit(data, progress=False)

def read_outs(data, train, seed):
    "Name -> a function: architecture -> scores of its nodes"
    ab, baseline = learned(train, seed), ridge(train.archs, train.target('accuracy'))
    def norm(hop): return lambda arch: ab.node_importance(arch, hop, 'norm').score
    norms = {f'norm, hop {hop}': norm(hop) for hop in range(ab.hops+1)}
    return norms | {'swap': lambda arch: ab.node_importance(arch, readout='swap').score,
                    'swap, ridge': lambda arch: swap_scores(baseline, data.space, arch).score}

def within(drops):
    "Mean Spearman of scores and measured drops within a network, where both differ"
    found = [spearmanr(nodes.score, nodes['drop'])[0] for _,nodes in drops.groupby('network')
             if nodes.score.nunique()>1 and nodes['drop'].nunique()>1]
    return np.mean(found)

def measure(data, seed, n):
    "Rows of one seed: a row per read-out and group of nodes"
    order = np.random.default_rng(seed).permutation(len(data))
    archs = [data.archs[i] for i in order[n_labels:n_labels+n]]
    accuracy = dict(zip(data.archs, data.target('accuracy')))
    drops = measured_drops(data.space, archs, accuracy.get)
    rows = []
    for name,score in read_outs(data, data[order[:n_labels]], seed).items():
        scores = [score(arch).to_numpy() for arch in archs]
        scored = drops.assign(score=[scores[i][node] for i,node in zip(drops.network, drops.node)])
        table = fidelity(scored).reset_index(names='group').assign(within=within(scored))
        rows += table.assign(seed=seed, readout=name).to_dict('records')
    return rows

def main(n):
    "Measure the seeds that are not there yet"
    if (data := macro()) is None: return
    for seed in seeds:
        if (seed,) in done(results, 'seed'): continue
        append_table(results, measure(data, seed, n))
        print(f'seed {seed} is there', flush=True)

if __name__=='__main__': main(int(sys.argv[1]) if len(sys.argv)>1 else 300)

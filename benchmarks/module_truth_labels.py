"""Do module scores tell the truth about real labels? Every read-out on NAS-Bench-Macro and Accel-NASBench.

    python benchmarks/module_truth_labels.py      # adds to benchmarks/results/module_truth_labels.csv, resumable

NAS-Bench-Macro is enumerated: a module's true value is the mean accuracy of all networks that have it (of the 3,969
that differ; six of the 27 modules of stages 2 and 3 are the same as others, and left out). Of Accel-NASBench's space
5,138 networks are labelled: the truth is what each module adds in a saturated fit to all of them, as in
effects_accel.py. A row per data set, N, draw and read-out: the mean over stages of Spearman with the truth.
"""
import argparse, itertools, warnings
from pathlib import Path

import numpy as np, torch
from scipy.stats import spearmanr

from autobuild import AutoBuild, load_dataset
from autobuild.importance import standalone
from autobuild.readouts import readouts
from baselines import module_numbers, on_label_scale, ridge_modules
from effects_accel import saturated
from logs import append_table, done

table = Path(__file__).parent/'results/module_truth_labels.csv'
first_draw = 600 # No draw below was looked at when defaults were chosen

def enumerated(data):
    "Per stage, the mean label of the networks that have a module; NaN where it is always written differently"
    labels, space = data.target('accuracy'), data.space
    numbers = module_numbers(space, data.archs)
    return [np.array([labels[column==i].mean() for i in range(len(modules))])
            for column,modules in zip(numbers.T, space.modules)]

def from_fit(data):
    "Per stage, what the saturated fit says of a network with a module in place, above others"
    predict, _ = saturated(data)
    context = data.archs[0]
    return [predict([data.space.with_module(context, stage, modules.config(i)) for i in range(len(modules))])[0]
            for stage,modules in enumerate(data.space.modules, 1)]

truths = {'nas_bench_macro': enumerated, 'accel_nasbench': from_fit}

def agreement(scores, truth):
    "The mean over stages of Spearman between scores and true values"
    both = [(ours, true, np.isfinite(ours) & np.isfinite(true)) for ours,true in zip(scores, truth)]
    return np.mean([spearmanr(ours[known], true[known])[0] for ours,true,known in both])

def by_readout(data, n, draw):
    "{read-out: scores per stage} from a draw of labels"
    train = data.sample(n, draw)[0]
    ab = AutoBuild(seed=draw).fit(train, progress=False)
    stages = range(1, len(data.space.stages)+1)
    found = {readout: [ab.module_scores(stage, readout).mean(0) for stage in stages]
             for readout in (*readouts, *standalone)}
    return found|{'ridge': ridge_modules(train, on_label_scale(ab.labels))}

def main():
    ask = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ask.add_argument('--labels', nargs='+', type=int, default=[50, 100, 200])
    ask.add_argument('--repeats', type=int, default=6)
    asked = ask.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    known = done(table, 'data', 'N', 'draw')
    for name in truths:
        data = load_dataset(name)
        truth = truths[name](data)
        for draw,n in itertools.product(range(first_draw, first_draw+asked.repeats), asked.labels):
            if (name, n, draw) in known: continue
            rows = [dict(data=name, N=n, draw=draw, readout=readout, spearman=agreement(scores, truth))
                    for readout,scores in by_readout(data, n, draw).items()]
            append_table(table, rows, digits=4)

if __name__=='__main__': main()

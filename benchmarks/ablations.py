"""What carries the recipe: the default with one thing changed at a time, scored as in comparison.py.

    python benchmarks/ablations.py      # adds to benchmarks/results/ablations.csv, resumable

Data sets that took part in no choice, judged by the prediction alone; of NAS-Bench-Macro, which did take part, the
paper's read-out of modules that stand alone. The draws are not those of comparison.py: repeats count from 1,000.
"""
import argparse, itertools, sys, time, warnings
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest.mock import patch

import joblib, numpy as np, torch
from scipy.stats import spearmanr
from tqdm.auto import tqdm

import autobuild.estimator, autobuild.ranking
from autobuild import AutoBuild
from autobuild.normalization import Shift
from autobuild.readouts import fit_predictor, readouts
from case_imagenet import sum_of_modules
from comparison import columns, draw, pool, regret
from logs import append_table, done

table = Path(__file__).parent/'results/ablations.csv'
fitting = sys.modules['autobuild.readouts'] # `autobuild.readouts` is the dictionary of read-outs
tasks = ['nas_bench_graph:photo', 'nas_bench_graph:computers', 'hat:titanxp', 'dynas_mbv3', 'nas_bench_macro']
by_modules = 'nas_bench_macro' # Networks are ordered by the sum of their modules' scores and the prediction
variants = {
    'default': {},
    'labels not ranked': {},
    'no warm-up': dict(warmup=0),
    'the graph network alone': dict(weights=dict(graph=1)),
    'the same without the ranking loss': dict(weights=dict(graph=1), rank_weight=0, warmup=0, readout='regressor'),
    'no boosting': {},
    'neither boosting nor forest': {},
    'read-out: norms in context': dict(readout='context'),
    'read-out: regressor in context': dict(readout='regressor'),
    '1 network': dict(ensemble=1),
    '20 networks': dict(ensemble=20),
    'hops weighted by held-out rank correlation': {},
    'read-out: last node alone, the paper\'s': dict(readout='last'),
    'the same without the distribution shift': dict(readout='last'),
    '2 hops': dict(hops=2),
    '300 steps in one cycle': dict(steps=300),
}
of_modules = ['default', 'read-out: norms in context', 'read-out: last node alone, the paper\'s',
              'the same without the distribution shift']
fewer_parts = {'no boosting': ('graph', 'polynomial', 'forest'), 'neither boosting nor forest': ('graph', 'polynomial')}

def not_ranked(labels):
    "Stands in for ranks: the labels as they are, as in the released code"
    return labels

def weighted_hops(weights, reading):
    "The read-out `both` with a weighted mean of z over all hops in place of the mean over hops 2 to M"
    norms = sum(weight*z for weight,z in zip(weights, reading.z))/sum(weights)
    beside = sum(reading.weights[name]*said for name,said in reading.parts.items())
    return reading.weights['graph']*(norms+reading.y)/2+beside

def fit_with_weighted_hops(*args, **settings):
    "Stands in for `fit_predictor`: a hop weighs as much as it ranks held-out networks right (Qua2SeDiMo's idea)"
    predictor, heldout = fit_predictor(*args, **settings)
    weights = heldout.filter(like='hop').clip(lower=0).tolist() # None where the correlation is negative
    readouts['both'] = partial(weighted_hops, weights)
    return predictor, heldout

def norms_as_they_are(shift, norms, hop, stage, layers):
    "Stands in for the distribution shift"
    return norms

def replaced(variant):
    "What a variant puts in place of something of the package: context managers that undo it"
    if variant in fewer_parts: return [patch.object(fitting, 'part_names', fewer_parts[variant])]
    if variant=='labels not ranked': return [patch.object(autobuild.ranking, '_true_ranks', not_ranked)]
    if variant=='the same without the distribution shift': return [patch.object(Shift, 'module', norms_as_they_are)]
    if variant=='hops weighted by held-out rank correlation':
        return [patch.dict(readouts), patch.object(autobuild.estimator, 'fit_predictor', fit_with_weighted_hops)]
    return []

def ours(found, **settings):
    "(order, scores): by the prediction, or as `construct` has them: the best 200 by modules, ordered by both"
    ab = AutoBuild(found.target, seed=found.seed, **settings).fit(found.pool.data[found.rows], progress=False)
    predicted, stages = ab.predict(found.pool.data), len(ab.space.stages)
    if found.pool.data.name!=by_modules: return predicted, predicted
    modules = sum_of_modules(ab, found.pool.data.archs)-(stages-1)*ab.predict(ab.contexts).mean()
    first = found.rest[np.argsort(-modules[found.rest], kind='stable')[:200]]
    order = np.full(len(predicted), -np.inf)
    order[first] = (modules+predicted)[first]
    return order, modules+predicted

def cell(name, n, repeat, variant):
    "One variant on one draw"
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    found = draw(name, columns[name][0], n, repeat)
    start = time.process_time()
    with ExitStack() as stack:
        for place in replaced(variant): stack.enter_context(place)
        order, scores = ours(found, **variants[variant])
    seconds, rest = time.process_time()-start, found.rest
    evaluated = np.concatenate([found.rows, rest[np.argsort(-order[rest], kind='stable')[:10]]])
    best = found.judged[evaluated[np.argmax(found.seen[evaluated])]]
    return dict(task=name, N=n, repeat=repeat, variant=variant, best=best, regret=regret(found, evaluated),
                spearman=spearmanr(scores[rest], found.judged[rest])[0], seconds=seconds)

def applies(name, variant):
    "Whether a variant is measured on a task"
    if name==by_modules: return variant in of_modules
    return variants[variant].get('readout')!='last' and (variant not in fewer_parts or bool(pool(name).terms.wired))

def main():
    ask = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ask.add_argument('--tasks', nargs='+', default=tasks, choices=tasks)
    ask.add_argument('--variants', nargs='+', default=list(variants), choices=list(variants))
    ask.add_argument('--labels', nargs='+', type=int, default=[50])
    ask.add_argument('--repeats', type=int, default=20)
    ask.add_argument('--jobs', type=int, default=2)
    ask.add_argument('--table', type=Path, default=table)
    asked = ask.parse_args()
    known = done(asked.table, 'task', 'N', 'repeat', 'variant')
    draws = itertools.product(range(1000, 1000+asked.repeats), asked.labels, asked.tasks, asked.variants)
    todo = [(name, n, repeat, variant) for repeat,n,name,variant in draws if applies(name, variant)]
    jobs = [joblib.delayed(cell)(*draw) for draw in todo if draw not in known]
    found = joblib.Parallel(asked.jobs, return_as='generator_unordered')(jobs)
    for measured in tqdm(found, total=len(jobs), disable=None): append_table(asked.table, [measured])

if __name__=='__main__': main()

"""What carries the recipe: the default with one thing changed at a time, scored as in label_efficiency.py.

    python benchmarks/ablations.py      # adds to benchmarks/results/ablations.csv, resumable

The draws are not those of label_efficiency.py: repeats count from 1,000.
"""
import itertools, time, warnings
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import joblib, numpy as np, torch
from scipy.stats import spearmanr
from tqdm.auto import tqdm

import autobuild.estimator, autobuild.importance, autobuild.ranking
from autobuild.normalization import Shift
from label_efficiency import loaded, ours, row
from logs import append_table, done

table = Path(__file__).parent/'results/ablations.csv'
tasks = ['nas_bench_macro', 'accel_nasbench', 'nas_bench_graph:cs']
chains = tasks[:2] # Whose modules can stand alone
variants = {
    'default': {}, 'no ranking loss, y\' alone': dict(rank_weight=0, readout='regressor'), 'labels not ranked': {}, 'no warm-up': dict(warmup=0),
    'no linear part': dict(linear=0), 'linear part takes half': dict(linear=.5),
    'read-out: norms in context': dict(readout='context'), 'read-out: regressor in context': dict(readout='regressor'),
    '1 network': dict(ensemble=1), '5 networks': dict(ensemble=5), '5 networks of width 32': dict(ensemble=5, width=32), '20 networks': dict(ensemble=20),
    'hops weighted by held-out rank correlation': {}, 'read-out: last node alone, the paper\'s': dict(readout='last'), 'the same without the distribution shift': dict(readout='last'),
    '2 hops': dict(hops=2), '6 hops': dict(hops=6), '150 steps': dict(steps=150), '600 steps': dict(steps=600),
}

def not_ranked(values, axis):
    "Stands in for ranks: the labels as they are, as in the released code"
    return values

held_out, verdict = autobuild.estimator.held_out, autobuild.importance._verdict

def remember_hops(net, *args):
    "Stands in for `held_out`: a hop's weight is its rank correlation with networks left out (the idea of Qua2SeDiMo), none where that is negative"
    found = held_out(net, *args)
    net.hop_weights = found.filter(like='hop').clip(lower=0).tolist()
    return found

def weighted_hops(readout, net, shift, norms, pooled, linear):
    "Stands in for the mean over hops 2 to M"
    if not hasattr(net, 'hop_weights'): return verdict(readout, net, shift, norms, pooled, linear)
    z = sum(w*shift.graph_z(norms[m], m) for m,w in enumerate(net.hop_weights))/sum(net.hop_weights)
    return torch.lerp((z+net.regress(pooled))/2, linear.expand_as(z), net.linear.share)

def norms_as_they_are(self, norms, hop, stage, layers):
    "Stands in for the distribution shift"
    return norms

replaced = {
    'labels not ranked': [(autobuild.ranking, 'rankdata', not_ranked)],
    'hops weighted by held-out rank correlation': [(autobuild.estimator, 'held_out', remember_hops), (autobuild.importance, '_verdict', weighted_hops)],
    'the same without the distribution shift': [(Shift, 'module', norms_as_they_are)],
}

def cell(name, n, repeat, variant):
    "One variant on one draw"
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    task = loaded(name)
    draw = np.random.default_rng([repeat, n]).permutation(len(task.seen))
    rows, rest = draw[:n], np.sort(draw[n:])
    start = time.process_time()
    with ExitStack() as stack:
        for place in replaced.get(variant, ()): stack.enter_context(patch.object(*place))
        order, scores = ours(task, rows, repeat, **variants[variant])['AutoBuild']
    evaluated = np.concatenate([rows, rest[np.argsort(-order[rest], kind='stable')[:10]]])
    return dict(task=name, N=n, repeat=repeat, variant=variant, **row(task, evaluated, spearmanr(scores[rest], task.judged[rest])[0], time.process_time()-start))

def main(repeats=2, labels=(50,), jobs=2):
    known = done(table, 'task', 'N', 'repeat', 'variant')
    todo = [o for o in ((t, n, 1000+r, v) for r,n,t,v in itertools.product(range(repeats), labels, tasks, variants)) if o not in known and (o[0] in chains or variants[o[3]].get('readout')!='last')]
    for found in tqdm(joblib.Parallel(jobs, return_as='generator_unordered')(joblib.delayed(cell)(*o) for o in todo), total=len(todo)):
        append_table(table, [found])

if __name__=='__main__': main()

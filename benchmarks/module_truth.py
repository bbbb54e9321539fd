"""Do module scores tell the truth? Every read-out against true marginal values, and what gets built from them.

    python benchmarks/module_truth.py            # adds rows to benchmarks/results/module_truth.csv, resumable

Space: OFA-ProxylessNAS, 3,000 SURROGATE labels (outputs of the paper's authors' predictors, not measurements).
Truth: the mean prediction over 64 random networks with the module in place, by an ensemble of 3 fitted to all 3,000.
"Built": the truth of the best of the 10 networks that each method gives, or of the 243 joined from the best 3 modules
of each of the 5 stages with a choice of more than 9 modules.
"""
import argparse, itertools
from pathlib import Path

import numpy as np, torch
from scipy.stats import spearmanr

from autobuild import AutoBuild, load_dataset
from autobuild.construction import best_products
from autobuild.importance import standalone
from autobuild.readouts import readouts
from autobuild.spaces import Candidates
from baselines import module_numbers, on_label_scale, ridge_modules
from logs import append_table, done

table = Path(__file__).parent/'results/module_truth.csv'

def networks(space, numbers):
    "The networks that have these modules, one tuple of module numbers each"
    numbers = np.array(list(numbers))
    return Candidates(space, numbers, np.zeros(len(numbers), int))

def summed(scores, space, archs):
    "The sum of its modules' scores for each network"
    return sum(score[chosen] for score,chosen in zip(scores, module_numbers(space, archs).T))

def best_of(scores, space, n=10):
    "The exact best networks where scores add up over stages"
    return networks(space, (numbers for _,numbers in itertools.islice(best_products(scores), n)))

def joined(scores, space, top=3):
    "The networks joined from the best modules of every stage; of a small last stage the best one"
    best = [np.argsort(-score, kind='stable')[:top if len(score)>9 else 1] for score in scores]
    return networks(space, itertools.product(*best))

def truths(oracle, space, per_stage, contexts, seed=7):
    "Per stage: module numbers and their true marginal values"
    rng, stand, out = np.random.default_rng(seed), space.sample(contexts, seed), {}
    for stage,modules in enumerate(space.modules, 1):
        pick = rng.permutation(len(modules))[:per_stage]
        archs = [space.with_module(context, stage, modules.config(i)) for i in pick for context in stand]
        out[stage] = pick, oracle.predict(archs).reshape(len(pick), -1).mean(1)
    return out

def agreement(scores, truth):
    "The mean over the five stages with a choice of Spearman between scores and true marginal values"
    return np.mean([spearmanr(scores[stage-1][pick], true)[0] for stage,(pick,true) in truth.items() if stage<6])

def scored(ab, readout):
    "The module scores of every stage, the mean over the ensemble"
    return [ab.module_scores(stage, readout).mean(0) for stage in range(1, len(ab.space.stages)+1)]

def constructed(ab, readout, oracle, **options):
    "The truth of the best of ten networks built under a read-out"
    ab.readout = readout
    ab._builders.clear() # A builder keeps the module values of the read-out it was made for
    return oracle.predict(ab.construct(10, progress=False, **options)).max()

def measured(data, oracle, truth, n, seed):
    "One draw of n labels"
    train, rest = data.sample(n, seed)
    ab, space = AutoBuild('accuracy', seed=seed).fit(train, progress=False), data.space
    row = dict(N=n, seed=seed)
    row |= {f'srcc {name}': value for name,value in ab.evaluate(rest[:1000]).spearman.items()}
    row |= {f'heldout {name}': value for name,value in ab.heldout.items()}
    ridge = ridge_modules(train, on_label_scale(ab.labels))
    row['srcc ridge'] = spearmanr(summed(ridge, space, rest.archs[:1000]), rest.target('accuracy')[:1000])[0]
    for readout in (*readouts, *standalone): row[f'truth {readout}'] = agreement(scored(ab, readout), truth)
    row['truth ridge'] = agreement(ridge, truth)
    for readout in ('last', 'both'):
        row[f'243 joined {readout}'] = oracle.predict(joined(scored(ab, readout), space)).max()
        row[f'built {readout}'] = constructed(ab, readout, oracle, pool=10)
    row['constructed'] = constructed(ab, 'both', oracle)
    row['243 joined ridge'] = oracle.predict(joined(ridge, space)).max()
    row['built ridge'] = oracle.predict(best_of(ridge, space)).max()
    for name,count in (('built random', 10), ('243 random', 243)):
        row[name] = oracle.predict(space.sample(count, seed)).max()
    return row | {'labelled best': train.target('accuracy').max()}

def main():
    ask = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ask.add_argument('--labels', nargs='+', type=int, default=[300, 100])
    ask.add_argument('--repeats', type=int, default=5)
    ask.add_argument('--oracle-steps', type=int, default=1500)
    ask.add_argument('--modules', type=int, default=100, help='modules of a stage whose truth is computed')
    ask.add_argument('--contexts', type=int, default=64, help='networks that the truth is a mean over')
    ask.add_argument('--table', type=Path, default=table)
    asked = ask.parse_args()
    torch.set_num_threads(1)
    known = done(asked.table, 'N', 'seed')
    todo = [draw for draw in itertools.product(asked.labels, range(asked.repeats)) if draw not in known]
    if not todo: return
    data = load_dataset('ofa_pn_surrogate')
    oracle = AutoBuild('accuracy', ensemble=3, width=32, seed=1000, steps=asked.oracle_steps, batch=128, contexts=1)
    truth = truths(oracle.fit(data, progress=False), data.space, asked.modules, asked.contexts)
    for n,seed in todo:
        row = measured(data, oracle, truth, n, seed)
        append_table(asked.table, [row], digits=16)
        print(row, flush=True)

if __name__=='__main__': main()

"""How well are networks predicted that are unlike all labelled ones?

    python benchmarks/study_unlike.py             # adds to benchmarks/results/study_unlike.csv, resumable
    python benchmarks/study_unlike.py --repeats 5

Four ways to be unlike. `pair`: two choices at two places that no labelled network combines. `choice`: a choice that no
labelled network has at that place, though others have it elsewhere. `length`: a layer count of one stage that no
labelled network has. `corner`: the labelled networks are of the worse half by label, the judged ones of the better.

In every draw N networks are labelled, once among those that are not held out (`unlike`), once among those and half of
the held-out ones (`like`); the other held-out ones judge both. So the two differ in their labels only. `regret` is how
far the best of the ten that a method ranks first is behind the best of the judged; `modules` is how well module scores
order the modules of a stage, held against their true values as in module_truth_labels.py, where those are known.
"""
import argparse, itertools, warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np, pandas as pd, torch
from scipy.stats import spearmanr

import baselines
from autobuild import AutoBuild, load_dataset
from autobuild.encoding import Encoder
from autobuild.polynomial import Terms, fit_polynomial
from logs import append_table, done
from module_truth_labels import agreement, truths

results = Path(__file__).parent/'results'
labels, first_draw, most_judged = 100, 500, 1000
targets = {'nas_bench_macro': 'accuracy', 'accel_nasbench': 'accuracy', 'mnist1d': 'accuracy',
           'hat:xeon': '-latency', 'nas_bench_201': 'cifar10_valid', 'nas_bench_bert': 'glue'}

@dataclass
class Pool:
    "A data set, every network once"
    data:object # `LabelledData`
    seen:np.ndarray # (pool,) what is to be predicted
    terms:Terms # Of the space
    counts:np.ndarray # (pool, terms)
    grouped:np.ndarray # (pool, sums), the terms and their sums over stages and the network
    lengths:np.ndarray # (pool, stages) layer counts

@cache
def pool(name):
    "A data set, loaded once"
    data = load_dataset(name)
    data = data[np.sort(np.unique(data.groups, return_index=True)[1])]
    encoder = Encoder(data.space)
    terms = Terms(encoder)
    counts = terms(encoder(data.archs))
    grouped = np.hstack([group.numpy() for group in terms.groups(counts)]).astype(np.float32)
    lengths = np.array([[len(stage['layers']) for stage in arch.stages] for arch in data.archs])
    return Pool(data, data.target(targets[name]), terms, counts.numpy(), grouped[:,np.ptp(grouped, axis=0)>0], lengths)

@cache
def module_truth(name):
    "Per stage, the true value of every module"
    return truths[name](load_dataset(name))

def true_to(scores, name):
    "The mean rank correlation of module scores per stage with the truth; `scores()` gives them where that is known"
    return agreement(scores(), module_truth(name)) if name in truths else np.nan

# --- what is held out: function of a pool and a generator -> (pool,) booleans ---

def _choices(pool):
    "(pool, choices) booleans: which network has which choice at which place, of those that about a third has"
    has = pool.counts[:,:pool.terms.count]>0
    return has[:,(has.mean(0)>.15) & (has.mean(0)<.6)]

def pair(pool, rng):
    "Two choices at two places, neither of which implies or excludes the other"
    has = _choices(pool)
    for _ in range(1000):
        one, other = has[:,rng.choice(has.shape[1], 2, replace=False)].T
        expected = one.mean()*other.mean()
        if .5*expected<(one & other).mean()<1.5*expected: return one & other

def choice(pool, rng):
    "A choice at a place"
    has = _choices(pool)
    return has[:,rng.integers(has.shape[1])]

def length(pool, rng):
    "A layer count of a stage"
    stages = [u for u,column in enumerate(pool.lengths.T) if np.ptp(column)]
    if not stages: return None
    column = pool.lengths[:,rng.choice(stages)]
    values, counts = np.unique(column, return_counts=True)
    return column==rng.choice(values[counts>.05*len(column)])

def corner(pool, rng):
    "The better half by label"
    return pool.seen>np.median(pool.seen)

ways = dict(pair=pair, choice=choice, length=length, corner=corner)

# --- methods: (pool, rows, seed) -> (pool,) scores ---

def told_scaled(scorer):
    "A scorer on grouped terms that is told the labels on AutoBuild's scale"
    def run(pool, rows, seed):
        return scorer(pool.grouped, rows, baselines.on_label_scale(pool.seen[rows]), seed)
    return run

def polynomial(pool, rows, seed):
    "AutoBuild's polynomial by itself"
    counts = torch.as_tensor(pool.counts)
    known = baselines.on_label_scale(pool.seen[rows])
    return fit_polynomial(pool.terms, counts[rows], known, seed=seed)[0](counts).numpy()

others = {'polynomial alone': polynomial, 'ridge': told_scaled(baselines.ridge),
          'random forest': told_scaled(baselines.random_forest),
          'Gaussian process': told_scaled(baselines.gaussian_process)}

# --- one draw ---

def ours(pool, rows, judged, name, seed):
    "What AutoBuild says of the judged networks, and what it says of its own doubt; how true its module scores are"
    ab = AutoBuild(targets[name], seed=seed).fit(pool.data[rows], progress=False)
    rest = [pool.data.archs[i] for i in judged]
    said, spread, limits = ab.predict(rest), ab.members(rest).std(0), ab.predict(rest, interval=.9)
    truth, unit = pool.seen[judged], pool.seen.std()
    error, inside = abs(said-truth), (limits.low<=truth) & (truth<=limits.high)
    doubt = dict(error=error.mean()/unit, bias=(said-truth).mean()/unit, spread=spread.mean()/unit,
                 doubts=spearmanr(spread, error)[0], covered=inside.mean())
    def scores(): return [ab.module_scores(stage).mean(0) for stage in range(1, len(ab.space.stages)+1)]
    return said, true_to(scores, name), doubt

def judged_by(scores, pool, judged):
    "Rank correlation among the judged networks, and how far the best of the first ten is behind the best, in s.d."
    truth, first = pool.seen[judged], np.argsort(-scores, kind='stable')[:10]
    return dict(spearman=spearmanr(scores, truth)[0], regret=(truth.max()-truth[first].max())/pool.seen.std())

def one_draw(name, way, draw):
    "Rows of all methods, with labels unlike and like the judged networks; none where the way has no meaning"
    found, rng = pool(name), np.random.default_rng([draw, list(ways).index(way)])
    held = ways[way](found, rng)
    if held is None or held.sum()<40 or (~held).sum()<labels: return []
    outside, inside = rng.permutation(np.flatnonzero(~held)), rng.permutation(np.flatnonzero(held))
    half = len(inside)//2
    judged, known = inside[:half][:most_judged], np.concatenate([outside, inside[half:]])
    chosen = dict(unlike=outside[:labels], like=rng.permutation(known)[:labels])
    rows = []
    for labelled,kept in chosen.items():
        said, modules, doubt = ours(found, kept, judged, name, draw)
        head = dict(data=name, way=way, draw=draw, labelled=labelled, judged=len(judged))
        rows.append(head|dict(method='AutoBuild', modules=modules)|judged_by(said, found, judged)|doubt)
        scaled = baselines.on_label_scale(found.seen[kept])
        known = {'ridge': true_to(lambda: baselines.ridge_modules(found.data[kept], scaled), name)}
        for method,run in others.items():
            scores = run(found, kept, draw)[judged]
            about = dict(method=method, modules=known.get(method, np.nan))
            rows.append(head|about|judged_by(scores, found, judged)|dict.fromkeys(doubt, np.nan))
    return rows

def main():
    ask = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ask.add_argument('--repeats', type=int, default=8)
    ask.add_argument('--table', type=Path, default=results/'study_unlike.csv')
    asked = ask.parse_args()
    torch.set_num_threads(1)
    known = done(asked.table, 'data', 'way', 'draw')
    for draw,name,way in itertools.product(range(first_draw, first_draw+asked.repeats), targets, ways):
        if (name, way, draw) in known: continue
        rows = one_draw(name, way, draw)
        if rows: append_table(asked.table, rows)
        print(name, way, draw, {(r['method'], r['labelled']): round(r['spearman'], 3) for r in rows[::5]}, flush=True)

if __name__=='__main__':
    warnings.simplefilter('ignore')
    main()

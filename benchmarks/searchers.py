"""The loop against other ways to spend 60 or 110 measurements on a pool of measured networks.

    python benchmarks/searchers.py     # adds to benchmarks/results/searchers.csv, resumable

`one shot` measures random networks, all but ten, fits once, and measures the ten best predicted. `loop` measures 20
designed networks, then again and again the ten that `ask` proposes, the last ten without exploration; `loop, greedy`
never explores, and is asked with 60 measurements only.
`evolution` is regularised evolution, `TPE` is Optuna's, `GP, EI` is a Gaussian process with expected improvement
after 20 random networks, `random` is what it says. Regret is how far the best measured network is from the best of
the pool, in standard deviations of the pool's labels; `rank` is its place in the pool.
OFA-PN's labels are SURROGATES, outputs of the paper's authors' predictors.
"""
import warnings
from pathlib import Path

import numpy as np, pandas as pd
from tqdm import tqdm

import baselines
from autobuild import AutoBuild, LabelledData
from autobuild.estimator import AutoBuildWarning
from logs import append_table, done
from study_few import pool

table = Path(__file__).parent/'results/searchers.csv'
names = ['mnist1d', 'accel_nasbench', 'hat:xeon', 'nas_bench_macro', 'ofa_pn_surrogate']
budgets, first, batch = {60: 4, 110: 2}, 20, 10 # Measurements: draws

def fitted(data, rows, seed):
    "A model of some of the pool's networks"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', AutoBuildWarning)
        return AutoBuild('label', seed=seed).fit(data[rows], progress=False)

def one_shot(data, x, y, budget, seed):
    "Fit once to random networks, then take the best predicted"
    rows = np.random.default_rng(seed).permutation(len(y))[:budget-batch]
    said = fitted(data, rows, seed).predict(data)
    said[rows] = -np.inf
    return [*rows, *np.argsort(-said, kind='stable')[:batch]]

def loop(data, x, y, budget, seed, explore=.5):
    "A design, then what `ask` proposes"
    place = {arch: i for i,arch in enumerate(data.archs)}
    rows = [place[arch] for arch in data.space.design(first, seed, pool=data.archs)]
    while len(rows)<budget:
        last = len(rows)+batch>=budget
        asked = fitted(data, rows, seed).ask(batch, explore=0 if last else explore, pool=data)
        rows += [place[arch] for arch in asked.archs]
    return rows

def greedy(data, x, y, budget, seed): return loop(data, x, y, budget, seed, explore=0)
def evolution(data, x, y, budget, seed): return baselines.regularised_evolution(x, y, budget, seed)
def tpe(data, x, y, budget, seed): return baselines.tpe(data, x, y, budget, seed)
def improvement(data, x, y, budget, seed): return baselines.expected_improvement(x, y, budget, first, seed)
def at_random(data, x, y, budget, seed): return np.random.default_rng([seed, 2]).permutation(len(y))[:budget]

searchers = {'random': at_random, 'evolution': evolution, 'TPE': tpe, 'GP, EI': improvement, 'one shot': one_shot,
             'loop': loop, 'loop, greedy': greedy}

def measure(budget, draw, name):
    "Add what the table lacks of one set"
    space, archs, labels = pool(name)
    data = LabelledData(space, archs, pd.DataFrame(dict(label=labels)))
    x, known = baselines.one_hot(data), done(table, 'budget', 'data', 'draw', 'searcher')
    for searcher,search in searchers.items():
        if (budget, name, draw, searcher) in known or searcher=='loop, greedy' and budget>60: continue
        best = labels[np.asarray(search(data, x, labels, budget, draw))].max()
        regret, rank = (labels.max()-best)/labels.std(), int((labels>best).sum())+1
        append_table(table, [dict(budget=budget, data=name, draw=draw, searcher=searcher, regret=regret, rank=rank)])

def run():
    "All budgets, draws, sets and searchers that the table lacks"
    todo = [(budget, draw, name) for budget,draws in budgets.items() for draw in range(draws) for name in names]
    for budget,draw,name in tqdm(sorted(todo, key=lambda job: job[1]), disable=None): measure(budget, draw, name)

if __name__=='__main__': run()

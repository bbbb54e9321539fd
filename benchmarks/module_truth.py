"""Do module scores tell the truth? Every read-out against true marginal values, and what gets built from them.

    python benchmarks/module_truth.py            # adds rows to benchmarks/results/module_truth.csv, resumable

Space: OFA-ProxylessNAS, 3,000 SURROGATE labels (outputs of the paper's authors' predictors, not measurements).
Truth: the mean prediction over 64 random networks with the module in place, by an ensemble of 3 fitted to all 3,000.
"Built": the truth of the best of the 10 networks that each method gives, or of the 243 joined from the best 3 modules of
each of the 5 stages with a choice of more than 9 modules.
"""
import itertools, os, sys
from pathlib import Path

import numpy as np, torch
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV

from autobuild import Architecture, AutoBuild, load_dataset
from autobuild.construction import best_products
from autobuild.importance import Modules, readouts
from logs import append_table, done

table = Path(__file__).parent/'results/module_truth.csv'

def terms(stage, config):
    "The one-hot terms of one stage: (stage, layer, feature, choice)"
    return [(stage, l, k, v) for l,layer in enumerate(config['layers']) for k,v in layer.items()]

def ridge(train, y):
    "Ridge on one-hot features, the honest baseline: (intercept, weight of every term)"
    rows = [[t for u,s in enumerate(a.stages) for t in terms(u, s)] for a in train.archs]
    cols = {t: i for i,t in enumerate(sorted({t for r in rows for t in r}))}
    x = np.zeros((len(rows), len(cols)), np.float32)
    for i,r in enumerate(rows): x[i,[cols[t] for t in r]] = 1
    fit = RidgeCV(np.logspace(-2, 3, 11)).fit(x, y)
    return fit.intercept_, {t: fit.coef_[i] for t,i in cols.items()}

def ridge_predict(fit, archs):
    return np.array([fit[0]+sum(fit[1].get(t, 0) for u,s in enumerate(a.stages) for t in terms(u, s)) for a in archs])

def ridge_build(fit, space, n=10):
    "The exact best networks of the ridge, which adds up over stages"
    modules = [Modules(s) for s in space.stages]
    return [Architecture([m.config(i) for m,i in zip(modules, t)]) for _,t in itertools.islice(best_products(ridge_scores(fit, space)), n)]

def joined(scores, space, top=3):
    "The networks joined from the best modules of every stage; of a small last stage the best one"
    best = [np.argsort(-s, kind='stable')[:top if len(s)>9 else 1] for s in scores]
    modules = [Modules(s) for s in space.stages]
    return [Architecture([m.config(i) for m,i in zip(modules, t)]) for t in itertools.product(*best)]

def ridge_scores(fit, space):
    "What each module adds in the ridge, stage by stage"
    modules = [Modules(s) for s in space.stages]
    return [np.array([sum(fit[1].get(t, 0) for t in terms(u, m.config(i))) for i in range(len(m))]) for u,m in enumerate(modules)]

def truths(oracle, space, per_stage=100, contexts=64, seed=7):
    "Per stage: module numbers and their true marginal values"
    rng, stand, out = np.random.default_rng(seed), space.sample(contexts, seed), {}
    for u,s in enumerate(space.stages, 1):
        m = Modules(s)
        pick = rng.permutation(len(m))[:per_stage]
        nets = [Architecture([*c.stages[:u-1], m.config(i), *c.stages[u:]]) for i in pick for c in stand]
        out[u] = pick, oracle.predict(nets).reshape(len(pick), -1).mean(1)
    return out

def main():
    torch.set_num_threads(1)
    data = load_dataset('ofa_pn_surrogate', root=os.environ.get('AUTOBUILD_DATA'))
    known = done(table, 'N', 'seed')
    todo = [(n, seed) for n in (300, 100) for seed in range(int(sys.argv[1]) if len(sys.argv)>1 else 5) if (n, seed) not in known]
    if not todo: return
    oracle = AutoBuild('accuracy', ensemble=3, width=32, seed=1000, steps=1500, batch=128, contexts=1).fit(data, progress=False)
    truth = truths(oracle, data.space)
    for n,seed in todo:
        train, rest = data.sample(n, seed)
        ab, stages = AutoBuild('accuracy', seed=seed).fit(train, progress=False), range(1, len(data.space.stages)+1)
        row = dict(N=n, seed=seed, **{f"srcc {k}": v for k,v in ab.evaluate(rest[:1000]).spearman.items()}, **{f"heldout {k}": v for k,v in ab.heldout.items()})
        baseline = ridge(train, ab.labels)
        row['srcc ridge'] = spearmanr(ridge_predict(baseline, rest.archs[:1000]), rest.target('accuracy')[:1000])[0]
        for r in readouts: row[f'truth {r}'] = np.mean([spearmanr(ab.module_scores(u, r).mean(0)[pick], t)[0] for u,(pick,t) in truth.items() if u<6])
        ridges = ridge_scores(baseline, data.space)
        row['truth ridge'] = np.mean([spearmanr(ridges[u-1][pick], t)[0] for u,(pick,t) in truth.items() if u<6])
        for r in ('last', 'both'):
            row[f'243 joined {r}'] = oracle.predict(joined([ab.module_scores(u, r).mean(0) for u in stages], data.space)).max()
            ab.readout = r
            row[f'built {r}'] = oracle.predict(ab.construct(10, pool=10)).max()
        row['constructed'] = oracle.predict(ab.construct(10)).max()
        row['243 joined ridge'] = oracle.predict(joined(ridges, data.space)).max()
        row['built ridge'] = oracle.predict(ridge_build(baseline, data.space)).max()
        row['built random'], row['243 random'] = (oracle.predict(data.space.sample(k, seed)).max() for k in (10, 243))
        row['labelled best'] = train.target('accuracy').max()
        append_table(table, [row], digits=16)
        print(row, flush=True)

if __name__=='__main__': main()

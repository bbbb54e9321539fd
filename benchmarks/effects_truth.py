"""Are main effects true? NAS-Bench-Macro is enumerated, so every true effect is known.

    python benchmarks/effects_truth.py [draws]    # writes results/effects_truth.csv: a row per method, N and draw
"""
import sys, warnings
from pathlib import Path

import numpy as np, pandas as pd
from scipy.stats import spearmanr
from sklearn.ensemble import RandomForestRegressor

from autobuild import AutoBuild, load_dataset
from autobuild.datasets import DatasetError
from autobuild.effects import fit_effects

results = Path(__file__).parent/'results'/'effects_truth.csv'
first_draw = 200 # No draw below was looked at when defaults were chosen

def truth() -> tuple:
    "((places, operations) true main effects, (places,) their shares, share of all main effects) of the mean accuracy"
    data = load_dataset('nas_bench_macro')
    operations = data.space.stages[0].layer['op'].choices
    labelled = zip(data.archs, data.target('accuracy'))
    known = {tuple(operations.index(node['op']) for node in arch.rows): label for arch,label in labelled}
    everything = np.array(list(np.ndindex(*[3]*8)))
    labels = np.array([known[_distinct(code)] for code in everything])
    effects = np.stack([[labels[everything[:,place]==o].mean() for o in range(3)] for place in range(8)])-labels.mean()
    shares = (effects**2).mean(1)/labels.var()
    return effects, shares, shares.sum()

def _distinct(code) -> tuple:
    "The network that is the same: an identity after a stage's first layer does nothing, so identities stand last"
    out = []
    for start,end in ((0, 2), (2, 5), (5, 8)):
        kept = [o for o in code[start+1:end] if o]
        out += [code[start], *kept, *[0]*(end-start-1-len(kept))]
    return tuple(int(o) for o in out)

def place_means(values, codes) -> np.ndarray: # (places, operations)
    "The mean of (networks, places) values where an operation stands at a place, minus the place's mean"
    def mean(place, operation):
        here = codes[:,place]==operation
        return values[here,place].mean() if here.any() else np.nan
    means = np.array([[mean(place, operation) for operation in range(3)] for place in range(8)])
    return means-np.nanmean(means, 1, keepdims=True)

def by_method(data, seed:int) -> dict: # Name -> ((places, operations) effects, shares or None, spreads or None)
    "What every method says from the same labels"
    ab = AutoBuild(seed=seed).fit(data, progress=False)
    predictor, space = ab.predictor, data.space
    column = list(predictor.encoder.categories).index('op')
    def operations(archs): return predictor.encoder(archs).codes[:,column].numpy().reshape(len(archs), 8)
    def polynomial(archs):
        said = predictor.parts['polynomial'](predictor.terms(predictor.encoder(archs)))
        return predictor.warp.unwarp(said).numpy()[None]
    def one_hot(codes): return np.eye(3)[codes].reshape(len(codes), -1)
    forest = RandomForestRegressor(500, random_state=seed).fit(one_hot(operations(data.archs)), ab.labels)
    def trees(archs): return forest.predict(one_hot(operations(archs)))[None]
    found = {}
    models = {'the ensemble': predictor.doubtful, 'its polynomial': polynomial, 'a random forest': trees}
    for name,predict in models.items():
        apart = fit_effects(predict, space, seed=seed)
        ours = np.stack([main.mean(0) for main in apart.main])
        spread = np.hypot([main.std(0) for main in apart.main], apart.error)
        found[f'effects of {name}'] = ours, apart.shares(), spread if name=='the ensemble' else None
    drawn = space.sample(400, seed=seed)
    codes = operations(drawn)
    for hop in range(5):
        norms = predictor.node_norms(drawn, hop).mean(0).reshape(400, 8)
        found[f'node norms, hop {hop}'] = place_means(norms, codes), None, None
    scalars = ab.feature_importance('norm').query("feature=='op'").set_index('choice').score
    found['FE-MLP scalars'] = np.tile([scalars[o] for o in space.stages[0].layer['op'].choices], (8, 1)), None, None
    alone = place_means(np.tile(ab.labels[:,None], 8), operations(data.archs))
    found['labels alone, per place'] = alone, None, None
    return found

def main(draws:int=5):
    data = load_dataset('nas_bench_macro')
    effects, shares, _ = truth()
    rows = []
    for n in (30, 100, 200):
        for draw in range(first_draw, first_draw+draws):
            for name,(ours,share,spread) in by_method(data.sample(n, draw)[0], draw).items():
                known = np.isfinite(ours)
                error = np.nan if share is None else abs(share-shares).max()
                within = np.nan if spread is None else (abs(ours-effects)<=2*spread).mean()
                agreement = spearmanr(ours[known], effects[known])[0]
                rows.append(dict(method=name, N=n, draw=draw, spearman=agreement, share_error=error, within=within))
            pd.DataFrame(rows).round(5).to_csv(results, index=False)
            print(n, draw, {row['method']: round(row['spearman'], 3) for row in rows[-10:]}, flush=True)

if __name__=='__main__':
    warnings.simplefilter('ignore')
    try: main(*map(int, sys.argv[1:]))
    except DatasetError as e: sys.exit(f'not run: {e}')

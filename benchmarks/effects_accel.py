"""Are effects and shares true on Accel-NASBench? Its truth is a saturated fit of stage modules to all real labels.

    python benchmarks/effects_accel.py [draws]    # writes results/effects_accel.csv: a row per N and draw

5,138 of some 10^10 networks are labelled, so no true effect is known exactly. What every module of every stage adds is
fitted to all of them; taken apart over the space, that fit says what a feature explains. `share_error` is the largest
error of a feature's share (layers, kernel, expansion, squeeze_excite over all stages), `place_error` of a feature's
share in one stage, `spearman` the rank correlation of all effects per place.
"""
import sys, warnings
from pathlib import Path

import numpy as np, pandas as pd
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV

from autobuild import AutoBuild, load_dataset
from autobuild.datasets import DatasetError
from autobuild.effects import fit_effects

results = Path(__file__).parent/'results/effects_accel.csv'
first_draw = 400 # No draw below was looked at when defaults were chosen

def modules(archs):
    "(networks, stages) the text of each stage's module"
    return np.array([[f'{u} {stage}' for u,stage in enumerate(arch.stages)] for arch in archs])

def saturated(data):
    "(what every module adds, as a function of networks; R2 on networks that were held out)"
    known = {module: i for i,module in enumerate(np.unique(modules(data.archs)))}
    def shown(archs):
        out, found = np.zeros((len(archs), len(known))), modules(archs)
        for column in found.T:
            places = np.array([known.get(module, -1) for module in column])
            rows = np.flatnonzero(places>=0)
            out[rows,places[rows]] = 1
        return out
    x, y = shown(data.archs), data.target('accuracy')
    order, fit = np.random.default_rng(0).permutation(len(y)), RidgeCV(np.logspace(-3, 2, 11))
    held_out = fit.fit(x[order[500:]], y[order[500:]]).score(x[order[:500]], y[order[:500]])
    fit.fit(x, y)
    return lambda archs: fit.predict(shown(archs))[None], held_out

def shares(table, keys):
    "Share of every feature, or of every feature at every place"
    return table.drop_duplicates(keys).set_index(keys).share

def one(data, truth, n, draw):
    "What is found from one draw of labels"
    ab = AutoBuild(seed=draw).fit(data.sample(n, draw)[0], progress=False)
    apart, places = ab.effects(), ab.effects(per='place')
    keys = ['feature', 'choice', 'stage', 'layer']
    both = places.merge(truth.main_table(), on=keys, suffixes=('', '_true'))
    known = shares(truth.feature_table(), ['feature'])
    by_place = ['feature', 'stage', 'layer']
    exact = shares(truth.main_table(), by_place)
    return dict(N=n, draw=draw, spearman=spearmanr(both.effect, both.effect_true)[0],
                within=((both.effect-both.effect_true).abs()<=2*both.spread).mean(),
                share_error=(shares(apart, ['feature'])-known).abs().max(),
                place_error=(shares(places, by_place)-exact).abs().max(), heldout=ab.heldout['prediction'],
                first=shares(apart, ['feature']).idxmax()==known.idxmax())

def main(draws:int=5):
    data = load_dataset('accel_nasbench')
    predict, r2 = saturated(data)
    truth = fit_effects(predict, data.space, seed=0)
    print('R2 on 500 held out', round(r2, 3), truth.explained().round(3).to_dict())
    print(shares(truth.feature_table(), ['feature']).round(3).to_dict(), flush=True)
    rows = []
    for n in (30, 100, 200):
        for draw in range(first_draw, first_draw+draws):
            rows.append(one(data, truth, n, draw)|dict(r2=r2))
            pd.DataFrame(rows).round(4).to_csv(results, index=False)
            print(rows[-1], flush=True)

if __name__=='__main__':
    warnings.simplefilter('ignore')
    try: main(*map(int, sys.argv[1:]))
    except DatasetError as e: sys.exit(f'not run: {e}')

"""Are effects, pairs and shares found where they were planted? Labels are SYNTHETIC: a formula with noise.

    python benchmarks/effects_planted.py [draws]    # writes results/effects_planted.csv: a row per draw
"""
import sys, warnings
from pathlib import Path

import numpy as np, pandas as pd

from autobuild import AutoBuild, LabelledData, Space
from autobuild.effects import fit_effects

results = Path(__file__).parent/'results'/'effects_planted.csv'
first_draw, labelled = 300, 200 # No draw below was looked at when defaults were chosen
layer = dict(op=['conv', 'attention', 'pool'], kernel=[3, 5, 7], drop=dict(low=0, high=.5, steps=6))
space = Space('planted', [dict(layers=[1, 2, 3], stage=dict(width=[16, 32, 64]), layer=layer)]*3,
              dict(resolution=[128, 160, 192]))
planted = [('resolution', 'width'), ('op', 'kernel'), ('width', 'width')]

def value(arch) -> float:
    "Main effects, three pairs, a curve with an inner optimum, depth that saturates, a penalty for a falling width"
    widths = [stage['width'] for stage in arch.stages]
    total = {128: 0., 160: 1., 192: 1.5}[arch.network['resolution']]+sum({16: 0, 32: .6, 64: .9}[w] for w in widths)
    total += 1.2*(arch.network['resolution']==192)*(widths[2]==64) # Pair of resolution and the last width
    total -= .8*sum(after<before for before,after in zip(widths, widths[1:])) # Pairs of widths: falling is bad
    for stage in arch.stages:
        total += {1: 0., 2: .8, 3: 1.}[len(stage['layers'])]
        first = stage['layers'][0]
        total += .8*(first['op']=='conv')+.9*(first['op']=='attention')*(first['kernel']==7) # Pair in one layer
        total -= 12*(first['drop']-.2)**2 # The optimum is .2
    return total

def predict(archs): return np.array([[value(arch) for arch in archs]])

def one(truth, draw:int) -> dict:
    "What is found from one draw of labels"
    rng = np.random.default_rng(draw)
    archs = space.sample(labelled, draw)
    labels = predict(archs)[0]
    labels = labels+rng.normal(0, .2*labels.std(), labelled)
    ab = AutoBuild('value', seed=draw).fit(LabelledData(space, archs, pd.DataFrame(dict(value=labels))), progress=False)
    shares = ab.effects().drop_duplicates('feature').set_index('feature').share
    true = truth.feature_table().drop_duplicates('feature').set_index('feature').share
    pairs = ab.effects(order=2).drop_duplicates(['feature_1', 'feature_2'])[['feature_1', 'feature_2']].head(5)
    found = [tuple(sorted(names)) for names in pairs.to_numpy()]
    places, known = ab.effects(per='place'), truth.main_table()
    within = ((places.effect-known.effect).abs()<=2*places.spread).mean()
    curves = places[(places.feature=='drop') & (places.layer==1)]
    best = [float(curve.choice.iloc[curve.effect.argmax()]) for _,curve in curves.groupby('stage')]
    explained = ab.explained()
    return dict(draw=draw, share_error=(shares-true[shares.index]).abs().max(),
                within=within, optimum_error=max(abs(o-.2) for o in best),
                pairs_found=sum(tuple(sorted(pair)) in found for pair in planted), main=explained['main effects'],
                pairs=explained['pairs'], heldout=ab.heldout['prediction'])

def main(draws:int=5):
    truth = fit_effects(predict, space, seed=0)
    true = truth.explained()
    rows = []
    for draw in range(first_draw, first_draw+draws):
        rows.append(one(truth, draw)|dict(true_main=true['main effects'], true_pairs=true['pairs']))
        pd.DataFrame(rows).round(4).to_csv(results, index=False)
        print(rows[-1], flush=True)

if __name__=='__main__':
    warnings.simplefilter('ignore')
    main(*map(int, sys.argv[1:]))

"""In which order should built networks stand? By the prediction, by that and the sum of module scores, or in between.

    python benchmarks/order.py      # adds to benchmarks/results/order.csv, resumable

`construct` finds candidates; the best ten by three orders are held against their true values: prediction plus score
(`sum`), prediction plus the share of the score that `construct` gives it (`share`), and the prediction alone. `planted`
is MADE UP: a feature of the network pays with one width of the second stage only, so no sum of modules can tell the
truth; labels with and without noise. On NAS-Bench-Macro all networks are labelled, on Accel-NASBench the truth is a
saturated fit to all labels (as in effects_accel.py), which adds modules up and so favours `sum`. The share was chosen
on these. Values are in standard deviations of the labels above their mean.
"""
import itertools, warnings
from pathlib import Path

import numpy as np, pandas as pd, torch

from autobuild import AutoBuild, LabelledData, Space, load_dataset
from effects_accel import saturated
from logs import append_table, done

table, first_draw, draws, built = Path(__file__).parent/'results/order.csv', 700, 6, 10
stage = dict(layers=[1, 2, 3], stage=dict(width=[8, 16, 32]), layer=dict(kernel=[1, 3, 5], act=['relu', 'swish']))
planted = Space('planted', [stage]*2, network=dict(size=[32, 64]))

def planted_value(arch):
    "Widths and kernels add up; a size of 64 pays with the largest width of the second stage, else the other size"
    worth = 1.5*((arch.network['size']==64)==(arch.stages[1]['width']==32))
    worth += {1: 0, 2: .8, 3: .2}[len(arch.stages[1]['layers'])]
    for sign,(place,part) in zip((1, -1), enumerate(arch.stages, 1)):
        worth += place*{8: 0, 16: 1, 32: 1.5}[part['width']]
        worth += sign*sum({1: 0, 3: .6, 5: .3}[layer['kernel']] for layer in part['layers'])
    return worth

def of_planted(noise):
    "Labels of 2,000 made-up networks, and their true values"
    archs = planted.sample(2000, seed=1)
    values = np.array(list(map(planted_value, archs)))
    labels = values+noise*np.random.default_rng(0).normal(size=len(values))
    def truth(nets): return list(map(planted_value, nets))
    return LabelledData(planted, archs, pd.DataFrame(dict(accuracy=labels))), truth

def of_macro():
    data = load_dataset('nas_bench_macro')
    known = dict(zip(data.archs, data.target('accuracy')))
    return data, lambda nets: [known.get(net, np.nan) for net in nets]

def of_accel():
    data = load_dataset('accel_nasbench')
    predict, _ = saturated(data)
    return data, lambda nets: predict(nets)[0]

tasks = {'planted': lambda: of_planted(0.), 'planted, noisy': lambda: of_planted(.5), 'nas_bench_macro': of_macro,
         'accel_nasbench': of_accel}

def orders(ab):
    "(networks, {order: what they are ordered by})"
    finder = ab._builder(False)
    nets = ab._candidates(finder, built, 200, None, 20_000, False)[0]
    found = ab._built_table(finder, nets, None, [])
    return nets, dict(sum=found.predicted+found.score, share=ab._believed(found, finder), prediction=found.predicted)

def main():
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    known = done(table, 'task', 'N', 'draw')
    for name,load in tasks.items():
        data, truth = load()
        mean, spread = data.target('accuracy').mean(), data.target('accuracy').std()
        for draw,n in itertools.product(range(first_draw, first_draw+draws), (50, 100, 200)):
            if (name, n, draw) in known: continue
            nets, by = orders(AutoBuild('accuracy', seed=draw).fit(data.sample(n, draw)[0], progress=False))
            rows = []
            for order,values in by.items():
                first = [nets[i] for i in np.argsort(-values.to_numpy(), kind='stable')[:built]]
                rows.append(dict(task=name, N=n, draw=draw, order=order, value=(np.nanmean(truth(first))-mean)/spread))
            append_table(table, rows, digits=4)

if __name__=='__main__': main()

"""Where larger is not better: do module scores still tell the truth, and what does standardising do for them?

    python benchmarks/study_larger.py      # writes results/study_larger.csv and study_larger_modules.csv

A module's truth on Accel-NASBench is the mean label of all networks that have it, the other stages held equal: what
it adds in a least-squares fit of all labels. On NAS-Bench-BERT a module is a whole network.
"""
import itertools, warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np, pandas as pd, torch
from scipy.stats import spearmanr

from autobuild import load_dataset
from autobuild.encoding import Encoder
from autobuild.importance import module_scores
from autobuild.normalization import Shift
from autobuild.readouts import fit_predictor
from baselines import module_numbers

results, shown = Path(__file__).parent/'results', ('-latency_zcu102', 'sweet_spot')
first_draw, draws, labels = 300, 5, 100

def standardised(shift, norms, hop, stage, layers):
    "Standardises only"
    return shift.node_z(norms, hop)

def as_they_are(shift, norms, hop, stage, layers):
    "Neither standardises nor rescales"
    return norms

def only_rescaled(shift, norms, hop, stage, layers):
    "Rescales norms that are not standardised"
    return shift.rescale(norms, stage, layers)

variants = {'last, shifted (the paper)': Shift.module, 'last, z alone': standardised,
            'last, norms as they are': as_they_are, 'last, norms rescaled': only_rescaled}

def sweet_spot(archs) -> np.ndarray: # (networks,)
    "A target with its best depth in the middle: two layers per stage"
    def worth(stage):
        return -(len(stage['layers'])-2)**2+.5*(stage['kernel']==5)+.5*stage['squeeze_excite']
    noise = np.random.default_rng(0).normal(size=len(archs))
    return np.array([sum(map(worth, arch.stages)) for arch in archs])+.5*noise

def timed_with_sweet_spot():
    "The networks of Accel-NASBench whose latency is known, with one more column"
    data = load_dataset('accel_nasbench')
    known = data[np.flatnonzero(data.table.latency_zcu102.notna())]
    return known.with_columns(sweet_spot=sweet_spot(known.archs))

def distinct(data):
    "Every network once"
    return data[np.sort(np.unique(data.groups, return_index=True)[1])]

def layers_of(modules) -> np.ndarray: # (modules,)
    "How many layers each module of a stage has"
    return np.array([len(modules.config(i)['layers']) for i in range(len(modules))])

def chain_truth(data, target:str) -> tuple: # (one (modules,) array per stage, R2)
    "What each module adds to the label, centred within stages, and how much of the labels that explains"
    values, sizes = data.target(target), [len(modules) for modules in data.space.modules]
    numbers = module_numbers(data.space, data.archs)
    columns = np.concatenate([np.eye(size)[chosen] for size,chosen in zip(sizes, numbers.T)], 1)
    weights = np.linalg.lstsq(columns, values-values.mean(), rcond=None)[0]
    rest = values-values.mean()-columns@weights
    parts = np.split(weights, np.cumsum(sizes)[:-1])
    return [part-part.mean() for part in parts], 1-rest.var()/values.var()

def fitted(train, target:str, draw:int):
    "A predictor of these networks, each of which occurs once"
    return fit_predictor(Encoder(train.space), list(train.archs), train.target(target), seed=draw, progress=False)[0]

def chain_scores(predictor, contexts, shift_module, readout:str='last') -> list: # One (modules,) array per stage
    "Module scores with something else in place of the distribution shift"
    with patch.object(Shift, 'module', shift_module):
        stages = range(1, len(predictor.space.stages)+1)
        return [module_scores(predictor, stage, contexts, readout).mean(0) for stage in stages]

def last_nodes(predictor, archs, module) -> np.ndarray: # (networks,)
    "The paper's read-out of whole networks of one stage: the last node at hop L-1"
    lengths = np.array([len(arch.rows) for arch in archs])
    found = np.zeros(len(archs))
    for layers in np.unique(lengths):
        hop, rows = min(layers-1, predictor.hops), np.flatnonzero(lengths==layers)
        batch = predictor.encoder([archs[i] for i in rows])
        with torch.no_grad(): norms, _ = predictor.net.embeddings(batch)
        last = norms[hop].reshape(-1, len(rows), layers)[:,:,-1]
        found[rows] = module(predictor.shift, last, hop, 1, int(layers)).mean(0)
    return found

def of_chains(data, target:str, draw:int) -> tuple: # (rows, rows per module)
    "One draw on a space of several stages"
    train, (truth, explained) = data.sample(labels, draw)[0], chain_truth(data, target)
    predictor, contexts = fitted(train, target, draw), list(train.archs[:8])
    layers = [layers_of(modules) for modules in data.space.modules]
    scores = {name: chain_scores(predictor, contexts, module) for name,module in variants.items()}
    scores['in context (ours)'] = chain_scores(predictor, contexts, Shift.module, 'both')
    def agreement(one, other): return np.mean([spearmanr(*pair)[0] for pair in zip(one, other)])
    rows = [dict(readout=name, spearman=agreement(said, truth), depth_said=agreement(said, layers),
                 depth_true=agreement(truth, layers), explained=explained) for name,said in scores.items()]
    stage = 6 # Of the largest choice of lengths
    shown_here = layers[stage-1], truth[stage-1]
    modules = [dict(readout=name, stage=stage, module=i, layers=count, score=score, truth=effect)
               for name,said in scores.items() for i,(score,count,effect) in enumerate(zip(said[stage-1], *shown_here))]
    return rows, modules

def of_networks(data, target:str, draw:int) -> list: # Rows
    "One draw on a space of one stage, whose modules are networks"
    train, rest = data.sample(labels, draw)
    predictor = fitted(train, target, draw)
    truth, layers = rest.target(target), np.array([len(arch.rows) for arch in rest.archs])
    scores = {name: last_nodes(predictor, rest.archs, module) for name,module in variants.items()}
    scores['in context (ours)'] = predictor.predict(list(rest.archs))
    return [dict(readout=name, spearman=spearmanr(said, truth)[0], depth_said=spearmanr(said, layers)[0],
                 depth_true=spearmanr(truth, layers)[0]) for name,said in scores.items()]

def main():
    torch.set_num_threads(1)
    accel, bert = distinct(timed_with_sweet_spot()), distinct(load_dataset('nas_bench_bert'))
    rows, modules = [], []
    for draw,target in itertools.product(range(first_draw, first_draw+draws),
                                         ('accuracy', *shown, 'accuracy/latency_zcu102')):
        found, per_module = of_chains(accel, target, draw)
        rows += [dict(data='Accel-NASBench', target=target, draw=draw, **row) for row in found]
        if draw==first_draw and target in shown: modules += [dict(target=target, **row) for row in per_module]
        print(draw, target, {row['readout']: round(row['spearman'], 2) for row in found}, flush=True)
    for draw,target in itertools.product(range(first_draw, first_draw+draws), ('glue', 'sts')):
        found = of_networks(bert, target, draw)
        rows += [dict(data='NAS-Bench-BERT', target=target, draw=draw, **row) for row in found]
        print(draw, target, {row['readout']: round(row['spearman'], 2) for row in found}, flush=True)
    pd.DataFrame(rows).round(5).to_csv(results/'study_larger.csv', index=False)
    pd.DataFrame(modules).round(5).to_csv(results/'study_larger_modules.csv', index=False)

if __name__=='__main__':
    warnings.simplefilter('ignore')
    main()

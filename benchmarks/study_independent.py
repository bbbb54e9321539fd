"""What do features that are scored one by one miss? Shares of real labels, what the predictor keeps, a joint embedding.

    python benchmarks/study_independent.py [draws]     # adds to results/study_independent_*.csv, 3 minutes a draw

`truth`: shares of the labels' variance in main effects, pairs and the rest, over all networks. `kept`: the same of
predictions on NAS-Bench-Macro, and how much of the true parts they hold. `embedding`: a graph network that embeds every
feature of a node by itself, and one that embeds all of them together.
"""
import itertools, sys, warnings
from dataclasses import replace
from pathlib import Path

import numpy as np, pandas as pd, torch
from scipy.stats import spearmanr

from autobuild import Space, load_dataset
from autobuild.data import LabelledData
from autobuild.encoding import Encoder
from autobuild.readouts import fit_predictor
from autobuild.spaces import Architecture
from baselines import module_numbers
from effects_truth import _distinct # One of the ways to write a network
from logs import append_table, done

results, first_draw = Path(__file__).parent/'results', 500

# Shares

def parts(values) -> tuple: # (main effects, pairs), each like `values`
    "What an array with one axis per choice holds of main effects, and of pairs: exact functional ANOVA"
    axes, centred = range(values.ndim), values-values.mean()
    def over(kept): return centred.mean(tuple(axis for axis in axes if axis not in kept), keepdims=True)
    main = sum(np.broadcast_to(over((a,)), values.shape) for a in axes)
    def pair(a, b): return np.broadcast_to(over((a, b))-over((a,))-over((b,)), values.shape)
    pairs = sum(pair(a, b) for a,b in itertools.combinations(axes, 2))
    return main, pairs

def shares(values) -> dict:
    "Shares of the variance"
    main, pairs = (part.var()/values.var() for part in parts(values))
    return dict(main=main, pairs=pairs, rest=1-main-pairs)

def macro_grid(values) -> np.ndarray: # (3,)*8
    "Values of the labelled networks of NAS-Bench-Macro on the grid of all 6,561 ways to write one"
    data = load_dataset('nas_bench_macro')
    operations = data.space.stages[0].layer['op'].choices
    known = {tuple(operations.index(node['op']) for node in arch.rows): value for arch,value in zip(data.archs, values)}
    codes = itertools.product(range(3), repeat=8)
    return np.array([known[_distinct(code)] for code in codes]).reshape((3,)*8)

def graph_grid(name:str) -> np.ndarray: # (9, 9, 9, 9, 9): wiring and four operations
    "Accuracies on the grid of all 59,049 ways to write a network; the 9 of skips alone get the mean"
    from nas_bench_graph.architecture import Arch, gnn_list, link_list
    data, edges = load_dataset(name), {}
    for number,(_,pairs) in enumerate(data.space.stages[0].topologies): edges[tuple(sorted(map(tuple, pairs)))] = number
    def key(arch):
        stage = arch.stages[0]
        return edges[stage['edges']], *(gnn_list.index(layer['op']) for layer in stage['layers'])
    known = dict(zip(map(key, data.archs), data.target('accuracy')))
    grid = np.full((9,)*5, np.nan)
    for wiring,*codes in np.ndindex(grid.shape):
        code = f"{Arch(link_list[wiring][:], [gnn_list[o] for o in codes]).valid_hash():05d}"
        grid[wiring, *codes] = known.get(tuple(map(int, code)), np.nan)
    missing = np.isnan(grid)
    assert missing.sum()<=20, missing.sum()
    grid[missing] = np.nanmean(grid)
    return grid

def accel_shares() -> dict:
    "Shares of Accel-NASBench: features, pairs and more within stages, and what a sum over stages leaves"
    data = load_dataset('accel_nasbench')
    labels, modules = data.target('accuracy'), data.space.modules
    chosen = module_numbers(data.space, data.archs)
    columns = np.concatenate([np.eye(len(known))[numbers] for known,numbers in zip(modules, chosen.T)], 1)
    weights, _, rank, _ = np.linalg.lstsq(columns, labels-labels.mean(), rcond=None)
    left = np.sum((labels-labels.mean()-columns@weights)**2)/(len(labels)-rank)/labels.var(ddof=1) # Adjusted
    tables = np.split(weights, np.cumsum([len(known) for known in modules])[:-1])
    features = [one_stage(table, known) for table,known in zip(tables, modules)]
    main, within = np.sum(features, 0)/np.sum(features)*(1-left)
    return dict(main=main, pairs=within, rest=left)

def one_stage(effects, modules) -> tuple: # (variance of main effects, of what is joint within the stage)
    "Effects of a stage's modules apart: layer count, expansion, kernel, squeeze and excite"
    configs = [modules.config(i) for i in range(len(modules))]
    names = [name for name in configs[0] if name!='layers']
    codes = np.array([[len(config['layers']), *(config[name] for name in names)] for config in configs]).T
    axes = [np.unique(values, return_inverse=True)[1] for values in codes]
    grid = np.zeros([axis.max()+1 for axis in axes])
    grid[tuple(axes)] = effects
    main = parts(grid)[0].var()
    return main, grid.var()-main

def truths() -> list: # Rows
    "Shares of real labels"
    macro = load_dataset('nas_bench_macro')
    seeds = macro.table[[f'accuracy_seed{i}' for i in range(3)]].to_numpy()
    grid, noise = macro_grid(macro.target('accuracy')), macro_grid(seeds.var(1, ddof=1)/3).mean()
    rows = [dict(data='NAS-Bench-Macro', networks=grid.size, **shares(grid), noise=noise/grid.var())]
    for name in ('cs', 'arxiv'):
        grid = graph_grid(f'nas_bench_graph:{name}')
        rows.append(dict(data=f'NAS-Bench-Graph, {name}', networks=grid.size, **shares(grid)))
    return [*rows, dict(data='Accel-NASBench', networks=len(load_dataset('accel_nasbench')), **accel_shares())]

# What the predictor keeps

def of_predictions(predictor, true) -> dict:
    "Shares of predictions of all networks, and which part of the true main effects and pairs they hold"
    data = load_dataset('nas_bench_macro')
    grid = macro_grid(predictor.predict(list(data.archs)))
    held = {f'{name}_kept': (said*known).mean()/(known*known).mean()
            for name,said,known in zip(('main', 'pairs'), parts(grid), parts(true))}
    return dict(**shares(grid), **held, spearman=spearmanr(grid.ravel(), true.ravel())[0],
                explained=1-((grid-true)**2).mean()/true.var())

def kept(n:int, draw:int) -> list: # Rows
    "Today's predictor and its graph network alone, on one draw"
    data = load_dataset('nas_bench_macro')
    true, train = macro_grid(data.target('accuracy')), data.sample(n, draw)[0]
    labels = train.target('accuracy')
    blended, _ = fit_predictor(Encoder(data.space), list(train.archs), labels, seed=draw, progress=False)
    alone = replace(blended, parts={}, weights=dict(graph=1.))
    said = {'default': blended, 'graph network alone': alone}
    return [dict(N=n, draw=draw, predictor=name, **of_predictions(predictor, true)) for name,predictor in said.items()]

# Features one by one, or together

def together(node:dict, names:list) -> str:
    "The features of a node as one word"
    return ' '.join(str(node[name]) for name in names)

def joined(data) -> LabelledData:
    "The same networks with all features of a node in one; as many copies as there were, so that embeddings are as wide"
    stage = data.space.stages[0]
    names = [*stage.stage, *stage.layer]
    choices = {**{k: f.choices for k,f in stage.stage.items()}, **{k: f.choices for k,f in stage.layer.items()}}
    words = [together(dict(zip(names, values)), names) for values in itertools.product(*choices.values())]
    layer = {f'block_{name}': words for name in names}
    space = Space('joined', [dict(layers=list(stage.counts), layer=layer) for stage in data.space.stages])
    def merged(stage):
        nodes = [together({**stage, **node}, names) for node in stage['layers']]
        return dict(layers=[dict.fromkeys(layer, word) for word in nodes])
    archs = [Architecture([merged(stage) for stage in arch.stages]) for arch in data.archs]
    return LabelledData(space, archs, data.table.drop(columns='architecture'))

def embedding(name:str, n:int, draw:int) -> list: # Rows
    "The same graph network with features one by one and together"
    data, rows = load_dataset(name), []
    data = data[np.sort(np.unique(data.groups, return_index=True)[1])]
    for kind,same in {'one by one': data, 'together': joined(data)}.items():
        train, rest = same.sample(n, draw)
        pool = rest.sample(min(1000, len(rest)-1), draw)[0]
        labels, truth = train.target('accuracy'), pool.target('accuracy')
        predictor, _ = fit_predictor(Encoder(same.space), list(train.archs), labels, seed=draw, weights=dict(graph=1.),
                                     progress=False)
        norms = np.concatenate([reading.z.mean(1).numpy() for reading in predictor.read(list(pool.archs))], 1)
        rows.append(dict(data=name, N=n, draw=draw, embedding=kind,
                         spearman=spearmanr(predictor.predict(list(pool.archs)), truth)[0],
                         **{f'hop_{hop}': spearmanr(values, truth)[0] for hop,values in enumerate(norms)}))
    return rows

def main(draws:int=5):
    torch.set_num_threads(1)
    if not (results/'study_independent_truth.csv').exists():
        pd.DataFrame(truths()).round(4).to_csv(results/'study_independent_truth.csv', index=False)
    table = results/'study_independent_kept.csv', results/'study_independent_embedding.csv'
    known = done(table[0], 'N', 'draw'), done(table[1], 'data', 'N', 'draw')
    for draw,n in itertools.product(range(first_draw, first_draw+draws), (50, 100, 200)):
        if (n, draw) not in known[0]: append_table(table[0], kept(n, draw), 4)
        for name in ('accel_nasbench', 'mnist1d'):
            if (name, n, draw) not in known[1]: append_table(table[1], embedding(name, n, draw), 4)
        print(n, draw, flush=True)

if __name__=='__main__':
    warnings.simplefilter('ignore')
    main(*map(int, sys.argv[1:]))

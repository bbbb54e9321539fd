"""From trained modules to an operation-graph predictor, on the measured MNIST-1D networks.

    python benchmarks/case_operation_graphs.py             # graphs, ranking, fidelity: writes benchmarks/results/case_*

Graphs: all 600 networks are built as PyTorch modules, imported through torch.export and kept as one line of JSON each.
Ranking: 60 labels are drawn; the same recipe learns from their operation graphs and from their stage sequences, ridge
regression from one-hot stage sequences. All rank the other 540. Fidelity: in networks that were not trained on and are
in the upper half of the labels, one block is replaced by the smallest that the space has (kernel 1, expansion 1, no
squeeze-excite), and the network is trained again, once, with the recipe and the seed of its label; the predictor is the
graph network alone.
"""
import argparse, json, warnings
from pathlib import Path

import numpy as np, pandas as pd, torch
from scipy.stats import spearmanr
from tqdm.auto import tqdm

import baselines
from autobuild import Architecture, AutoBuild, LabelledData, load_dataset, operation_space
from autobuild.examples.mnist1d import curves, network, train

results = Path(__file__).parent/'results'
smallest = dict(kernel=1, expansion=1, squeeze_excite=False)

def imported(arch):
    "A network's operation graph"
    return Architecture.from_torch(network(arch), torch.zeros(1, 1, 40))

def graphs(data, path):
    "The operation graph of every network, read from `path` if it is there"
    if not path.exists():
        texts = [json.dumps(imported(arch).config) for arch in tqdm(data.archs, desc='import', disable=None)]
        pd.DataFrame(dict(graph=texts)).to_csv(path, index_label='row')
    return [Architecture(**json.loads(text)) for text in pd.read_csv(path).graph]

def split(n, seed, labels=60):
    "(rows with labels, the others)"
    order = np.random.default_rng([seed, labels]).permutation(n)
    return order[:labels], order[labels:]

def labelled(archs, accuracy):
    "Operation graphs and accuracies as labelled data"
    return LabelledData.from_frame(operation_space(archs), pd.DataFrame(dict(architecture=archs, accuracy=accuracy)))

def chosen(accuracy, scores, seed):
    "The accuracy of the ten ranked first, and of ten drawn at random"
    first = accuracy[np.argsort(-scores, kind='stable')[:10]]
    some = accuracy[np.random.default_rng([seed, 3]).permutation(len(accuracy))[:10]]
    return dict(top_mean=first.mean(), top_best=first.max(), random_mean=some.mean(), random_best=some.max())

def ranking(data, archs, seed):
    "One draw of labels: one row per read-out"
    accuracy, (few, rest) = data.target('accuracy'), split(len(data), seed)
    few_graphs, out = labelled([archs[i] for i in few], accuracy[few]), []
    rest_table = pd.DataFrame(dict(accuracy=accuracy[rest]))
    rest_graphs = LabelledData(few_graphs.space, [archs[i] for i in rest], rest_table)
    for name,known,new in (('operation graphs', few_graphs, rest_graphs), ('stage sequences', data[few], data[rest])):
        ab = AutoBuild('accuracy', seed=seed).fit(known, progress=False)
        rows = [dict(seed=seed, predictor=name, readout=readout, spearman=value)
                for readout,value in ab.evaluate(new).spearman.items()]
        rows[0].update(chosen(accuracy[rest], ab.predict(new), seed))
        out += rows
    rivals = dict(ridge=baselines.ridge(baselines.one_hot(data), few, accuracy[few], seed)[rest])
    for name in ('params', 'macs'): rivals[name] = data.table[name].to_numpy()[rest]
    for name,scores in rivals.items():
        correlation = spearmanr(scores, accuracy[rest])[0]
        out.append(dict(seed=seed, predictor=name, readout='prediction', spearman=correlation,
                        **chosen(accuracy[rest], scores, seed)))
    return out

def blocks(arch):
    "(stage, layer, module path) of every block that is not the smallest; blocks follow the stem's three modules"
    places = [(stage, layer) for stage,part in enumerate(arch.stages) for layer in range(len(part['layers']))]
    return [(stage, layer, str(3+i)) for i,(stage,layer) in enumerate(places)
            if arch.stages[stage]['layers'][layer]!=smallest]

def without(arch, stage, layer):
    "The network with one block at its smallest"
    stages = list(arch.stages)
    layers = list(stages[stage]['layers'])
    layers[layer] = smallest
    stages[stage] = dict(stages[stage], layers=layers)
    return Architecture(stages, **arch.network)

def block_scores(ab, arch):
    "One row per block: mean norm of its operations at each hop, and the drop of the prediction without it"
    graph, places = imported(arch), blocks(arch)
    smaller = [imported(without(arch, stage, layer)) for stage,layer,_ in places]
    drops = ab.predict([graph])[0]-ab.predict(smaller)
    table = pd.DataFrame(dict(place=[f'{stage} {layer}' for stage,layer,_ in places], drop=drops))
    for hop in range(1, 5):
        norms = ab.node_importance(graph, hop).score.groupby([path.split('.')[0] for path in graph.paths]).mean()
        table[f'hop {hop}'] = [norms[path] for *_,path in places]
    return table

def picked_blocks(table, rng):
    "(read-out, group, block): one at random, and the most and the least important by two read-outs"
    picks = [('random', 'random', table.index[rng.integers(len(table))])]
    for readout in ('drop', 'hop 1'):
        picks += [(readout, 'most', table[readout].idxmax()), (readout, 'least', table[readout].idxmin())]
    return picks

def fidelity(data, archs, n, seed=0):
    "Yields, network by network, one row per read-out and group: accuracy before and after"
    accuracy, (few, rest) = data.target('accuracy'), split(len(data), seed)
    known = labelled([archs[i] for i in few], accuracy[few])
    ab = AutoBuild('accuracy', seed=seed, weights=dict(graph=1)).fit(known, progress=False)
    rng, test = np.random.default_rng(seed), curves()
    good = [i for i in rest if accuracy[i]>np.median(accuracy) and len(blocks(data.archs[i]))>=4]
    for i in tqdm(good[:n], desc='fidelity', disable=None):
        table, after, rows = block_scores(ab, data.archs[i]), {}, []
        for readout,group,block in picked_blocks(table, rng):
            place = table.place[block]
            if block not in after: after[block] = train(without(data.archs[i], *map(int, place.split())), data=test)
            rows.append(dict(network=i, readout=readout, group=group, block=place, predicted_drop=table['drop'][block],
                             before=accuracy[i], after=after[block]))
        yield rows

def keep(name, parts):
    "Write a table again after every part"
    rows = []
    for part in parts:
        rows += part
        pd.DataFrame(rows).round(5).to_csv(results/f'case_{name}.csv', index=False)

def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument('--seeds', type=int, default=5, help='draws of labels for the ranking')
    ask.add_argument('--networks', type=int, default=12, help='networks that blocks are taken out of')
    asked = ask.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    data = load_dataset('mnist1d')
    archs = graphs(data, results/'case_graphs.csv.xz')
    seeds = tqdm(range(asked.seeds), desc='ranking', disable=None)
    keep('ranking', (ranking(data, archs, seed) for seed in seeds))
    keep('fidelity', fidelity(data, archs, asked.networks))

if __name__=='__main__': main()

"""From trained modules to an operation-graph predictor, on the measured MNIST-1D networks.

    python benchmarks/case_operation_graphs.py             # graphs, ranking, fidelity: writes benchmarks/results/case_*

Graphs: all 600 networks are built as PyTorch modules, imported through torch.export and kept as one line of JSON each.
Ranking: 60 labels are drawn; the same recipe learns from their operation graphs and from their stage sequences, ridge
regression from one-hot stage sequences. All rank the other 540. Fidelity: in networks that were not trained on and are
in the upper half of the labels, one block is replaced by the smallest that the space has (kernel 1, expansion 1, no
squeeze-excite), and the network is trained again, once, with the recipe and the seed of its label; the predictor is the graph network
alone, without its linear part.
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
    if not path.exists(): pd.DataFrame(dict(graph=[json.dumps(imported(a).config) for a in tqdm(data.archs, desc='import')])).to_csv(path, index_label='row')
    return [Architecture(**json.loads(o)) for o in pd.read_csv(path).graph]

def split(n, seed, labels=60):
    "(rows with labels, the others)"
    order = np.random.default_rng([seed, labels]).permutation(n)
    return order[:labels], order[labels:]

def labelled(archs, y):
    "Operation graphs and accuracies as labelled data"
    return LabelledData.from_frame(operation_space(archs), pd.DataFrame(dict(architecture=archs, accuracy=y)))

def chosen(y, scores, seed):
    "The accuracy of the ten ranked first, and of ten drawn at random"
    first, some = np.argsort(-scores, kind='stable')[:10], np.random.default_rng([seed, 3]).permutation(len(y))[:10]
    return dict(top_mean=y[first].mean(), top_best=y[first].max(), random_mean=y[some].mean(), random_best=y[some].max())

def ranking(data, archs, seed):
    "One draw of labels: a row a read-out"
    y, (few, rest) = data.target('accuracy'), split(len(data), seed)
    few_graphs = labelled([archs[i] for i in few], y[few])
    rest_graphs = LabelledData(few_graphs.space, [archs[i] for i in rest], pd.DataFrame(dict(accuracy=y[rest])))
    out = []
    for name,known,new in (('operation graphs', few_graphs, rest_graphs), ('stage sequences', data[few], data[rest])):
        ab = AutoBuild('accuracy', seed=seed).fit(known, progress=False)
        rows = [dict(seed=seed, predictor=name, readout=k, spearman=s) for k,s in ab.evaluate(new).spearman.items()]
        rows[0].update(chosen(y[rest], ab.predict(new), seed))
        out += rows
    for name,scores in dict(ridge=baselines.ridge(baselines.one_hot(data), few, y[few], seed)[rest], params=data.table.params.to_numpy()[rest], macs=data.table.macs.to_numpy()[rest]).items():
        out.append(dict(seed=seed, predictor=name, readout='prediction', spearman=spearmanr(scores, y[rest])[0], **chosen(y[rest], scores, seed)))
    return out

def blocks(arch):
    "(stage, layer, module path) of every block that is not the smallest already; blocks follow the stem's three modules"
    places = [(u, l) for u,s in enumerate(arch.stages) for l in range(len(s['layers']))]
    return [(u, l, str(3+i)) for i,(u,l) in enumerate(places) if arch.stages[u]['layers'][l]!=smallest]

def without(arch, u, l):
    "The network with one block at its smallest"
    stages = [dict(s, layers=[smallest if (v, k)==(u, l) else o for k,o in enumerate(s['layers'])]) for v,s in enumerate(arch.stages)]
    return Architecture(stages, **arch.network)

def block_scores(ab, arch):
    "One row a block: mean norm of its operations at each hop, and the drop of the prediction without it"
    graph, places = imported(arch), blocks(arch)
    own = ab.predict([graph])[0]
    table = pd.DataFrame(dict(place=[f'{u} {l}' for u,l,_ in places], drop=own-ab.predict([imported(without(arch, u, l)) for u,l,_ in places])))
    for hop in range(1, 5):
        norm = ab.node_importance(graph, hop).score.groupby([p.split('.')[0] for p in graph.paths]).mean()
        table[f'hop {hop}'] = [norm[path] for *_,path in places]
    return table

def fidelity(data, archs, n, seed=0):
    "One row a network, read-out and group (most and least important block, one at random): accuracy before and after"
    y, (few, rest) = data.target('accuracy'), split(len(data), seed)
    ab = AutoBuild('accuracy', seed=seed, linear=0).fit(labelled([archs[i] for i in few], y[few]), progress=False)
    rng, test = np.random.default_rng(seed), curves()
    for i in tqdm([i for i in rest if y[i]>np.median(y) and len(blocks(data.archs[i]))>=4][:n], desc='fidelity'):
        table, after = block_scores(ab, data.archs[i]), {}
        picks = [('random', 'random', table.index[rng.integers(len(table))])]
        for readout in ('drop', 'hop 1'): picks += [(readout, 'most', table[readout].idxmax()), (readout, 'least', table[readout].idxmin())]
        for _,_,b in picks:
            if b not in after: after[b] = train(without(data.archs[i], *map(int, table.place[b].split())), data=test)
        yield [dict(network=i, readout=r, group=g, block=table.place[b], predicted_drop=table['drop'][b], before=y[i], after=after[b]) for r,g,b in picks]

def keep(name, parts):
    "Write a table again after every part"
    rows = []
    for part in parts:
        rows += part
        pd.DataFrame(rows).round(5).to_csv(results/f'case_{name}.csv', index=False)

def main():
    ask = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ask.add_argument('--seeds', type=int, default=5)
    ask.add_argument('--networks', type=int, default=12)
    asked = ask.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    data = load_dataset('mnist1d')
    archs = graphs(data, results/'case_graphs.csv.xz')
    keep('ranking', (ranking(data, archs, s) for s in tqdm(range(asked.seeds), desc='ranking')))
    keep('fidelity', fidelity(data, archs, asked.networks))

if __name__=='__main__': main()

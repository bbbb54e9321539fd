"""AutoBuild and other methods on the same labels, of data sets that took part in no choice and of those that did.

    python benchmarks/comparison.py                       # adds to benchmarks/results/comparison.csv, resumable
    python benchmarks/comparison.py --tasks nas_bench_macro --labels 50 --repeats 3
    python benchmarks/comparison.py --labels 50 --methods "plain GNN" "as released"     # the slow ones
    python benchmarks/comparison.py --summary             # ranks, for comparison_ranks.csv
    python benchmarks/comparison.py --choose              # which label scale serves a baseline better, on Macro

A pool is a data set's labelled networks. N of them are drawn at random and labelled, the same for all methods; each
then scores the others and proposes the ten best. Noted are regret (how far the best of the N + 10 evaluated networks is
from the best of the pool: points of accuracy, or ms of latency), Spearman and Kendall between scores and metric on all
networks that were not drawn, and CPU seconds. Searchers spend N + 10 evaluations one by one, as they like. On
NAS-Bench-Graph and NAS-Bench-201 methods see validation accuracy and choose by it, and test accuracy judges them.
A predictor scores a whole pool, so a search by it (NSGA-II, say) could only find less; spaces that are too large for
that are in case_imagenet.py and construction.py.
"""
import argparse, itertools, time, warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np, pandas as pd, torch
from scipy.stats import kendalltau, spearmanr

import baselines, reference
from autobuild import AutoBuild, load_dataset
from autobuild.encoding import Encoder
from autobuild.polynomial import Terms, fit_polynomial
from logs import append_table, done

results = Path(__file__).parent/'results'
unseen = {'nas_bench_graph:photo': ['accuracy_valid'], 'nas_bench_graph:computers': ['accuracy_valid'],
          'hat:titanxp': ['-latency'], 'dynas_mbv3': ['accuracy'],
          'autoformer': ['cifar100', 'cifar100_distilled', 'flowers', 'flowers_distilled', 'chaoyang',
                         'chaoyang_distilled']}
took_part = {'nas_bench_macro': ['accuracy'], 'accel_nasbench': ['accuracy'], 'mnist1d': ['accuracy'],
             'nas_bench_graph:cs': ['accuracy_valid'], 'nas_bench_graph:arxiv': ['accuracy_valid'],
             'nas_bench_201': ['cifar10_valid'], 'nas_bench_bert': ['glue'], 'hat:xeon': ['-latency']}
columns = unseen | took_part # Data set -> what methods see
sizes = {name: [20, 50, 100, 200] for name in unseen} | {name: [50, 100] for name in took_part} # Labels N
sizes |= {'autoformer': [20, 50], 'nas_bench_201': [50, 100, 200, 469]} # Autoformer has 100 networks only

@dataclass
class Pool:
    "A data set with what all its draws share"
    data:object # `LabelledData`
    encoder:Encoder # Of its space
    batch:object # All networks
    terms:Terms # Of the space
    counts:torch.Tensor # (pool, terms)
    groups:list # The terms and their sums, group by group: (pool, sums) each
    plain:object # One-hot choices, sparse
    subtrees:list # What `weisfeiler_lehman` gives

@cache
def pool(name):
    "A data set, loaded once"
    data = load_dataset(name)
    encoder = Encoder(data.space)
    batch, terms = encoder(data.archs), Terms(encoder)
    counts = terms(batch)
    groups = [group.numpy().astype(float) for group in terms.groups(counts)]
    # A node is what was chosen for it, intervals to a fifth, and the stage it stands in; its neighbours say where
    kept = [i for i,category in enumerate(encoder.categories) if category not in ('layer', 'sources', 'readers')]
    kinds = np.hstack([batch.codes[:,kept].numpy(), (5*batch.values).round().numpy()])
    return Pool(data, encoder, batch, terms, counts, groups, baselines.one_hot(data),
                baselines.weisfeiler_lehman(batch, kinds))

@dataclass
class Draw:
    "What a method is given"
    pool:Pool
    target:str # What methods see
    seen:np.ndarray # (pool,) its values
    judged:np.ndarray # (pool,) what judges
    rows:np.ndarray # (N,) the labelled networks
    seed:int

    @property
    def labels(self): return self.seen[self.rows]

    @property
    def rest(self): return np.setdiff1d(np.arange(len(self.seen)), self.rows)

def draw(name, target, n, repeat):
    "The networks that a repeat labels"
    found = pool(name)
    seen = found.data.target(target)
    rows = np.random.default_rng([repeat, n]).permutation(len(seen))[:n]
    return Draw(found, target, seen, found.data.target(target.removesuffix('_valid')), rows, repeat)

# --- terms ---

def terms_alone(draw):
    "The terms, path terms among them, centred"
    counts = draw.pool.counts.numpy().astype(float)
    return counts-counts[draw.rows].mean(0)

def grouped(draw):
    "All groups side by side, each centred and of length 1 on average"
    centred = [group-group[draw.rows].mean(0) for group in draw.pool.groups]
    lengths = [np.sqrt(np.square(group[draw.rows]).sum(1).mean()) for group in centred]
    return np.hstack([group/length for group,length in zip(centred, lengths) if length>1e-9])

def terms_and_sums(draw):
    "The terms and their sums as they are, without columns that are constant"
    every = np.hstack(draw.pool.groups).astype(np.float32)
    return every[:,np.ptp(every, axis=0)>0]

def paths(draw):
    "Path terms"
    return draw.pool.counts[:,draw.pool.terms.count:].numpy()

def subtrees(draw):
    "Weisfeiler-Lehman labels"
    return draw.pool.subtrees

# --- methods: function of a draw -> (pool,) scores ---

def regressor(scorer, terms, warped):
    "A scorer on some terms, told the labels or the labels on AutoBuild's scale"
    def run(draw):
        labels = baselines.on_label_scale(draw.labels) if warped else draw.labels
        return scorer(terms(draw), draw.rows, labels, draw.seed)
    return run

def ours(draw):
    "The prediction"
    ab = AutoBuild(draw.target, seed=draw.seed).fit(draw.pool.data[draw.rows], progress=False)
    return ab.predict(draw.pool.data)

def polynomial(draw):
    "AutoBuild's polynomial by itself"
    labels = baselines.on_label_scale(draw.labels)
    found, _ = fit_polynomial(draw.pool.terms, draw.pool.counts[draw.rows], labels, seed=draw.seed)
    return found(draw.pool.counts).numpy()

def graph_network(draw, **settings):
    "AutoBuild's graph network by itself"
    ab = AutoBuild(draw.target, seed=draw.seed, weights=dict(graph=1.), **settings)
    return ab.fit(draw.pool.data[draw.rows], progress=False).predict(draw.pool.data)

def plain_gnn(draw):
    "The same without the ranking loss, and so without what stands on it: the warm-up, and norms in the prediction"
    return graph_network(draw, rank_weight=0, warmup=0, readout='regressor')

def as_released(draw):
    "The paper's method as its authors released it: the sum of module scores; a cell is one module, of the last hop"
    encoder, data = draw.pool.encoder, draw.pool.data
    graphs = reference.graphs(data, encoder)
    net = reference.train_reference(encoder, [graphs[i] for i in draw.rows], draw.labels, seed=draw.seed)
    if len(data.space.stages)==1: return reference.reference_hop_norms(net, graphs)[-1]
    return reference.reference_score_archs(net, encoder, data[draw.rows].archs, draw.labels, data.archs)

families = {'ridge': (baselines.ridge, terms_alone), 'hierarchical ridge': (baselines.ridge, grouped),
            'Gaussian process': (baselines.gaussian_process, grouped),
            'random forest': (baselines.random_forest, terms_and_sums),
            'gradient boosting': (baselines.gradient_boosting, terms_and_sums),
            'Weisfeiler-Lehman GP': (baselines.weisfeiler_lehman_gp, subtrees),
            'GRAF forest': (baselines.random_forest, paths)}
scorers = {'AutoBuild': ours, 'its polynomial alone': polynomial}
scorers |= {name: regressor(*family, warped=True) for name,family in families.items()} # See `choose`
scorers |= {'its graph network alone': graph_network, 'plain GNN': plain_gnn, 'as released': as_released}

# --- searchers: function of a draw and a budget -> evaluated rows in order ---

def more_at_random(draw, budget):
    more = np.random.default_rng([draw.seed, 2]).permutation(draw.rest)
    return np.concatenate([draw.rows, more[:budget-len(draw.rows)]])

def evolution(draw, budget): return baselines.regularised_evolution(draw.pool.plain, draw.seen, budget, draw.seed)

def tpe(draw, budget): return baselines.tpe(draw.pool.data, draw.pool.plain, draw.seen, budget, draw.seed)

searchers = {'random': more_at_random, 'regularised evolution': evolution, 'TPE': tpe}
methods = [*searchers, *scorers]
slow = ['its graph network alone', 'plain GNN', 'as released'] # Asked for by name

def regret(draw, evaluated):
    "Points of accuracy, or the metric's unit, by which the best evaluated network is behind the best of the pool"
    best = evaluated[np.argmax(draw.seen[evaluated])]
    points = 100 if 0<draw.judged.max()<=1 else 1
    return points*(draw.judged.max()-draw.judged[best])

def measure(method, draw):
    "One method on one draw"
    start, budget = time.process_time(), len(draw.rows)+10
    if method in searchers:
        evaluated = searchers[method](draw, budget)
        return dict(regret=regret(draw, evaluated), spearman=np.nan, kendall=np.nan,
                    seconds=time.process_time()-start)
    scores, rest = scorers[method](draw), draw.rest
    seconds = time.process_time()-start
    first = rest[np.argsort(-scores[rest], kind='stable')[:10]]
    return dict(regret=regret(draw, np.concatenate([draw.rows, first])),
                spearman=spearmanr(scores[rest], draw.judged[rest])[0],
                kendall=kendalltau(scores[rest], draw.judged[rest])[0], seconds=seconds)

def applies(method, name):
    "Whether a method has a meaning: GRAF needs wirings"
    return method!='GRAF forest' or bool(pool(name).terms.wired)

def choose(table, repeats=20):
    """Baselines on Macro at N = 50, on draws of its own, with and without the label scale

    Decided by this table, once: all baselines get the label scale."""
    known = done(table, 'method', 'label_scale', 'repeat')
    for repeat,(name,family),scale in itertools.product(range(1000, 1000+repeats), families.items(), (False, True)):
        # Macro has no wirings; GRAF's forest is treated as the other one
        if (name, scale, repeat) in known or name=='GRAF forest': continue
        found = draw('nas_bench_macro', 'accuracy', 50, repeat)
        scores, rest = regressor(*family, scale)(found), found.rest
        first = rest[np.argsort(-scores[rest], kind='stable')[:10]]
        append_table(table, [dict(method=name, label_scale=scale, repeat=repeat,
                                  spearman=spearmanr(scores[rest], found.judged[rest])[0],
                                  regret=regret(found, np.concatenate([found.rows, first])))])

def measure_all(table, tasks, labels, asked, repeats):
    "Add what is not there yet, repeat by repeat"
    known = done(table, 'data', 'target', 'N', 'repeat', 'method')
    draws = ((repeat, name, n) for repeat in range(repeats) for name in tasks for n in sizes[name])
    for repeat,name,n in draws:
        if labels and n not in labels: continue
        for target,method in itertools.product(columns[name], asked):
            if (name, target, n, repeat, method) in known or not applies(method, name): continue
            found = measure(method, draw(name, target, n, repeat))
            append_table(table, [dict(data=name, target=target, N=n, repeat=repeat, method=method, **found)])

# --- what it comes to; the data set is the unit ---

def wide(runs, value):
    "A column per method, a row per draw that all of them have; constant scores correlate 0 with anything"
    runs = runs[~runs.method.isin(searchers)].fillna({value: 0}) if value=='spearman' else runs
    return runs.pivot_table(index=['data', 'target', 'N', 'repeat'], columns='method', values=value).dropna()

def per_data_set(table):
    "Means over draws, a row per data set; its columns of labels count as one"
    return table.groupby('data').mean()

def ranks(runs, value, seed=0):
    """Mean rank of every method, 1 is best, how far it is behind `AutoBuild`'s, and wins of `AutoBuild`

    Methods are ranked within every draw, ties sharing their rank; ranks are averaged per data set, then over data
    sets; the 95 % intervals are bootstraps over data sets. A win is a data set on which AutoBuild's mean is the
    better one."""
    found = wide(runs, value)
    place = per_data_set(found.rank(axis=1, ascending=value=='regret'))
    drawn = np.random.default_rng(seed).integers(len(place), size=(10_000, len(place)))
    def interval(of_data_sets): return np.quantile(of_data_sets.to_numpy()[drawn].mean(1), [.025, .975], axis=0)
    behind = place.sub(place['AutoBuild'], axis=0)
    (low, high), (behind_low, behind_high) = interval(place), interval(behind)
    means = per_data_set(found).round(6)
    better = means.gt(means['AutoBuild'], axis=0) if value=='regret' else means.lt(means['AutoBuild'], axis=0)
    return pd.DataFrame(dict(rank=place.mean(), low=low, high=high, behind=behind.mean(), behind_low=behind_low,
                             behind_high=behind_high, wins=better.sum(),
                             ties=means.eq(means['AutoBuild'], axis=0).sum(), data_sets=len(place), draws=len(found)))

def summary(table):
    "Save the ranks: over all N those of the methods that were always asked, at N = 50 those of all"
    runs, out = pd.read_csv(table), {}
    runs = runs[runs.method!='GRAF forest'] # Not on every data set
    for part,names in (('unseen', unseen), ('took part', took_part)):
        rows = runs[runs.data.isin(names)]
        often = rows[~rows.method.isin(slow)]
        asked = {'all N': often, 'N = 50, the slow ones too': rows[rows.N==50]}
        for (which,chosen),value in itertools.product(asked.items(), ('regret', 'spearman')):
            if len(chosen): out[part, which, value] = ranks(chosen, value)
    found = pd.concat(out, names=['part', 'labels', 'by'])
    found.to_csv(table.with_name('comparison_ranks.csv'), float_format='%.4g')
    print(found.round(2).to_string())

def main():
    ask = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ask.add_argument('--tasks', nargs='+', default=list(columns), choices=list(columns))
    ask.add_argument('--labels', nargs='+', type=int, choices=sorted({n for of in sizes.values() for n in of}))
    ask.add_argument('--methods', nargs='+', default=[m for m in methods if m not in slow], choices=methods)
    ask.add_argument('--repeats', type=int, default=20)
    ask.add_argument('--table', type=Path, default=results/'comparison.csv')
    ask.add_argument('--choose', action='store_true')
    ask.add_argument('--summary', action='store_true')
    asked = ask.parse_args()
    if asked.summary: return summary(asked.table)
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    if asked.choose: return choose(results/'comparison_scales.csv')
    measure_all(asked.table, asked.tasks, asked.labels, asked.methods, asked.repeats)
    summary(asked.table)

if __name__=='__main__': main()

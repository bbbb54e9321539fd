"""ImageNet classification on several devices: what matters, what is built for which target, how much of the front.

    python benchmarks/case_imagenet.py              # every part below; what is already measured is kept
    python benchmarks/case_imagenet.py fronts       # one part: hops, features, targets, fronts, accel

OFA-ProxylessNAS has SURROGATE labels, outputs of the paper's authors' predictors. What a new network is worth is said
by an oracle of another kind than AutoBuild: for each metric a Gaussian process on plain features, fitted to all 3,000
labels (`construction.py oracles` judges it). Accel-NASBench has real ImageNet accuracies and measured throughputs, so
there only networks of the pool of 5,138 count. About 40 minutes of one core in all.
"""
import argparse, itertools, warnings
from functools import cache
from pathlib import Path

import numpy as np, pandas as pd, torch

import baselines, logs
from autobuild import AutoBuild, load_dataset
from autobuild.construction import best_products
from autobuild.fronts import hypervolume, on_front, simplex
from autobuild.importance import feature_scores, standalone
from autobuild.spaces import Candidates
from construction import nsga2, oracle, plain_features

results = Path(__file__).parent/'results'
metrics, devices = ['accuracy', 'latency_gpu', 'latency_cpu', 'latency_npu'], ['gpu', 'cpu', 'npu']
equations = { # The paper's; accuracy from 0 to 1, GPU and NPU latency in ms, CPU latency in s
    'gpu': ['100^accuracy', '100^accuracy / log10(latency_gpu)', 'sqrt(accuracy) - sqrt(latency_gpu)/4',
            'accuracy / latency_gpu'],
    'cpu': ['100^accuracy', 'accuracy - latency_cpu/1000', 'accuracy - sqrt(latency_cpu/1000)/2',
            'accuracy / latency_cpu'],
    'npu': ['100^accuracy', '100^accuracy / log10(latency_npu)', 'accuracy - log10(latency_npu)',
            'accuracy / latency_npu']}
accelerators = [f'throughput_{name}' for name in ('a100', '3090', 'tpuv2', 'tpuv3', 'zcu102', 'vck190')]

def table(part): return results/f'case_imagenet_{part}.csv'

def done(part, *keys):
    "The keys of a part's saved rows"
    return logs.done(table(part), *keys)

def add(part, rows):
    "Append rows at once"
    logs.append_table(table(part), rows, digits=5)

def scores_in_contexts(ab, stage, numbers):
    "The scores of a few modules of a stage: the mean prediction of the contexts that have them"
    modules, space = ab.space.modules[stage-1], ab.space
    return np.mean([ab.predict([space.with_module(context, stage, modules.config(i)) for i in numbers])
                    for context in ab.contexts], 0)

def sum_of_modules(ab, archs):
    "The sum of a network's module scores, for every network"
    total = 0
    for stage,modules in enumerate(ab.space.modules, 1):
        numbers, place = np.unique([modules.number(arch.stages[stage-1]) for arch in archs], return_inverse=True)
        if ab.readout in standalone or 10*len(numbers)>len(modules): scores = ab.module_scores(stage).mean(0)[numbers]
        else: scores = scores_in_contexts(ab, stage, numbers)
        total = total+scores[place]
    return total

@cache
def pn(): return load_dataset('ofa_pn_surrogate')

def worth(archs):
    "What the oracles say of networks, a column a metric"
    return pd.DataFrame({m: oracle(pn().name, m)(archs) for m in metrics})

@cache
def fitted(metric, seed, n=300):
    "The default fit to n labels"
    return AutoBuild(metric, seed=seed).fit(pn().sample(n, seed)[0], progress=False)

# --- parts ---

def hops(seeds=range(3), n=2700):
    "Rank correlation of every hop: 2,700 labels and one network, as in the paper; 300 labels and the default ten"
    one = dict(ensemble=1, width=32)
    for metric,seed,(count,settings) in itertools.product(metrics, seeds, ((n, one), (300, {}))):
        if (metric, count, seed) in done('hops', 'metric', 'N', 'seed'): continue
        train = pn().sample(count, seed)[0]
        if settings: ab = AutoBuild(metric, seed=seed, **settings).fit(train, progress=False)
        else: ab = fitted(metric, seed)
        rest = pn().sample(n, seed)[1]
        row = dict(metric=metric, N=count, networks=ab.ensemble, seed=seed, tested=len(rest))
        add('hops', [row | dict(ab.evaluate(rest).spearman)])

def features(seeds=range(3)):
    "The FE-MLP's scores of kernel size and expansion ratio, beside the model-free reference"
    for metric,seed in itertools.product(metrics, seeds):
        if (metric, seed) in done('features', 'metric', 'seed'): continue
        ab = fitted(metric, seed)
        scores = feature_scores(ab.predictor, ab.predictor.encoder(list(ab.train.archs)))
        scores = scores[scores.feature.isin(['kernel', 'expansion'])]
        profile = ab.block_profile()[['feature', 'choice', 'score', 'error']]
        both = scores.merge(profile, on=['feature', 'choice'], suffixes=('', '_profile'))
        add('features', both.assign(metric=metric, seed=seed, N=300))

def targets(seeds=range(2), n=50):
    "Fifty networks built for each of the paper's target equations from 300 labels"
    formulas = dict.fromkeys(formula for of_device in equations.values() for formula in of_device)
    for seed,target in itertools.product(seeds, formulas):
        if (seed, target) in done('targets', 'seed', 'target'): continue
        built = fitted(target, seed).construct(n, progress=False)
        depth = [len(arch.rows) for arch in built.archs]
        add('targets', worth(built.archs).assign(depth=depth, target=target, seed=seed))

def mutant(arch, space, seed):
    "A network of the space that differs in one stage, drawn anew depth first, or in one layer"
    rng, other = np.random.default_rng(seed), space.sample(1, seed)[0]
    stage = int(rng.integers(len(space.stages)))
    if rng.random()<.5: return space.with_module(arch, stage+1, other.stages[stage])
    layers = list(arch.stages[stage]['layers'])
    layers[int(rng.integers(len(layers)))] = other.stages[stage]['layers'][0]
    return space.with_module(arch, stage+1, dict(arch.stages[stage], layers=layers))

def evolution(first, child, value, objectives, seed, rounds=4, size=50):
    "What the first networks and rounds of children of those that no other dominates are worth"
    rng, archs = np.random.default_rng(seed), list(dict.fromkeys(first))
    found = value(archs)
    for i in range(rounds):
        parents, new = np.flatnonzero(on_front(found, objectives)), {}
        for j in range(100*size):
            if len(new)==size: break
            a = child(archs[rng.choice(parents)], int(rng.integers(1<<31)))
            if a not in archs: new[a] = 1
        archs += new
        found = pd.concat([found, value(list(new))], ignore_index=True)
    return found

def built_front(seed, cost, objectives, value):
    ab = fitted('accuracy', seed)
    ab._others[cost] = fitted(cost, seed)
    return value(ab.construct_front(objectives, weights=25, each=10, progress=False).archs)

def reduced_evolution(seed, cost, objectives, value):
    ab, space = fitted('accuracy', seed), pn().space
    ab._others[cost] = fitted(cost, seed)
    few = ab.reduced_space(objectives, top=10)
    lists = [few[few.stage==stage].module.tolist() for stage in range(1, len(space.stages)+1)]
    def drawn(rng): return space.check(' | '.join(modules[int(rng.integers(len(modules)))] for modules in lists))
    def child(arch, seed):
        rng = np.random.default_rng(seed)
        stage = int(rng.integers(len(lists)))
        return space.with_module(arch, stage+1, drawn(rng).stages[stage])
    rng = np.random.default_rng([seed, 3])
    return evolution([drawn(rng) for _ in range(50)], child, value, objectives, seed)

def child_of(arch, seed): return mutant(arch, pn().space, seed)

def full_evolution(seed, cost, objectives, value):
    return evolution(pn().space.sample(50, 10_000+seed), child_of, value, objectives, seed)

def labelled_evolution(seed, cost, objectives, value, n=300):
    "From the labelled networks on, five rounds of 50"
    return evolution(pn().sample(n, seed)[0].archs, child_of, value, objectives, seed, rounds=5)[n:]

def at_random(seed, cost, objectives, value): return value(pn().space.sample(250, 10_000+seed))

def none_more(seed, cost, objectives, value): return value(pn().archs[:1])[:0]

def ridge_front(seed, cost, objectives, value, n=300):
    "The same sweep over what each module adds in two ridge regressions"
    train, space, parts, found = pn().sample(n, seed)[0], pn().space, [], {}
    for sign,metric in ((1, 'accuracy'), (-1, cost)):
        labels = train.target(metric)
        parts.append([sign*scores/labels.std() for scores in baselines.ridge_modules(train, labels)])
    for weights in simplex(2, 25):
        scores = [weights[0]*accuracy+weights[1]*other for accuracy,other in zip(*parts)]
        fresh = (numbers for _,numbers in best_products(scores) if numbers not in found)
        found |= dict.fromkeys(itertools.islice(fresh, 10))
    return value(Candidates(space, list(found), [0]*len(found)))

class Scores:
    "What a predictor of each objective says of networks, larger is better"
    count = 2
    def __init__(self, accuracy, cost): self.accuracy, self.cost = accuracy, cost
    def __call__(self, archs): return np.stack([self.accuracy(archs), -self.cost(archs)], 1)

def searched(scores, seed, calls=25_000, size=250):
    "The best distinct networks, at most 250, of the 500 that NSGA-II ends with after 25,000 looks at predictions"
    return list(dict.fromkeys(nsga2(pn().space, scores, calls, seed, population=2*size)[1]))[:size]

def searched_by_ours(seed, cost, objectives, value):
    "NSGA-II by AutoBuild's predictors"
    return value(searched(Scores(fitted('accuracy', seed).predict, fitted(cost, seed).predict), seed))

def searched_by_boosting(seed, cost, objectives, value, n=300):
    "NSGA-II by gradient boosting on plain features"
    train, features = pn().sample(n, seed)[0], plain_features(pn().name)
    def fitted_to(metric):
        model = baselines.boosting(seed).fit(features(train.archs), train.target(metric))
        return lambda archs: model.predict(features(archs))
    return value(searched(Scores(fitted_to('accuracy'), fitted_to(cost)), seed))

ways = {'labelled only': none_more, 'random': at_random, 'built by ridge': ridge_front,
        'evolution, full space': full_evolution, 'evolution from the labelled': labelled_evolution,
        'evolution, reduced space': reduced_evolution, 'NSGA-II, boosting': searched_by_boosting,
        'NSGA-II, our predictors': searched_by_ours, 'built': built_front}

def fronts(seeds=range(5), n=300):
    "Hypervolume of 300 labelled networks and 250 more: built, searched, or at random"
    known = done('fronts', 'seed', 'device', 'method')
    todo = [draw for draw in itertools.product(seeds, devices, ways) if draw not in known]
    labelled = worth(pn().archs) if todo else None
    for seed,device,way in todo:
        cost, objectives = f'latency_{device}', ['accuracy', f'-latency_{device}']
        def value(archs): return pd.DataFrame({name: oracle(pn().name, name)(archs) for name in ('accuracy', cost)})
        corner = dict(accuracy=labelled.accuracy.min(), **{cost: labelled[cost].max()})
        more, seen = ways[way](seed, cost, objectives, value), value(pn().sample(n, seed)[0].archs)
        volume = hypervolume(pd.concat([seen, more]), objectives, corner)/hypervolume(labelled, objectives, corner)
        add('fronts', [dict(device=device, seed=seed, method=way, networks=len(more), volume=volume)])
        if seed: continue
        shown = more if len(more) else seen
        front = shown[on_front(shown, objectives)].rename(columns={cost: 'latency'})
        add('front_networks', front.assign(device=device, method=way))

def scalarised(parts, rows, n):
    "The n pool networks that lead a sweep of weights over standardised scores"
    parts, found = [(p-p.mean())/p.std() for p in parts], {}
    weights = simplex(2, 20)
    for i in range(n):
        for w in weights:
            score = w[0]*parts[0]+w[1]*parts[1]
            score[[*rows, *found]] = -np.inf
            found[int(np.argmax(score))] = 1
            if len(found)==n: return np.array(list(found))

def pool_evolution(x, table, objectives, rows, n, seed):
    "The labelled networks, and one at a time the nearest network not yet evaluated to a child of the front"
    rng, seen, free = np.random.default_rng(seed), list(rows), np.ones(len(table), bool)
    free[seen] = False
    while len(seen)<len(rows)+n:
        front = np.flatnonzero(on_front(table.iloc[seen], objectives))
        seen.append(baselines.nearest(x, x[seen[rng.choice(front)]].toarray()[0], free, rng))
        free[seen[-1]] = False
    return np.array(seen[len(rows):])

def picked(device, data, x, rows, more, seed, sums, ridged):
    "{method: the numbers of `more` networks of the pool that it picks}"
    objectives, rest = ['accuracy', device], np.setdiff1d(np.arange(len(data)), rows)
    picks = {'random': np.random.default_rng([seed, 2]).permutation(rest)[:more],
             'evolution': pool_evolution(x, data.table[objectives], objectives, rows, more, seed),
             'ridge, sweep': scalarised([ridged['accuracy'], ridged[device]], rows, more),
             'AutoBuild, sweep': scalarised([sums['accuracy'], sums[device]], rows, more)}
    if seed<3:
        product = AutoBuild(f'accuracy * {device}', seed=seed).fit(data[rows], progress=False).predict(data)
        first = rest[np.argsort(-product[rest], kind='stable')[:more]]
        picks['AutoBuild, accuracy x throughput'] = first
    return picks

def volumes(device, data, rows, picks, seed):
    "A row for each method: how much of the pool's hypervolume and of its front the labelled and the picked have"
    objectives, table = ['accuracy', device], data.table[['accuracy', device]]
    corner, front = dict(table.min()), np.flatnonzero(on_front(table, objectives))
    whole, out = hypervolume(table, objectives, corner), []
    for method,chosen in {'labelled only': rows[:0], **picks}.items():
        seen = np.concatenate([rows, chosen]).astype(int)
        depth = np.mean([len(data.archs[i].rows) for i in chosen]) if len(chosen) else np.nan
        volume = hypervolume(table.iloc[seen], objectives, corner)/whole
        out.append(dict(device=device, seed=seed, method=method, networks=len(chosen), volume=volume,
                        of_front=np.isin(front, seen).mean(), depth=depth))
    return out

def shown(device, data, picks):
    "The picked networks and the front of the pool, for a picture"
    table = data.table[['accuracy', device]]
    front = np.flatnonzero(on_front(table, ['accuracy', device]))
    return pd.concat([table.iloc[chosen].rename(columns={device: 'throughput'}).assign(device=device, method=method)
                      for method,chosen in {**picks, 'front of the pool': front}.items()])

def accel(seeds=range(10), n=100, more=100):
    "Accel-NASBench: hypervolume of 100 labelled networks and 100 more of the pool, for six accelerators"
    every = load_dataset('accel_nasbench')
    data = every[np.flatnonzero(every.table[accelerators].notna().all(axis=1))]
    x = baselines.one_hot(data)
    for seed in seeds:
        todo = [device for device in accelerators if (device, seed) not in done('accel', 'device', 'seed')]
        if not todo: continue
        rows, names = np.random.default_rng([seed, n]).permutation(len(data))[:n], ['accuracy', *todo]
        models = {name: AutoBuild(name, seed=seed).fit(data[rows], progress=False) for name in names}
        sums = {name: sum_of_modules(ab, data.archs) for name,ab in models.items()}
        scaled = {name: baselines.on_label_scale(data.target(name)[rows]) for name in names}
        ridged = {name: baselines.ridge(x, rows, labels) for name,labels in scaled.items()}
        for device in todo:
            picks = picked(device, data, x, rows, more, seed, sums, ridged)
            add('accel', volumes(device, data, rows, picks, seed))
            if not seed: add('accel_networks', shown(device, data, picks))

parts = dict(hops=hops, features=features, targets=targets, fronts=fronts, accel=accel)

if __name__=='__main__':
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument('parts', nargs='*', choices=parts)
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    for part in ask.parse_args().parts or parts:
        parts[part]()
        print(part, 'done', flush=True)

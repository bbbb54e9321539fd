"""ImageNet classification on several devices: what matters, what gets built for which target, and how much of the front.

    python benchmarks/case_imagenet.py              # every part below; what is already measured is kept
    python benchmarks/case_imagenet.py fronts       # one part: oracle, hops, features, targets, fronts, accel

OFA-ProxylessNAS has SURROGATE labels, outputs of the paper's authors' predictors. What a new network is worth is said by
an oracle: for each metric an ensemble fitted to all 3,000 labels. Accel-NASBench has real ImageNet accuracies and
measured throughputs, so there only networks of the pool of 5,138 count. About 25 minutes of one core in all.
"""
import itertools, sys, warnings
from functools import cache
from pathlib import Path

import numpy as np, pandas as pd, torch

import baselines, logs
from autobuild import Architecture, AutoBuild, load_dataset
from autobuild.construction import best_products
from autobuild.fronts import hypervolume, on_front, simplex
from autobuild.importance import Modules
from label_efficiency import loaded, sum_of_modules
from module_truth import ridge, ridge_scores

results, kept = Path(__file__).parent/'results', Path(__file__).parent/'cache'
metrics, devices = ['accuracy', 'latency_gpu', 'latency_cpu', 'latency_npu'], ['gpu', 'cpu', 'npu']
equations = { # The paper's; accuracy from 0 to 1, GPU and NPU latency in ms, CPU latency in s
    'gpu': ['100^accuracy', '100^accuracy / log10(latency_gpu)', 'sqrt(accuracy) - sqrt(latency_gpu)/4', 'accuracy / latency_gpu'],
    'cpu': ['100^accuracy', 'accuracy - latency_cpu/1000', 'accuracy - sqrt(latency_cpu/1000)/2', 'accuracy / latency_cpu'],
    'npu': ['100^accuracy', '100^accuracy / log10(latency_npu)', 'accuracy - log10(latency_npu)', 'accuracy / latency_npu']}
accelerators = ['throughput_a100', 'throughput_3090', 'throughput_tpuv2', 'throughput_tpuv3', 'throughput_zcu102', 'throughput_vck190']

def table(part): return results/f'case_imagenet_{part}.csv'

def done(part, *keys):
    "The keys of a part's saved rows"
    return logs.done(table(part), *keys)

def add(part, rows):
    "Append rows at once"
    logs.append_table(table(part), rows, digits=5)

@cache
def pn(): return load_dataset('ofa_pn_surrogate')

@cache
def oracle(metric):
    "An ensemble fitted to all labels of a metric; kept in a folder"
    if not (kept/metric).exists():
        ab = AutoBuild(metric, ensemble=3, width=32, seed=1000, steps=1500, batch=128, contexts=1).fit(pn(), progress=False)
        add('oracle', [dict(metric=metric, N=len(pn()), held_out=ab.heldout['prediction'])])
        ab.save(kept/metric)
    return AutoBuild.load(kept/metric)

def worth(archs):
    "What the oracles say of networks, a column a metric"
    return pd.DataFrame({m: oracle(m).predict(archs) for m in metrics})

@cache
def fitted(metric, seed, n=300):
    "The default fit to n labels"
    return AutoBuild(metric, seed=seed).fit(pn().sample(n, seed)[0], progress=False)

# --- parts ---

def hops(seeds=range(3), n=2700):
    "Rank correlation of every hop with 2,700 labels and one network, as in the paper, and with 300 labels and the default ten"
    for metric in metrics:
        for seed in seeds:
            for k,options in ((n, dict(ensemble=1, width=32)), (300, {})):
                if (metric, k, seed) in done('hops', 'metric', 'N', 'seed'): continue
                ab = AutoBuild(metric, seed=seed, **options).fit(pn().sample(k, seed)[0], progress=False) if options else fitted(metric, seed)
                rest = pn().sample(n, seed)[1]
                add('hops', [dict(metric=metric, N=k, networks=ab.ensemble, seed=seed, tested=len(rest), **ab.evaluate(rest).spearman)])

def features(seeds=range(3)):
    "Scores of kernel size and expansion ratio, beside the model-free reference"
    for metric in metrics:
        for seed in seeds:
            if (metric, seed) in done('features', 'metric', 'seed'): continue
            ab = fitted(metric, seed)
            both = ab.feature_importance().query("feature in ('kernel', 'expansion')").merge(ab.block_profile()[['feature', 'choice', 'score', 'error']], on=['feature', 'choice'], suffixes=('', '_profile'))
            add('features', both.assign(metric=metric, seed=seed, N=300))

def targets(seeds=range(2), n=50):
    "Fifty networks built for each of the paper's target equations from 300 labels"
    for seed in seeds:
        for target in dict.fromkeys(t for o in equations.values() for t in o):
            if (seed, target) in done('targets', 'seed', 'target'): continue
            built = AutoBuild(target, seed=seed).fit(pn().sample(300, seed)[0], progress=False).construct(n, progress=False)
            depth = [len(a.rows) for a in built.archs]
            add('targets', worth(built.archs).assign(depth=depth, target=target, seed=seed))

def mutant(arch, space, seed):
    "A network of the space that differs in one stage, drawn anew depth first, or in one layer"
    rng, other = np.random.default_rng(seed), space.sample(1, seed)[0]
    u = int(rng.integers(len(space.stages)))
    if rng.random()<.5: return space.put(arch, u+1, other.stages[u])
    layers = list(arch.stages[u]['layers'])
    layers[int(rng.integers(len(layers)))] = other.stages[u]['layers'][0]
    return space.put(arch, u+1, dict(arch.stages[u], layers=layers))

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
    lists = [few[few.stage==u].module.tolist() for u in range(1, len(space.stages)+1)]
    def drawn(rng): return space.check(' | '.join(o[int(rng.integers(len(o)))] for o in lists))
    def child(arch, seed):
        rng = np.random.default_rng(seed)
        u = int(rng.integers(len(lists)))
        return space.put(arch, u+1, drawn(rng).stages[u])
    rng = np.random.default_rng([seed, 3])
    return evolution([drawn(rng) for _ in range(50)], child, value, objectives, seed)

def full_evolution(seed, cost, objectives, value):
    return evolution(pn().space.sample(50, 10_000+seed), lambda a, s: mutant(a, pn().space, s), value, objectives, seed)

def labelled_evolution(seed, cost, objectives, value, n=300):
    "From the labelled networks on, five rounds of 50"
    return evolution(pn().sample(n, seed)[0].archs, lambda a, s: mutant(a, pn().space, s), value, objectives, seed, rounds=5)[n:]

def at_random(seed, cost, objectives, value): return value(pn().space.sample(250, 10_000+seed))

def none_more(seed, cost, objectives, value): return value(pn().archs[:1])[:0]

def ridge_front(seed, cost, objectives, value, n=300):
    "The same sweep over what each module adds in two ridge regressions"
    train, space, parts, found = pn().sample(n, seed)[0], pn().space, [], {}
    for sign,metric in ((1, 'accuracy'), (-1, cost)):
        y = train.target(metric)
        parts.append([sign*s/y.std() for s in ridge_scores(ridge(train, y), space)])
    modules = [Modules(s) for s in space.stages]
    for w in simplex(2, 25):
        made = (Architecture([m.config(i) for m,i in zip(modules, t)]) for _,t in best_products([w[0]*a+w[1]*b for a,b in zip(*parts)]))
        found |= dict.fromkeys(itertools.islice((a for a in made if a not in found), 10))
    return value(list(found))

ways = {'labelled only': none_more, 'random': at_random, 'built by ridge': ridge_front, 'evolution, full space': full_evolution, 'evolution from the labelled': labelled_evolution, 'evolution, reduced space': reduced_evolution, 'built': built_front}

def fronts(seeds=range(5), n=300):
    "Hypervolume of 300 labelled networks and 250 more, from construction, evolution and at random"
    todo = [(s, d, w) for s in seeds for d in devices for w in ways if (s, d, w) not in done('fronts', 'seed', 'device', 'method')]
    labelled = worth(pn().archs) if todo else None
    for seed,device,way in todo:
        cost, objectives = f'latency_{device}', ['accuracy', f'-latency_{device}']
        def value(archs): return pd.DataFrame({m: oracle(m).predict(archs) for m in ('accuracy', cost)})
        corner = dict(accuracy=labelled.accuracy.min(), **{cost: labelled[cost].max()})
        more, own = ways[way](seed, cost, objectives, value), value(pn().sample(n, seed)[0].archs)
        volume = hypervolume(pd.concat([own, more]), objectives, corner)/hypervolume(labelled, objectives, corner)
        add('fronts', [dict(device=device, seed=seed, method=way, networks=len(more), volume=volume)])
        if not seed:
            t = more if len(more) else own
            add('front_networks', t[on_front(t, objectives)].rename(columns={cost: 'latency'}).assign(device=device, method=way))

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

def accel(seeds=range(10), n=100, more=100):
    "Accel-NASBench: hypervolume of 100 labelled networks and 100 more of the pool, for six accelerators"
    task = loaded('accel_nasbench')
    complete = np.flatnonzero(task.data.table[accelerators].notna().all(axis=1))
    data, x = task.data[complete], task.plain[complete]
    for seed in seeds:
        todo = [d for d in accelerators if (d, seed) not in done('accel', 'device', 'seed')]
        if not todo: continue
        rows = np.random.default_rng([seed, n]).permutation(len(data))[:n]
        rest, train = np.setdiff1d(np.arange(len(data)), rows), data[rows]
        sums = {m: sum_of_modules(AutoBuild(m, seed=seed).fit(train, progress=False), data.archs) for m in ['accuracy', *todo]}
        ridged = {m: baselines.ridge(x, rows, data.target(m)[rows]) for m in ['accuracy', *todo]}
        for d in todo:
            objectives, t = ['accuracy', d], data.table[['accuracy', d]]
            quotient = f'accuracy * {d}'
            one = AutoBuild(quotient, seed=seed).fit(train, progress=False).predict(data) if seed<3 else None
            picks = {'random': np.random.default_rng([seed, 2]).permutation(rest)[:more], 'evolution': pool_evolution(x, t, objectives, rows, more, seed),
                     'ridge, sweep': scalarised([ridged['accuracy'], ridged[d]], rows, more), 'AutoBuild, sweep': scalarised([sums['accuracy'], sums[d]], rows, more)}
            if one is not None: picks['AutoBuild, accuracy x throughput'] = rest[np.argsort(-one[rest], kind='stable')[:more]]
            corner, true = dict(t.min()), np.flatnonzero(on_front(t, objectives))
            whole = hypervolume(t, objectives, corner)
            def line(method, chosen):
                seen = np.concatenate([rows, chosen]).astype(int)
                return dict(device=d, seed=seed, method=method, networks=len(chosen), volume=hypervolume(t.iloc[seen], objectives, corner)/whole,
                            of_front=np.isin(true, seen).mean(), depth=np.mean([len(data.archs[i].rows) for i in chosen]) if len(chosen) else np.nan)
            add('accel', [line('labelled only', rows[:0])]+[line(k, v) for k,v in picks.items()])
            if not seed: add('accel_networks', pd.concat([t.iloc[v].rename(columns={d: 'throughput'}).assign(device=d, method=k) for k,v in {**picks, 'front of the pool': true}.items()]))

parts = dict(oracle=lambda: [oracle(m) for m in metrics], hops=hops, features=features, targets=targets, fronts=fronts, accel=accel)
if __name__=='__main__':
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    for part in sys.argv[1:] or parts:
        parts[part]()
        print(part, 'done', flush=True)

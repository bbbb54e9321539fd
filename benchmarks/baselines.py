"""Other ways to find good networks in a pool: regressors on its terms, a kernel on graphs, evolution, TPE.

A scorer `f(x, train_rows, y_train, seed)` gives every network of the pool a score, higher is better; `x` is a matrix
(pool, terms), dense or sparse, made once per data set. A searcher spends `budget` evaluations on the pool and gives the
evaluated rows in order.
"""
import warnings

import numpy as np
from scipy import sparse
from scipy.stats import norm
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import RidgeCV

from autobuild import Architecture
from autobuild.warping import Warp

# --- what a regressor sees ---

def topology(n, edges):
    "A stage's wiring as text: the layer count of a chain, the edges of a cell"
    return str(n) if edges is None else f"{n}: {' '.join(f'{a}>{b}' for a,b in sorted(edges))}"

def choices(arch):
    "Everything that was chosen: (stage, layer, feature) -> choice; layer 0 is the stage itself, stage 0 the network"
    out = {(0, 0, k): v for k,v in arch.network.items()}
    for u,s in enumerate(arch.stages, 1):
        out[u, 0, 'topology'] = topology(len(s['layers']), s.get('edges'))
        out |= {(u, 0, k): v for k,v in s.items() if k not in ('layers', 'edges')}
        out |= {(u, l, k): v for l,layer in enumerate(s['layers'], 1) for k,v in layer.items()}
    return out

def columns(pool):
    "(place, choice) -> column, for a pool given as dictionaries of choices"
    return {t: i for i,t in enumerate(dict.fromkeys(t for c in pool for t in c.items()))}

def _matrix(pool, known):
    "The 0/1 matrix of a pool; `known` is what `columns` gives"
    places = [[known[term] for term in chosen.items()] for chosen in pool]
    ends = np.cumsum([0, *map(len, places)])
    return sparse.csr_matrix((np.ones(ends[-1], np.float32), np.concatenate(places), ends), (len(pool), len(known)))

def one_hot(data):
    "Every (place, feature, choice) as a column, sparse (pool, terms); an interval counts at the nearest of its steps"
    pool = stepped(data)
    return _matrix(pool, columns(pool))

def stepped(data):
    "What was chosen in every network, intervals at the nearest of their steps"
    allowed = parameters(data.space)
    def step(place, value):
        if value in allowed[place]: return value
        return min(allowed[place], key=lambda option: abs(option-value))
    return [{place: step(place, value) for place,value in choices(arch).items()} for arch in data.archs]

def on_label_scale(labels):
    "Labels as AutoBuild's own parts are told them, which serves baselines better, too (`choose` in comparison.py)"
    return Warp.fit(labels).warp(labels)

def dense(x):
    "A matrix, sparse or not, as an array"
    return x.toarray() if sparse.issparse(x) else x

# --- scorers ---

def _fitted_ridge(x, labels):
    "Ridge regression, its penalty chosen by leave-one-out"
    return RidgeCV(np.logspace(-3, 4, 15)).fit(dense(x), labels)

def ridge(x, train_rows, y_train, seed=0):
    "Ridge regression"
    fit = _fitted_ridge(x[train_rows], y_train)
    return x@fit.coef_+fit.intercept_

def alike_in_cost(archs, pool, cost, apart=.02):
    "For each network the first of a pool that is not taken yet and costs as much, within 2 %; `cost` of networks"
    costs, found = np.array(cost(pool)), []
    for wanted in cost(archs):
        near = [pool[i] for i in np.flatnonzero(abs(costs-wanted)<=apart*wanted) if pool[i] not in found]
        if not near: raise ValueError(f'no network of the pool costs about {wanted:,}')
        found.append(near[0])
    return found

def module_numbers(space, archs):
    "(networks, stages): which module every network has at each stage"
    return np.array([[known.number(stage) for known,stage in zip(space.modules, arch.stages)] for arch in archs])

def ridge_modules(data, labels):
    "What every module adds in a ridge regression on plain terms: one array per stage; unseen terms add 0"
    weights = dict(zip(columns(choices(arch) for arch in data.archs), _fitted_ridge(one_hot(data), labels).coef_))
    def worth(stage, config):
        chosen = choices(Architecture([config])) # Its only stage has number 1
        return sum(weights.get(((stage, *place[1:]), value), 0) for place,value in chosen.items())
    return [np.array([worth(stage, modules.config(i)) for i in range(len(modules))])
            for stage,modules in enumerate(data.space.modules, 1)]

def random_forest(x, train_rows, y_train, seed=0, share=1/3):
    "A random forest of 200 trees; each question is chosen among a share of the terms"
    forest = RandomForestRegressor(200, max_features=share, random_state=seed, n_jobs=1)
    return forest.fit(dense(x[train_rows]), y_train).predict(dense(x))

def boosting(seed=0):
    "300 small trees, each on a random part of the labels and of the terms"
    return GradientBoostingRegressor(n_estimators=300, learning_rate=.05, max_depth=3, min_samples_leaf=3,
                                     subsample=.7, max_features=.3, random_state=seed)

def gradient_boosting(x, train_rows, y_train, seed=0):
    "Gradient boosting"
    return boosting(seed).fit(dense(x[train_rows]), y_train).predict(dense(x))

def _fitted_gaussian_process(x, train_rows, y_train, seed):
    "The model of `gaussian_process`, and the rows scaled as it wants them"
    x = dense(x)
    x = x/np.sqrt(np.square(x[train_rows]-x[train_rows].mean(0)).sum(1).mean())
    kernel = ConstantKernel(1., (1e-2, 1e3))*Matern(1., (.1, 100), nu=2.5)+WhiteKernel(.1, (1e-4, 10))
    fit = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=2, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConvergenceWarning)
        return fit.fit(x[train_rows], y_train), x

def gaussian_process(x, train_rows, y_train, seed=0):
    "A Gaussian process with a Matern kernel (nu = 5/2) of the distance between rows"
    fit, x = _fitted_gaussian_process(x, train_rows, y_train, seed)
    return fit.predict(x)

def weisfeiler_lehman(batch, kinds, hops=3):
    """How often each Weisfeiler-Lehman label occurs in each graph, sparse (graphs, labels), for 0, 1, ... hops

    A node's label at hop 0 is its row of `kinds`; at the next hop, its label and the sorted labels that it reads."""
    label, graph = np.unique(kinds, axis=0, return_inverse=True)[1].ravel(), batch.graph.numpy()
    sources, found = batch.sources.numpy(), []
    for _ in range(hops+1):
        found.append(sparse.csr_matrix((np.ones(len(label)), (graph, label)), (len(batch), label.max()+1)))
        read = np.sort(np.where(sources>=0, label[sources], -1), 0)
        label = np.unique(np.vstack([label, read]).T, axis=0, return_inverse=True)[1].ravel()
    return found

def weisfeiler_lehman_gp(found, train_rows, y_train, seed=0):
    "A Gaussian process on what `weisfeiler_lehman` gives, as in NAS-BOWL: the number of hops and the noise likeliest"
    n, y = len(train_rows), (y_train-y_train.mean())/y_train.std()
    products, lengths, best = 0, 0, (-np.inf, None)
    for x in found:
        products = products+(x@x[train_rows].T).toarray() # (pool, n)
        lengths = lengths+np.asarray(x.multiply(x).sum(1)).ravel()
        kernel = products/np.sqrt(np.outer(lengths, lengths[train_rows]))
        values, vectors = np.linalg.eigh(kernel[train_rows])
        turned = vectors.T@y
        for noise in np.logspace(-4, 1, 16):
            inner = values.clip(0)+noise # log p(y) where the kernel's scale is the likeliest: mean(turned^2/inner)
            likely = -n/2*np.log(np.mean(turned**2/inner))-np.log(inner).sum()/2
            if likely>best[0]: best = likely, kernel@(vectors@(turned/inner))
    return best[1]*y_train.std()+y_train.mean()

# --- searchers ---

def nearest(x, row, free, rng):
    "A random one of the free pool rows at the smallest Hamming distance from a 0/1 row"
    distance = np.asarray(x.sum(1)).ravel()-2*(x@row)
    distance[~free] = np.inf
    return rng.choice(np.flatnonzero(distance==distance.min()))

def regularised_evolution(x, y, budget, seed=0):
    "Regularised evolution: the oldest of min(20, budget/3) dies, the best of 5 has a child, the nearest free network"
    rng, free = np.random.default_rng(seed), np.ones(len(y), bool)
    size = max(2, min(20, budget//3))
    seen = list(rng.permutation(len(y))[:size])
    free[seen] = False
    while len(seen)<budget:
        parent = max(rng.choice(seen[-size:], min(5, size), replace=False), key=lambda i: y[i])
        seen.append(nearest(x, x[parent].toarray()[0], free, rng))
        free[seen[-1]] = False
    return np.array(seen)

def expected_improvement(x, y, budget, first, seed=0):
    "`first` at random, then always the one of most expected improvement by `gaussian_process` over the best seen"
    rows = list(np.random.default_rng(seed).permutation(len(y))[:first])
    while len(rows)<budget:
        fit, scaled = _fitted_gaussian_process(x, rows, y[rows], seed)
        mean, sd = fit.predict(scaled, return_std=True)
        above = mean-y[rows].max()
        gain = above*norm.cdf(above/sd)+sd*norm.pdf(above/sd) # E max(label - best, 0) of a normal label
        gain[rows] = -np.inf
        rows.append(gain.argmax())
    return np.array(rows)

def _name(place): return '{} {} {}'.format(*place)

def parameters(space):
    "Every parameter of a space: (stage, layer, feature) -> choices, a stage's wiring before the rest"
    out = {(0, 0, k): f.choices for k,f in space.network.items()}
    for u,s in enumerate(space.stages, 1):
        out[u, 0, 'topology'] = tuple(topology(*t) for t in s.topologies)
        out |= {(u, 0, k): f.choices for k,f in s.stage.items()}
        out |= {(u, l, k): f.choices for l in range(1, s.counts[-1]+1) for k,f in s.layer.items()}
    return out

def suggest(trial, params):
    "Ask for a whole network; layers beyond a stage's count are not asked for"
    out, count = {}, {}
    for (u, l, k),options in params.items():
        if k!='topology' and u and (l>count[u] or not count[u]): continue
        out[u, l, k] = trial.suggest_categorical(_name((u, l, k)), options)
        if k=='topology': count[u] = int(out[u, l, k].split(':')[0])
    return out

def tpe(data, x, y, budget, seed=0):
    "Optuna's multivariate TPE: told the choices and label of the nearest free network; `x` is `one_hot(data)`"
    import optuna
    from optuna.distributions import CategoricalDistribution
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True)
    study, params = optuna.create_study(direction='maximize', sampler=sampler), parameters(data.space)
    kinds = {place: CategoricalDistribution(o) for place,o in params.items()}
    pool = stepped(data)
    known = columns(pool)
    rng, free, seen = np.random.default_rng(seed), np.ones(len(y), bool), []
    for _ in range(budget):
        trial, row = study.ask(), np.zeros(x.shape[1])
        row[[known[term] for term in suggest(trial, params).items() if term in known]] = 1
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        seen.append(nearest(x, row, free, rng))
        free[seen[-1]] = False
        real = pool[seen[-1]]
        study.add_trial(optuna.create_trial(params={_name(place): value for place,value in real.items()},
                                            distributions={_name(place): kinds[place] for place in real},
                                            value=y[seen[-1]]))
    return np.array(seen)

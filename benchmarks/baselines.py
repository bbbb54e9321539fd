"""Other ways to find good networks in a pool: regressors on one-hot terms, BlockProfile, evolution, TPE, a plain GNN.

A scorer `f(x, train_rows, y_train, seed)` gives every network of the pool a score, higher is better; `x` comes from
`one_hot` (or `blocks`, for `block_profile`), once a data set. A searcher spends `budget` evaluations on the pool and
gives the evaluated rows in order.
"""
import warnings

import numpy as np
from scipy import sparse
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import RidgeCV

from autobuild import Architecture, AutoBuild

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

def block_choices(arch):
    "The same with all features of a layer, or of a stage, as one block"
    out = {}
    for (u, l, k),v in choices(arch).items(): out.setdefault((u, l, k=='topology'), []).append((k, v))
    return {place: tuple(o) for place,o in out.items()}

def columns(pool):
    "(place, choice) -> column, for a pool given as dictionaries of choices"
    return {t: i for i,t in enumerate(dict.fromkeys(t for c in pool for t in c.items()))}

def _matrix(pool, known):
    "The 0/1 matrix of a pool; `known` is what `columns` gives"
    places = [[known[term] for term in chosen.items()] for chosen in pool]
    ends = np.cumsum([0, *map(len, places)])
    return sparse.csr_matrix((np.ones(ends[-1], np.float32), np.concatenate(places), ends), (len(pool), len(known)))

def _with_pairs(x, least=5):
    "Append the products of all pairs of terms that `least` networks share, but for those that repeat a term"
    scale = np.sqrt(2/(x.sum(1).mean()-1)) # A network's pairs weigh as much as its terms
    both = (x.T@x).toarray()
    n, x = both.diagonal(), x.tocsc()
    i, j = np.nonzero(np.triu((both>=least) & (both<np.minimum.outer(n, n)), 1))
    return sparse.hstack([x, scale*x[:,i].multiply(x[:,j])], format='csr', dtype=np.float32)

def one_hot(data, pairs=False):
    "Every (place, feature, choice) as a column, sparse (pool, terms); `pairs` adds their scaled products"
    pool = [choices(a) for a in data.archs]
    x = _matrix(pool, columns(pool))
    return _with_pairs(x) if pairs else x

def blocks(data):
    "Every (place, block) as a column, a block being all features of a layer or of a stage"
    pool = [block_choices(a) for a in data.archs]
    return _matrix(pool, columns(pool))

# --- scorers ---

def _fitted_ridge(x, labels):
    "Ridge regression, its penalty chosen by leave-one-out"
    return RidgeCV(np.logspace(-2, 3, 11)).fit(x.toarray(), labels)

def ridge(x, train_rows, y_train, seed=0):
    "Ridge regression on plain or on pair terms"
    fit = _fitted_ridge(x[train_rows], y_train)
    return x@fit.coef_+fit.intercept_

def ridge_modules(data, labels):
    "What every module adds in a ridge regression on plain terms: one array per stage; unseen terms add 0"
    weights = dict(zip(columns(choices(arch) for arch in data.archs), _fitted_ridge(one_hot(data), labels).coef_))
    def worth(stage, config):
        chosen = choices(Architecture([config])) # Its only stage has number 1
        return sum(weights.get(((stage, *place[1:]), value), 0) for place,value in chosen.items())
    return [np.array([worth(stage, modules.config(i)) for i in range(len(modules))])
            for stage,modules in enumerate(data.space.modules, 1)]

def random_forest(x, train_rows, y_train, seed=0):
    "A random forest of 200 trees"
    forest = RandomForestRegressor(200, random_state=seed, n_jobs=1)
    return forest.fit(x[train_rows].toarray(), y_train).predict(x.toarray())

def gradient_boosting(x, train_rows, y_train, seed=0):
    "Gradient boosting with 300 small trees, each on a random part of the labels and of the terms"
    boosting = GradientBoostingRegressor(n_estimators=300, learning_rate=.05, max_depth=3, min_samples_leaf=3,
                                         subsample=.7, max_features=.3, random_state=seed)
    return boosting.fit(x[train_rows].toarray(), y_train).predict(x.toarray())

def gaussian_process(x, train_rows, y_train, seed=0):
    "A Gaussian process on one-hot terms, whose distance is the root of the number of differences"
    x = x.toarray()/np.sqrt(x.sum(1).mean())
    kernel = ConstantKernel(1., (1e-2, 1e3))*Matern(1., (.1, 100), nu=2.5)+WhiteKernel(.1, (1e-4, 10))
    fit = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=2, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConvergenceWarning)
        return fit.fit(x[train_rows], y_train).predict(x)

def block_profile(x, train_rows, y_train, seed=0):
    "BlockProfile: the mean label with a block at its place, minus the mean of all, summed; unseen blocks count 0"
    part = x[train_rows]
    n = np.asarray(part.sum(0)).ravel()
    return x@(part.T@(y_train-y_train.mean())/np.maximum(n, 1))

def plain_gnn(data, train_rows, seed=0, target='accuracy'):
    "One GNN of the paper's width trained on the squared error alone: no ranking loss, no warm-up, no ensemble"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        plain = AutoBuild(target, ensemble=1, width=32, steps=400, seed=seed, readout='regressor', rank_weight=0,
                          warmup=0)
        return plain.fit(data[train_rows], progress=False).predict(data)

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
    known = columns([choices(arch) for arch in data.archs])
    rng, free, seen = np.random.default_rng(seed), np.ones(len(y), bool), []
    for _ in range(budget):
        trial, row = study.ask(), np.zeros(x.shape[1])
        row[[known[term] for term in suggest(trial, params).items() if term in known]] = 1
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        seen.append(nearest(x, row, free, rng))
        free[seen[-1]] = False
        real = choices(data.archs[seen[-1]])
        study.add_trial(optuna.create_trial(params={_name(place): value for place,value in real.items()},
                                            distributions={_name(place): kinds[place] for place in real},
                                            value=y[seen[-1]]))
    return np.array(seen)

"""How good is construction? Fronts against NSGA-II, four descriptions of one space, 243 networks, limits kept.

    python benchmarks/construction.py                # adds to benchmarks/results/construction.csv, resumable
    python benchmarks/construction.py descriptions   # one part: fronts, descriptions, built, loop, sure, oracles
    python benchmarks/construction.py --summary      # means and spreads over draws

fronts: `construct_front` against pymoo's NSGA-II (`pip install pymoo`), which calls the same fitted predictors 50 times
as often. Judge: the same predictors; hypervolume above the worst labels. Ensembles of 3, so that 500,000 calls end.
descriptions: 24 layers with 27 choices each, written as 1x24, 6x4, 8x3 and 24x1 stages, the same labels; MADE-UP truths
that add up, or have pairs too; against a ridge on the same labels whose best network is found exactly. In label s.d.
built: 243 networks for OFA-PN from 300 SURROGATE labels. loop: 300 of its networks measured one batch after another,
against one shot and chance; `optimum` is what climbing on the oracle itself finds with 100,000 looks. sure: which part
of what is built under `latency < L` truly keeps it. What a network truly is, say Gaussian processes on plain features,
fitted to all labels: oracles that are not AutoBuild's. CPU seconds of one core.
"""
import argparse, itertools, multiprocessing, random, resource, tempfile, time, warnings
from functools import cache
from pathlib import Path

import numpy as np, pandas as pd, torch

import baselines, logs
from autobuild import AutoBuild, LabelledData, Space, improve, load_dataset
from autobuild.asking import neighbours
from autobuild.costs import feed_forward_parameters
from autobuild.fronts import hypervolume

table = Path(__file__).parent/'results/construction.csv'
keys = ['part', 'task', 'method', 'draw']

def add(part, task, method, draw, measures):
    "Append what was measured, a row each"
    rows = [dict(part=part, task=task, method=method, draw=draw, measure=k, value=v) for k,v in measures.items()]
    logs.append_table(table, rows)
    print(part, task, method, draw, {k: round(float(v), 4) for k,v in measures.items()}, flush=True)

def is_done(*asked): return asked in logs.done(table, *keys)

# --- data ---

def transformer_parameters(archs):
    "Parameters of HAT's transformers without embeddings, as far as the means over layers tell"
    def layers(stage, attentions):
        width, own = stage['width'], 4*512 # Queries, keys, values and the output have 512 columns in all
        return len(stage['layers'])*(attentions*own*width+feed_forward_parameters(width, stage['feed_forward_size']))
    return np.array([layers(arch.stages[0], 1)+layers(arch.stages[1], 2) for arch in archs])/1e6

@cache
def data_of(name):
    "A data set; HAT with parameters as a column and a quantity, in millions"
    data = load_dataset(name)
    if name!='hat:xeon': return data
    columns = data.table.assign(params=transformer_parameters(data.archs))
    return LabelledData(data.space, data.archs, columns, 'hat', dict(params=transformer_parameters))

def draw_of(name, columns, n, draw):
    "n networks all of whose columns are known"
    data = data_of(name)
    known = data[np.flatnonzero(data.table[columns].notna().all(axis=1))]
    return known.sample(n, draw)[0]

def fitted(data, target, draw, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return AutoBuild(target, seed=draw, **settings).fit(data, progress=False)

# --- fronts ---

front_tasks = {'PN, GPU': ('ofa_pn_surrogate', ['accuracy', '-latency_gpu'], 300),
               'Accel': ('accel_nasbench', ['accuracy', 'throughput_zcu102'], 100),
               'MNIST-1D': ('mnist1d', ['accuracy', '-params'], 100),
               'HAT, Xeon': ('hat:xeon', ['params', '-latency'], 100),
               'PN, GPU and NPU': ('ofa_pn_surrogate', ['accuracy', '-latency_gpu', '-latency_npu'], 300)}

class Genome:
    "Networks of a space as points of a cube: one coordinate for each place where something is chosen"
    def __init__(self, space):
        self.space, self.places = space, []
        for stage in space.stages:
            self.places.append(('count', stage.counts))
            self.places += [(name, f) for name,f in stage.stage.items()]
            self.places += [(name, f) for _ in range(max(stage.counts)) for name,f in stage.layer.items()]
        self.places += list(space.network.items())

    def __len__(self): return len(self.places)

    def networks(self, points):
        "An architecture for each point"
        return [self._network(iter(point)) for point in points]

    def _network(self, values):
        stages = []
        for stage in self.space.stages:
            count = stage.counts[int(next(values)*len(stage.counts))]
            config = {name: self._choice(f, next(values)) for name,f in stage.stage.items()}
            layers = [{name: self._choice(f, next(values)) for name,f in stage.layer.items()}
                      for _ in range(max(stage.counts))]
            stages.append(dict(config, layers=layers[:count]) if count else dict(layers=[]))
        network = {name: self._choice(f, next(values)) for name,f in self.space.network.items()}
        return self.space.check(dict(stages=stages, **network))

    def _choice(self, feature, value):
        if feature.continuous: return feature.low+value*(feature.high-feature.low)
        return feature.choices[int(value*len(feature.choices))]

def nsga2(space, values, calls, seed, population=200, marks=()):
    "pymoo's NSGA-II; gives the values on its front after each number of calls in `marks`, and its last networks"
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.mutation import Mutation
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.optimize import minimize
    genome, found = Genome(space), {}
    class Fresh(Mutation):
        "Every coordinate is drawn anew with a probability of 1/length"
        def _do(self, problem, X, random_state=None, **kwargs):
            drawn = np.random.default_rng([seed, int(1e6*X.sum())%2**31])
            return np.where(drawn.random(X.shape)<1/len(genome), drawn.random(X.shape)*(1-1e-9), X)
    class Front(Problem):
        def __init__(self): super().__init__(n_var=len(genome), n_obj=values.count, xl=0., xu=1-1e-9)
        def _evaluate(self, X, out, *args, **kwargs): out['F'] = -values(genome.networks(X))
    def kept(algorithm):
        looked = algorithm.evaluator.n_eval
        if looked in marks: found[looked] = -algorithm.opt.get('F')
    out = minimize(Front(), NSGA2(pop_size=population, crossover=UniformCrossover(), mutation=Fresh()),
                   ('n_eval', calls), seed=seed, callback=kept, verbose=False)
    return [found[mark] for mark in marks], genome.networks(out.pop.get('X'))

class Values:
    "What fitted predictors say of networks, larger is better; counts its calls"
    def __init__(self, finder, objectives):
        self.finder, self.objectives, self.count, self.calls = finder, objectives, len(objectives), 0

    def __call__(self, archs):
        self.calls += len(archs)
        signs = [-1 if o.startswith('-') else 1 for o in self.objectives]
        return np.stack([sign*self.finder.values(o.removeprefix('-'), archs)
                         for sign,o in zip(signs, self.objectives)], 1)

def fronts(draws=2, calls=500_000):
    "Hypervolume and seconds from fitted models"
    for draw,task in itertools.product(range(draws), front_tasks):
        name, objectives, n = front_tasks[task]
        methods = [m for m in ('construct_front', 'NSGA-II') if not is_done('fronts', task, m, draw)]
        if not methods or (len(objectives)>2 and draw): continue
        columns = [o.removeprefix('-') for o in objectives]
        data = draw_of(name, columns, n, draw)
        target = next(o for o in columns if o not in data.quantities)
        ab = fitted(data, target, draw, ensemble=3)
        for other in columns:
            if other not in (target, *data.quantities): ab._model_of(other)
        labels = pd.DataFrame({o: data.quantities[o](data.archs) if o in data.quantities else data.table[o]
                               for o in columns})
        corner = {o: labels[o].max() if f'-{o}' in objectives else labels[o].min() for o in columns}
        def volume(larger):
            signed = {o: -column if f'-{o}' in objectives else column for o,column in zip(columns, larger.T)}
            return hypervolume(pd.DataFrame(signed), objectives, corner)/unit
        unit = 1.
        unit = volume(np.stack([-labels[o] if f'-{o}' in objectives else labels[o] for o in columns], 1))
        for method in methods: add('fronts', task, method, draw, front_of(method, ab, objectives, volume, calls, draw))

def front_of(method, ab, objectives, volume, calls, draw):
    "What a method reaches, in hypervolumes of the labelled networks"
    values = Values(AutoBuild._builder(ab, False, 0), objectives) # A finder, that scores nothing
    began = time.process_time()
    if method=='construct_front':
        built = ab.construct_front(objectives, progress=False)
        seconds = time.process_time()-began
        return dict(volume=volume(values(built.archs)), seconds=seconds, networks=len(built))
    after, _ = nsga2(ab.space, values, calls, draw, marks=[calls//50, calls//10, calls])
    names = ['volume after a fiftieth', 'volume after a tenth', 'volume']
    found = dict(zip(names, map(volume, after)))
    return found | dict(seconds=time.process_time()-began, calls=values.calls)

# --- descriptions ---

layer = dict(op=['a', 'b', 'c'], kernel=[3, 5, 7], width=[16, 32, 64])
every = [dict(zip(layer, values)) for values in itertools.product(*layer.values())] # 27
ways = {'1 of 24': (1, 24), '6 of 4': (6, 4), '8 of 3': (8, 3), '24 of 1': (24, 1)}
truths = ['adds up', 'pairs']

def price(choice):
    "What a layer costs, made up"
    return choice['kernel']*choice['width']/100

class Truth:
    "A made-up worth of 24 layers: effects of every choice, and of neighbours together where there are pairs"
    def __init__(self, kind, draw):
        rng, count = np.random.default_rng([draw, truths.index(kind)]), len(every)
        singles = [rng.normal(size=(24, 3)) for _ in layer]
        place = np.array([[values.index(choice[name]) for choice in every] for name,values in layer.items()])
        self.alone = sum(effects[:,at] for effects,at in zip(singles, place)) # (24, 27)
        pairs = rng.normal(size=(23, 3, 3))*(1.5 if kind=='pairs' else 0) # Of neighbours' operations
        self.together = pairs[:,place[0]][:,:,place[0]] # (23, 27, 27)

    def __call__(self, numbers):
        "The worth of networks (n, 24), by the numbers of their layers' choices"
        layers = np.arange(24)
        after = self.together[layers[:-1],numbers[:,:-1],numbers[:,1:]]
        return self.alone[layers,numbers].sum(1)+after.sum(1)

def described(way, numbers):
    "The same networks, by one description"
    stages, length = ways[way]
    space = Space(way, [dict(layers=[length], layer=layer)]*stages)
    def network(row):
        layers = [every[i] for i in row]
        return space.check(dict(stages=[dict(layers=layers[i*length:(i+1)*length]) for i in range(stages)]))
    return space, list(map(network, numbers))

def numbers_of(archs):
    "(n, 24) numbers of the layers' choices"
    def of(row): return every.index({name: row[name] for name in layer})
    return np.array([[of(row) for row in arch.rows] for arch in archs])

def knapsack(worth, costs, budget):
    "The exact best sum of one choice for each layer within a budget: its numbers"
    from scipy.optimize import Bounds, LinearConstraint, milp
    layers, choices = worth.shape
    one_each = np.kron(np.eye(layers), np.ones(choices))
    limits = [LinearConstraint(one_each, 1, 1), LinearConstraint(np.tile(costs, layers), -np.inf, budget)]
    found = milp(-worth.ravel(), integrality=np.ones(worth.size), bounds=Bounds(0, 1), constraints=limits)
    return found.x.reshape(worth.shape).argmax(1)

def ridge_worth(numbers, labels):
    "(24, 27) what every choice adds, by a ridge on plain terms"
    place = np.array([[values.index(choice[name]) for choice in every] for name,values in layer.items()]) # (3, 27)
    def terms(rows): return np.eye(3)[place[:,rows]].transpose(1, 2, 0, 3).reshape(len(rows), -1) # (n, 24*3*3)
    effects = baselines._fitted_ridge(terms(numbers), labels).coef_.reshape(24, 3, 3)
    return sum(effects[:,i][:,place[i]] for i in range(3))

def one_description(arguments):
    "Fit and build in a process of its own, whose memory counts"
    kind, draw, way, n = arguments
    torch.set_num_threads(1)
    rng, truth = np.random.default_rng([draw, 9]), Truth(kind, draw)
    costs = np.array(list(map(price, every)))
    numbers = rng.integers(0, len(every), (n, 24))
    mean, sd = truth(numbers).mean(), truth(numbers).std()
    labels = truth(numbers)+rng.normal(0, .1*sd, n)
    budget = float(np.median(costs[numbers].sum(1)))
    best = knapsack(ridge_worth(numbers, labels), costs, budget)[None]
    def worth(rows): return (truth(rows)-mean)/sd
    if way=='ridge and knapsack': return dict(built=worth(best)[0])
    space, archs = described(way, numbers)
    quantities = dict(price=lambda archs: [sum(map(price, arch.rows)) for arch in archs])
    began = time.process_time()
    ab = fitted(LabelledData(space, archs, pd.DataFrame(dict(worth=labels)), quantities=quantities), 'worth', draw)
    fitted_at, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        built = ab.construct(10, where=f'price <= {budget}', progress=False)
    seconds = time.process_time()-fitted_at
    rows, rivals = numbers_of(built.archs), described(way, best)[1]
    foreseen = (np.append(ab.predict(built.archs), ab.predict(rivals))-mean)/sd
    return dict(built=worth(rows[:1])[0], built_mean=worth(rows).mean(), foreseen=foreseen[0],
                foreseen_ridge=foreseen[-1], seconds=seconds, fit_seconds=fitted_at-began, fit_mb=before,
                mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024)

def descriptions(draws=3, n=200):
    "What is built from each description, under a budget that half of the labelled networks keep"
    spawned = multiprocessing.get_context('spawn')
    for draw,kind,way in itertools.product(range(draws), truths, ['ridge and knapsack', *ways]):
        if is_done('descriptions', kind, way, draw): continue
        with spawned.Pool(1) as pool: found = pool.map(one_description, [(kind, draw, way, n)])[0]
        add('descriptions', kind, way, draw, found)

# --- oracles that are not ours ---

def plain_features(name):
    "A function of networks: HAT's features as they are; any other space's choices, one column each"
    if name!='hat:xeon':
        space = data_of(name).space
        terms = [(place, choice) for place,choices in baselines.parameters(space).items() for choice in choices]
        columns = {t: i for i,t in enumerate(terms)}
        return lambda archs: baselines._matrix([baselines.choices(arch) for arch in archs], columns).toarray()
    def row(arch):
        parts = ((len(stage['layers']), *(v for k,v in stage.items() if k!='layers')) for stage in arch.stages)
        return [value for part in parts for value in part]
    def rows(archs): return np.array([row(arch) for arch in archs], float)
    known = rows(data_of(name).archs)
    centre, scale = known.mean(0), np.maximum(known.std(0), 1e-9)
    return lambda archs: (rows(archs)-centre)/scale

class Oracle:
    "A Gaussian process on plain features; its scales are found on 500 networks"
    def __init__(self, name, metric, rows=None):
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
        data = data_of(name)
        rows = np.arange(len(data)) if rows is None else rows
        rows = rows[data.table[metric].notna().to_numpy()[rows]]
        self.features = plain_features(name)
        x, y = self.features([data.archs[i] for i in rows]), data.table[metric].to_numpy()[rows]
        width = np.ones(x.shape[1]) if name=='hat:xeon' else 5.
        kernel = ConstantKernel(10., (.1, 1e4))*Matern(width, (.1, 1e3), nu=2.5)+WhiteKernel(.01, (1e-6, 10))
        few = np.random.default_rng(0).permutation(len(x))[:500]
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            kernel = GaussianProcessRegressor(kernel, normalize_y=True).fit(x[few], y[few]).kernel_
            self.fit = GaussianProcessRegressor(kernel, normalize_y=True, optimizer=None).fit(x, y)

    def __call__(self, archs): return self.fit.predict(self.features(list(archs)))

@cache
def oracle(name, metric): return Oracle(name, metric)

@cache
def boosted(name, metric):
    "A second oracle: gradient boosting on plain features, as a function of networks"
    from sklearn.ensemble import HistGradientBoostingRegressor
    data, features = data_of(name), plain_features(name)
    fit = HistGradientBoostingRegressor(max_iter=800, learning_rate=.05, random_state=0)
    fit.fit(features(list(data.archs)), data.table[metric].to_numpy())
    return lambda archs: fit.predict(features(list(archs)))

def oracles(draws=1):
    "How good they are: at networks that they did not see"
    from scipy.stats import spearmanr
    for name,metric in [('hat:xeon', 'latency')]+[('ofa_pn_surrogate', metric) for metric in pn_metrics]:
        if is_done('oracles', name, metric, 0): continue
        data = data_of(name)
        order = np.random.default_rng(1).permutation(len(data))
        judge, rest = Oracle(name, metric, order[300:]), order[:300]
        true, said = data.table[metric].to_numpy()[rest], judge([data.archs[i] for i in rest])
        error = abs(true-said).mean()/true.std()
        add('oracles', name, metric, 0, dict(spearman=spearmanr(true, said)[0], error=error))

pn_metrics = ['accuracy', 'latency_gpu', 'latency_cpu', 'latency_npu']

# --- 243 networks ---

def built(draws=3, n=300, count=243):
    "243 networks for OFA-PN: built, by an exact ridge, at random; and the best labelled"
    from module_truth import best_of
    for draw in range(draws):
        if is_done('built', 'PN', 'construct', draw): continue
        train = draw_of('ofa_pn_surrogate', ['accuracy'], n, draw)
        ab, space = fitted(train, 'accuracy', draw), train.space
        began = time.process_time()
        found = {'construct': ab.construct(count, progress=False).archs}
        seconds = time.process_time()-began
        found['ridge'] = best_of(baselines.ridge_modules(train, train.target('accuracy')), space, count)
        found['random'] = space.sample(count, draw)
        judge = oracle('ofa_pn_surrogate', 'accuracy')
        for method,archs in reversed(found.items()):
            said = judge(archs)
            measures = dict(mean=said.mean(), best=said.max())
            if method=='construct': measures |= dict(seconds=seconds, foreseen=ab.predict(archs).mean())
            add('built', 'PN', method, draw, measures)

# --- 300 measurements ---

def climbed(space, judge, steps=100):
    "The highest value that ten climbs by small changes find"
    rng, best = random.Random(0), -np.inf
    for seed in range(10):
        parents = space.sample(10, seed)
        for _ in range(steps):
            archs = [*parents, *neighbours(space, parents, 100, rng)]
            values = judge(archs)
            parents = [archs[i] for i in np.argsort(-values, kind='stable')[:10]]
        best = max(best, values.max())
    return best

def loop(draws=2, budget=300, batch=25):
    "The best of 300 measured networks of OFA-PN, of all that the oracle knows"
    name, judge = 'ofa_pn_surrogate', oracle('ofa_pn_surrogate', 'accuracy')
    space = data_of(name).space
    if not is_done('loop', 'PN', 'optimum', 0): add('loop', 'PN', 'optimum', 0, dict(best=climbed(space, judge)))
    read, process = judge.features, judge.fit # What a process of its own can be sent
    def measured(arch): return float(process.predict(read([arch]))[0])
    for draw in range(draws):
        if is_done('loop', 'PN', 'improve', draw): continue
        with tempfile.TemporaryDirectory() as folder:
            tried = improve(space, measured, f'{folder}/log.jsonl', budget, batch=batch, seed=draw, progress=False)
        drawn = space.sample(budget, 1000+draw)
        values = judge(drawn)
        labels = LabelledData(space, drawn[batch:], pd.DataFrame(dict(accuracy=values[batch:])))
        shot = fitted(labels, 'accuracy', draw).construct(batch, progress=False).archs
        for method,archs in {'random': drawn, 'one shot': [*labels.archs, *shot], 'improve': tried.archs}.items():
            add('loop', 'PN', method, draw, dict(best=judge(archs).max(), networks=len(archs)))

# --- limits ---

sure_tasks = {'HAT, Xeon': ('hat:xeon', 'params', 'latency')} | {
    f'PN, {device.upper()}': ('ofa_pn_surrogate', 'accuracy', f'latency_{device}') for device in ('gpu', 'cpu', 'npu')}

def sure(draws=3, n=100, count=20):
    "The share of networks built under `latency < L` that truly keeps it; a quarter, or a half, of the labelled do"
    models = {}
    for draw,task in itertools.product(range(draws), sure_tasks):
        name, target, latency = sure_tasks[task]
        todo = [(share, level) for share in (.25, .5) for level in (.5, .9)
                if not is_done('sure', f'{task}, {share:.0%} keep it', f'sure={level}', draw)]
        if not todo: continue
        data = draw_of(name, [target, latency], n, draw)
        if name=='hat:xeon': data = LabelledData(data.space, data.archs, data.table.drop(columns='architecture'), 'hat')
        key = name, draw
        if key not in models: models = {key: fitted(data, target, draw)}
        ab, judge = models[key], oracle(name, latency)
        for share,level in todo:
            limit = float(np.quantile(data.table[latency], share))
            began = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                archs = ab.construct(count, where=f'{latency} < {limit}', sure=level, progress=False).archs
            seconds, true = time.process_time()-began, judge(archs)
            over = true-limit
            found = dict(keep=(over<0).mean(), keep_boosted=(boosted(name, latency)(archs)<limit).mean(),
                         over=over.max()/data.table[latency].std(),
                         target=ab.predict(archs).mean(), seconds=seconds)
            add('sure', f'{task}, {share:.0%} keep it', f'sure={level}', draw, found)

parts = dict(oracles=oracles, descriptions=descriptions, sure=sure, built=built, loop=loop, fronts=fronts)

def summary():
    "Means and spreads over draws"
    found = logs.read_table(table).groupby(['part', 'task', 'method', 'measure'], sort=False).value
    return found.agg(['mean', 'std', 'min', 'count']).round(4)

def main():
    ask = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ask.add_argument('parts', nargs='*', choices=[*parts, []], default=list(parts))
    ask.add_argument('--draws', type=int, help='all that there are, if left out')
    ask.add_argument('--summary', action='store_true')
    asked = ask.parse_args()
    if asked.summary: return print(summary().to_string())
    torch.set_num_threads(1)
    for part in asked.parts: parts[part](**({} if asked.draws is None else dict(draws=asked.draws)))

if __name__=='__main__': main()

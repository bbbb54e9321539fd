"""Do equations that are found automatically pick better trade-offs than equations made by hand, and than sweeps?

    python benchmarks/study_equations.py 12    # draws; writes results/study_equations.csv and study_equations_found.csv

Each draw labels 100 networks (60 of the panoptic task); the rest of the pool judges. Every method gets the same
predictions, by the polynomial alone, and picks the same number of networks in all. A draw that is written is not done
again.
"""
import itertools, sys, time
from dataclasses import dataclass
from pathlib import Path

import moocore, numpy as np, pandas as pd, torch

from autobuild import LabelledData, load_dataset
from autobuild.encoding import Encoder
from autobuild.equations import equation_values, family, find_equations, pick, sweep_values
from autobuild.polynomial import Terms, fit_polynomial
from autobuild.warping import Warp
from logs import append_table, done

results = Path(__file__).parent/'results'
out, found_out = results/'study_equations.csv', results/'study_equations_found.csv'
first_draw, most_pool, counts = 100, 5000, (1, 2, 4, 8) # Draws from 100 on took no part in the design of the method

@dataclass(frozen=True)
class Source:
    "A data set and the trade-offs that it has labels for"
    name:str
    objectives:tuple # Pairs of a quality and a cost, or two that should be large
    kind:str # What its labels are
    labels:int=100
    total:int=40 # Networks that are picked in all

accelerators = ['-latency_vck190', '-latency_zcu102', *(f'throughput_{o}' for o in ('3090', 'a100', 'tpuv2', 'tpuv3'))]
sources = [
    Source('accel_nasbench', tuple(('accuracy', o) for o in accelerators), 'measured'),
    Source('mnist1d', (('accuracy', '-latency_ms'),), 'measured'),
    Source('nas_bench_macro', (('accuracy', '-flops'),), 'measured accuracy, counted cost'),
    Source('nas_bench_graph:arxiv', (('accuracy', '-latency'),), 'measured'),
    Source('nas_bench_graph:cs', (('accuracy', '-latency'),), 'measured'),
    Source('panoptic', (('pq', '-macs'),), 'measured quality, counted cost', 60, 8),
    Source('hat:xeon', (('size', '-latency'),), 'measured latency, computed size'),
    Source('hat:titanxp', (('size', '-latency'),), 'measured latency, computed size'),
    Source('ofa_pn_surrogate', tuple(('accuracy', f'-latency_{o}') for o in ('gpu', 'cpu', 'npu')), 'surrogate')]

# --- the labels ---

def hat_size(arch) -> float: # Millions
    "About how many parameters: HAT publishes no quality, so as much size as possible stands in for it"
    layers = [(len(stage['layers']), stage['width'], stage['feed_forward_size']) for stage in arch.stages]
    attentions = 4, 8 # Squares of the width per layer: the decoder also looks at the encoder
    return sum(n*(k*width**2+2*width*inner) for k,(n,width,inner) in zip(attentions, layers))/1e6

def read_source(source:Source) -> LabelledData:
    "Distinct networks whose labels are all known"
    if source.name=='panoptic':
        from panoptic_task import space
        table = pd.read_csv(results/'case_panoptic.csv')
        pq = table[[o for o in table if o.startswith('pq_seed')]].mean(axis=1)
        labels = pd.DataFrame(dict(pq=pq, macs=table.macs))
        return LabelledData(space, list(map(space.check, table.architecture)), labels)
    data = load_dataset(source.name)
    if source.name.startswith('hat'): data = data.with_columns(size=list(map(hat_size, data.archs)))
    data = data[np.sort(np.unique(data.groups, return_index=True)[1])]
    return data[np.flatnonzero(data.table[columns_of(source)].notna().all(axis=1))]

def columns_of(source:Source) -> list:
    "The columns that a source's objectives name"
    return list(dict.fromkeys(o.removeprefix('-') for pair in source.objectives for o in pair))

def is_exact(name:str) -> bool:
    "Whether a column is counted and not measured, so that it is known of every network"
    return name in ('size', 'macs', 'flops')

def predictions(data, column:str, terms:Terms, of:tuple, rows:tuple, draw:int) -> tuple: # (held out, of the pool)
    "What the polynomial says of one column"
    values, (train, pool) = data.table[column].to_numpy(float), rows
    if is_exact(column): return values[train], values[pool]
    warp, (of_train, of_pool) = Warp.fit(values[train]), of
    folds = np.array_split(np.random.default_rng([draw, 1]).permutation(len(train)), 10)
    found, held_out = fit_polynomial(terms, of_train, warp.warp(values[train]), folds, draw)
    return warp.unwarp(torch.as_tensor(held_out)).numpy(), warp.unwarp(found(of_pool)).numpy()

# --- the methods: each gives one array of rows per thing that picks ---

@dataclass
class Trade:
    "What every method may know of a trade-off: labels, and predictions of held-out and of other networks"
    objectives:list
    labels:pd.DataFrame
    held_out:pd.DataFrame
    pool:pd.DataFrame
    total:int
    def __post_init__(self):
        self.signs = np.array([-1 if o.startswith('-') else 1 for o in self.objectives])
        self.known, self.guessed = self.labels.to_numpy()*self.signs, self.pool.to_numpy()*self.signs
        self.low, self.high = self.known.min(0), self.known.max(0)

    def scaled(self):
        "(networks, objectives), 0 at the worst label and 1 at the best"
        return (self.guessed-self.low)/(self.high-self.low)

paper = ['100^{q}', '{q}/{c}', '{q} - {c}', '{q} - sqrt({c})/2', '{q} - log10({c})', 'sqrt({q}) - sqrt({c})/4',
         '100^{q}/log10({c})']
sets = {1: [(o,) for o in paper], 2: [('100^{q}', '{q}/{c}'), ('{q} - {c}', '{q}/{c}')],
        4: [('100^{q}', '100^{q}/log10({c})', 'sqrt({q}) - sqrt({c})/4', '{q}/{c}'), # For the GPU
            ('100^{q}', '{q} - {c}', '{q} - sqrt({c})/2', '{q}/{c}')]} # For the CPU
units = ('shares', 'scaled')

def in_units(trade:Trade, unit:str) -> pd.DataFrame: # Columns q and c, the cost small where it is good
    "The pool in units that hand-made equations suit: shares and multiples of the median, or both from 1 to 10"
    quality, cost = trade.pool.to_numpy().T
    labels, sign = trade.labels.to_numpy(), trade.signs[1]
    if sign>0: cost, labels = 1/cost, np.column_stack([labels[:,0], 1/labels[:,1]]) # A throughput
    if unit=='shares':
        whole = 1 if labels[:,0].max()<=1 else 100 if labels[:,0].max()<=100 else labels[:,0].max()
        return pd.DataFrame(dict(q=quality/whole, c=1+cost/np.median(labels[:,1])))
    low, high = labels.min(0), labels.max(0)
    return pd.DataFrame(dict(q=1+9*(quality-low[0])/(high[0]-low[0]), c=1+9*(cost-low[1])/(high[1]-low[1])))

def by_hand(trade:Trade, texts:tuple, unit:str) -> np.ndarray:
    "What hand-made equations say of the pool"
    return equation_values([text.format(q='q', c='c') for text in texts], in_units(trade, unit))

def at_random(trade:Trade, n:int, rng) -> np.ndarray:
    "What random members of the family say"
    names = [o.removeprefix('-') for o in trade.objectives]
    members = family(trade.labels, dict(zip(names, trade.signs.tolist()))).equation
    return equation_values(members.iloc[rng.choice(len(members), n, replace=False)], trade.pool)

def linear(trade:Trade, n:int) -> np.ndarray:
    "Evenly spaced weights of a sum, in standard deviations"
    return sweep_values(trade.guessed, trade.labels.to_numpy().std(0), n)

def budgets(trade:Trade, n:int) -> np.ndarray:
    "The best quality within evenly spaced quantiles of the labelled costs"
    limits = np.quantile(trade.known[:,1], np.arange(n, 0, -1)/(n+1))
    return np.array([np.where(trade.guessed[:,1]>=limit, trade.guessed[:,0], -1e30) for limit in limits])

def chebyshev(trade:Trade, n:int) -> np.ndarray:
    "Evenly spaced weights of the largest distance from the best labels"
    weights = np.arange(1, n+1)/(n+1)
    away = 1-trade.scaled()
    return np.array([-np.maximum(w*away[:,0], (1-w)*away[:,1]) for w in weights])

def scalarised(trade:Trade, n:int, rng) -> np.ndarray:
    "Random hypervolume scalarisations: min_k (max(0, z_k)/u_k), u on the positive quarter of the circle"
    angles = rng.uniform(0, np.pi/2, n)
    values = np.maximum(trade.scaled(), 0)
    return np.array([np.minimum(values[:,0]/np.cos(a), values[:,1]/np.sin(a)) for a in angles])

def layers(trade:Trade) -> np.ndarray:
    "Rows of the first predicted Pareto layers, the last of them thinned out evenly"
    rank = moocore.pareto_rank(trade.guessed, maximise=True)
    order = np.lexsort((trade.guessed[:,0], rank))
    whole = order[:np.searchsorted(rank[order], rank[order[trade.total-1]])]
    last = order[rank[order]==rank[order[trade.total-1]]]
    kept = np.linspace(0, len(last)-1, trade.total-len(whole)).round().astype(int)
    return np.concatenate([whole, last[kept]])

def picks_of(trade:Trade, n:int, rng): # Yields (method, variant, rows)
    "What every method that depends on the number of equations picks"
    def rows(values): return np.concatenate(pick(values, trade.total//n))
    for texts,unit in itertools.product(sets.get(n, []), units):
        yield 'by hand', f"{' & '.join(texts)} ({unit})", rows(by_hand(trade, texts, unit))
    for i in range(5): yield 'random equations', i, rows(at_random(trade, n, rng))
    yield from sweeps_of(trade, n, rng)

def sweeps_of(trade:Trade, n:int, rng): # Yields (method, variant, rows)
    "What methods without equations pick: `n` weights, budgets or directions"
    def rows(values): return np.concatenate(pick(values, trade.total//n))
    for i in range(5): yield 'random hypervolume scalarisations', i, rows(scalarised(trade, n, rng))
    for name,method in dict(linear=linear, budget=budgets, Chebyshev=chebyshev).items():
        yield f'{name} sweep', 0, rows(method(trade, n))

# --- the judge ---

class Judge:
    "Hypervolume and IGD+ of labelled and picked networks, by true labels"
    def __init__(self, trade:Trade, truth:np.ndarray):
        self.trade, self.truth = trade, truth*trade.signs
        everything = np.concatenate([trade.known, self.truth])
        self.front = everything[moocore.is_nondominated(everything, maximise=True)]
        self.whole = moocore.hypervolume(everything, ref=trade.low, maximise=True)
        self.spread = everything.max(0)-everything.min(0)

    def __call__(self, rows) -> dict:
        points = np.concatenate([self.trade.known, self.truth[rows]])
        volume = moocore.hypervolume(points, ref=self.trade.low, maximise=True)/self.whole
        return dict(hypervolume=volume, igd=moocore.igd_plus(points/self.spread, self.front/self.spread, maximise=True))

def found_rows(trade:Trade, truth, equations, n, draw) -> list:
    "Where each found equation was said to land, and where its picks truly lie"
    picked = pick(equation_values(equations.equation, trade.pool), trade.total//n)
    rows = []
    for i,(row,own) in enumerate(zip(equations.to_dict('records'), picked), 1):
        said = [row[name] for name in trade.pool]
        inside = [np.mean((truth[own,k]>=low)&(truth[own,k]<=high)) for k,(low,high) in enumerate(said)]
        rows.append(dict(draw=draw, n=n, place=i, equation=row['equation'], weight=row['weight'], adds=row['adds'],
                         held_out=row['held_out'], inside_quality=inside[0], inside_cost=inside[1],
                         quality=truth[own,0].mean(), cost=truth[own,1].mean(), said=row['hypervolume'],
                         sweep_said=equations.attrs['sweep'], sweep_as_well=equations.attrs['sweep_does_as_well']))
    return rows

def study(source:Source, data, objectives:tuple, columns:dict, rows:tuple, draw:int):
    "All methods on one trade-off and one draw of labels"
    names, (train, pool) = [o.removeprefix('-') for o in objectives], rows
    table = data.table[names].astype(float)
    held_out, guessed = (pd.DataFrame({name: columns[name][i] for name in names}) for i in (0, 1))
    trade = Trade(list(objectives), table.iloc[train].reset_index(drop=True), held_out, guessed, source.total)
    truth, rng = table.iloc[pool].to_numpy(), np.random.default_rng([draw, 2])
    judge, about = Judge(trade, truth), dict(task=f'{source.name} {names[1]}', kind=source.kind, draw=draw)
    scores, found = [], []
    def add(n, method, variant, picked): scores.append(about|dict(n=n, method=method, variant=variant)|judge(picked))
    for n in counts:
        start = time.process_time()
        each = source.total//n
        equations = find_equations(trade.labels, held_out, guessed, list(objectives), n, each, seed=draw)
        add(n, 'found equations', 0, np.concatenate(pick(equation_values(equations.equation, guessed), each)))
        scores[-1]['seconds'] = time.process_time()-start
        found += [about|row for row in found_rows(trade, truth, equations, n, draw)]
        for method,variant,picked in picks_of(trade, n, rng): add(n, method, variant, picked)
        add(n, 'predicted Pareto layers', 0, layers(trade))
        add(n, 'random networks', 0, rng.choice(len(truth), source.total, replace=False))
        add(n, 'labels alone', 0, np.empty(0, int))
    for method,variant,picked in sweeps_of(trade, source.total, rng): add(source.total, method, variant, picked)
    return [dict(dict(seconds=np.nan), **row) for row in scores], found

def run_draw(source:Source, data, draw:int):
    "One draw of labels of a source, all its trade-offs"
    order = np.random.default_rng([draw, 0]).permutation(len(data))
    rows, encoder = (order[:source.labels], order[source.labels:source.labels+most_pool]), Encoder(data.space)
    terms = Terms(encoder)
    of = [terms(encoder([data.archs[i] for i in part])) for part in rows]
    columns = {name: predictions(data, name, terms, of, rows, draw) for name in columns_of(source)}
    scores, found = [], []
    for objectives in source.objectives:
        some, more = study(source, data, objectives, columns, rows, draw)
        scores, found = scores+some, found+more
    append_table(found_out, found)
    append_table(out, scores)

if __name__=='__main__':
    draws, known = int(sys.argv[1]) if len(sys.argv)>1 else 12, done(out, 'task', 'draw')
    loaded = {source.name: (source, read_source(source)) for source in sources}
    for draw in range(first_draw, first_draw+draws):
        for name,(source,data) in loaded.items():
            last = f'{name} {source.objectives[-1][1].removeprefix("-")}'
            if (last, draw) not in known: run_draw(source, data, draw)
        print(draw, time.strftime('%X'), flush=True)

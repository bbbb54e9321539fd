"""How good a network does a method find from N labels? Every method on the same draws of the same pools.

    python benchmarks/label_efficiency.py                  # adds to benchmarks/results/label_efficiency.csv, resumable
    python benchmarks/label_efficiency.py --repeats 5 --tasks nas_bench_macro
    python benchmarks/label_efficiency.py --summary     # means, and mean ranks for label_efficiency_ranks.csv

A pool is a data set's labelled networks. N of them are drawn at random and labelled; every method then proposes ten of
the rest. Noted are the best of these N + 10 evaluated networks, its regret to the pool's best in points (hundredths of
the metric), Spearman between the method's scores and the metric on all networks not drawn, and CPU seconds. Evolution
and TPE spend N + 10 evaluations one by one, as they like. On NAS-Bench-Graph methods see validation accuracy and choose
by it; regret and Spearman are of test accuracy. OFA-PN's labels are SURROGATES, outputs of the paper's authors'
predictors.
"""
import argparse, itertools, time, warnings
from dataclasses import dataclass
from pathlib import Path

import joblib, numpy as np, pandas as pd, torch
from scipy.stats import spearmanr, wilcoxon
from tqdm.auto import tqdm

import baselines, reference
from autobuild import AutoBuild, load_dataset
from autobuild.encoding import Encoder
from autobuild.importance import standalone
from autobuild.linear import LinearPart
from logs import append_table, done, read_table

results = Path(__file__).parent/'results'
tasks = ['nas_bench_macro', 'accel_nasbench', 'ofa_pn_surrogate', 'mnist1d', 'nas_bench_graph:cs',
         'nas_bench_graph:arxiv']
kept_out = ['nas_bench_graph:photo'] # took no part in any choice of the recipe, and neither did N = 75

@dataclass
class Task:
    "A pool with everything that all repeats share"
    name:str
    data:object # `LabelledData`
    target:str # The column that methods see
    seen:np.ndarray # (pool,) its values
    judged:np.ndarray # (pool,) what regret and Spearman are of
    plain:object # One-hot terms
    pairs:object # The same and their pairs
    blocks:object # Blocks at their places
    graphs:list # PyTorch Geometric graphs

def load(name):
    "A task by the name of its data set"
    data = load_dataset(name)
    target = 'accuracy_valid' if name.startswith('nas_bench_graph') else 'accuracy'
    return Task(name, data, target, data.target(target), data.target('accuracy'), baselines.one_hot(data),
                baselines.one_hot(data, pairs=True), baselines.blocks(data),
                reference.graphs(data, Encoder(data.space)))

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

def ours(task, rows, seed, **options):
    "By module scores alone, and as `construct` does: the best 200 by them, in order of the mean with the prediction"
    ab = AutoBuild(task.target, seed=seed, **options).fit(task.data[rows], progress=False)
    predicted, stages = ab.predict(task.data), len(ab.space.stages)
    modules = predicted # A cell is one module
    if stages>1: modules = sum_of_modules(ab, task.data.archs)-(stages-1)*ab.predict(ab.contexts).mean()
    free = np.setdiff1d(np.arange(len(predicted)), rows)
    first = free[np.argsort(-modules[free], kind='stable')[:200]]
    order = np.full(len(predicted), -np.inf)
    order[first] = (modules+predicted)[first]
    return {'AutoBuild, module scores': (modules, modules), 'AutoBuild': (order, modules+predicted)}

def on_one_hot(name, scorer, terms):
    "A scorer on the task's terms, as {method: (order, scores)}"
    def run(task, rows, seed):
        out = scorer(getattr(task, terms), rows, task.seen[rows], seed)
        return {name: (out, out)}
    return run

def plain_gnn(task, rows, seed):
    out = baselines.plain_gnn(task.data, rows, seed, task.target)
    return {'GNN, no ranking loss': (out, out)}

def linear_part(task, rows, seed):
    "The linear part of AutoBuild by itself: ridge whose weights lean on those of their stage and of the network"
    encoder, labels = Encoder(task.data.space), task.seen[rows]
    names, choices = list(encoder.categories), [len(known) for known in encoder.categories.values()]
    part = LinearPart(choices, len(encoder.continuous), [names.index(name) for name in ('stage', 'layer')])
    part.fit(encoder([task.data.archs[i] for i in rows]), (labels-labels.mean())/labels.std())
    out = part.total(encoder(task.data.archs)).numpy()
    return {'linear part alone': (out, out)}

def as_released(task, rows, seed):
    "The paper's method as its authors released it: by the sum of its module scores, and by its predictor"
    encoder, train, y = Encoder(task.data.space), task.data[rows], task.seen[rows]
    net = reference.train_reference(encoder, [task.graphs[i] for i in rows], y, seed=seed)
    predicted = reference.reference_predict(net, task.graphs)
    if len(task.data.space.stages)==1: modules = reference.reference_hop_norms(net, task.graphs)[-1]
    else: modules = reference.reference_score_archs(net, encoder, train.archs, y, task.data.archs)
    return {'AutoBuild as released': (modules, modules), "AutoBuild as released, y'": (predicted, predicted)}

scorers = {
    'ridge': on_one_hot('ridge', baselines.ridge, 'plain'),
    'ridge, pairs': on_one_hot('ridge, pairs', baselines.ridge, 'pairs'),
    'random forest': on_one_hot('random forest', baselines.random_forest, 'plain'),
    'gradient boosting': on_one_hot('gradient boosting', baselines.gradient_boosting, 'plain'),
    'Gaussian process': on_one_hot('Gaussian process', baselines.gaussian_process, 'plain'),
    'BlockProfile': on_one_hot('BlockProfile', baselines.block_profile, 'blocks'),
    'GNN, no ranking loss': plain_gnn,
    'linear part alone': linear_part,
    'AutoBuild as released': as_released,
    'AutoBuild': ours,
}

def more_at_random(task, rows, budget, seed):
    rest = np.setdiff1d(np.arange(len(task.seen)), rows)
    return np.concatenate([rows, np.random.default_rng([seed, 2]).permutation(rest)[:budget-len(rows)]])

def evolution(task, rows, budget, seed): return baselines.regularised_evolution(task.plain, task.seen, budget, seed)

def tpe(task, rows, budget, seed): return baselines.tpe(task.data, task.plain, task.seen, budget, seed)

searchers = {'random': more_at_random, 'regularised evolution': evolution, 'TPE': tpe}
methods = [*searchers, *scorers]

def row(task, evaluated, spearman, seconds):
    "What a method's evaluated networks are worth"
    best = evaluated[np.argmax(task.seen[evaluated])]
    points = 100 if task.judged.max()<=1 else 1
    regret = points*(task.judged.max()-task.judged[best])
    return dict(best=task.judged[best], regret=regret, spearman=spearman, seconds=seconds)

def proposals(method, task, rows, repeat):
    "{name: (evaluated rows, scores)}: what a method evaluates, its ten proposals last, and its scores or None"
    if method in searchers: return {method: (searchers[method](task, rows, len(rows)+10, repeat), None)}
    rest, out = np.setdiff1d(np.arange(len(task.seen)), rows), {}
    for name,(order,scores) in scorers[method](task, rows, repeat).items():
        first = rest[np.argsort(-order[rest], kind='stable')[:10]]
        out[name] = np.concatenate([rows, first]), scores
    return out

def cell(name, n, repeat, asked):
    "Some methods on one draw: a list of rows"
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    task, out = loaded(name), []
    rows = np.random.default_rng([repeat, n]).permutation(len(task.seen))[:n]
    rest = np.setdiff1d(np.arange(len(task.seen)), rows)
    for method in asked:
        start = time.process_time()
        found = proposals(method, task, rows, repeat)
        seconds = time.process_time()-start
        for shown,(evaluated,scores) in found.items():
            spearman = np.nan if scores is None else spearmanr(scores[rest], task.judged[rest])[0]
            out.append(dict(task=name, N=n, repeat=repeat, method=shown, **row(task, evaluated, spearman, seconds)))
    return out

def holm(p):
    "Holm's correction of a Series of p-values"
    p = p.sort_values()
    return (p*np.arange(len(p), 0, -1)).cummax().clip(upper=1)

def ranking(runs, first='AutoBuild'):
    """Mean rank by regret within every draw, how often one method is ahead, and a test against it

    Wilcoxon's on the paired ranks, two-sided, with Holm's correction. A method that lacks a tenth of the draws is left
    out."""
    wide = runs.pivot_table(index=['task', 'N', 'repeat'], columns='method', values='regret')
    ranks = wide.loc[:,wide.notna().mean()>.9].dropna().rank(axis=1)
    differ = [method for method in ranks if (ranks[method]!=ranks[first]).any()]
    p = holm(pd.Series({method: wilcoxon(ranks[method], ranks[first]).pvalue for method in differ}, dtype=float))
    shares = {name: pd.Series({method: compare(ranks[first], ranks[method]).mean() for method in ranks})
              for name,compare in dict(ahead=np.less, equal=np.equal, behind=np.greater).items()}
    table = pd.DataFrame(dict(mean_rank=ranks.mean(), p=p, **shares, draws=len(ranks)))
    return table.rename_axis('method').sort_values('mean_rank')

def kept_apart(runs):
    "What the recipe was chosen without: the data set photo, and N = 75"
    return (runs.N==75) | runs.task.isin(kept_out)

def summary(table):
    "Print the tables and save the ranking beside them: what took part in choices first, what was kept out last"
    runs, rankings = read_table(table), {}
    for title,part in (('main', runs[~kept_apart(runs)]), ('kept out', runs[kept_apart(runs)])):
        if not len(part): continue
        rankings[title] = ranking(part)
        print(f'== {title}, {part.repeat.nunique()} repeats', rankings[title].round(4).to_string(), sep='\n')
        for name in ('regret', 'spearman', 'seconds'):
            means = part.groupby(['method', 'task', 'N'])[name].mean().unstack(0).dropna(axis=1, how='all')
            print(name, means.round(3).to_string(), sep='\n')
    pd.concat(rankings, names=['part']).to_csv(table.with_name(f'{table.stem}_ranks.csv'), float_format='%.4g')

_tasks = {}
def loaded(name):
    "A task, loaded once a process"
    if name not in _tasks: _tasks[name] = load(name)
    return _tasks[name]

def main():
    ask = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ask.add_argument('--tasks', nargs='+', default=[*tasks, *kept_out])
    ask.add_argument('--labels', nargs='+', type=int, default=[20, 50, 75, 100, 200])
    ask.add_argument('--methods', nargs='+', default=methods, choices=methods)
    ask.add_argument('--repeats', type=int, default=20)
    ask.add_argument('--jobs', type=int, default=2)
    ask.add_argument('--table', type=Path, default=results/'label_efficiency.csv')
    ask.add_argument('--summary', action='store_true')
    asked = ask.parse_args()
    if asked.summary: return summary(asked.table)
    known = done(asked.table, 'task', 'N', 'repeat', 'method')
    draws = itertools.product(range(asked.repeats), asked.tasks, asked.labels)
    todo = [(task, n, repeat, [method for method in asked.methods if (task, n, repeat, method) not in known])
            for repeat,task,n in draws]
    jobs = [joblib.delayed(cell)(*draw) for draw in todo if draw[-1]]
    for rows in tqdm(joblib.Parallel(asked.jobs, return_as='generator_unordered')(jobs), total=len(jobs), disable=None):
        append_table(asked.table, rows)
    summary(asked.table)

if __name__=='__main__': main()

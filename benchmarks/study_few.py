"""Few labels: how well each part of a prediction ranks, drawn at random or designed, and how true its own figures are.

    python benchmarks/study_few.py            # adds to benchmarks/results/study_few.csv, resumable
    python benchmarks/study_few.py --enough   # what `enough` says of twice the labels, for study_enough.csv

Of a pool of at most 2,000 measured networks, N are labelled: drawn at random, or chosen by `Space.design`, which sees
no label. One fit gives all parts. Noted are Spearman's rank correlation on the rest of the pool by part; the regret
after the ten best of the rest are measured, too, in standard deviations of the pool's labels; the held-out figure that
`fit` prints; and how many of the rest lie within their 80 % interval. Where parameters and operations are known, too,
`whole, costs` and `polynomial, costs` are from a fit that was told them for 1,000 networks, labelled or not.
OFA-PN's labels are SURROGATES, outputs of the paper's authors' predictors.
"""
import sys, time
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from tqdm import tqdm

from autobuild import load_dataset
from autobuild.asking import learning_curve, outlook
from autobuild.encoding import Encoder
from autobuild.polynomial import Terms, quantity_directions
from autobuild.readouts import fit_predictor
from logs import append_table, done, read_table

table = Path(__file__).parent/'results/study_few.csv'
sizes, draws, most, picks = [8, 12, 17, 25, 35, 50, 68], 4, 2000, 10
targets = {'nas_bench_macro': 'accuracy', 'accel_nasbench': 'accuracy', 'ofa_pn_surrogate': 'accuracy',
           'mnist1d': 'accuracy', 'nas_bench_graph:cs': 'accuracy_valid', 'nas_bench_graph:arxiv': 'accuracy_valid',
           'nas_bench_bert': 'glue', 'hat:xeon': '-latency'}

costs = {'nas_bench_macro': ['params', 'flops'], 'accel_nasbench': ['params', 'macs'], 'mnist1d': ['params'],
         'nas_bench_graph:cs': ['params'], 'nas_bench_graph:arxiv': ['params']}

def pool(name):
    "(space, distinct networks, their mean labels) of a data set, at most `most` of them"
    data, labels = load_dataset(name), {}
    for arch,label in zip(data.archs, data.target(targets[name])): labels.setdefault(arch, []).append(label)
    archs = list(labels)
    archs = [archs[i] for i in np.random.default_rng(0).permutation(len(archs))[:most]]
    return data.space, archs, np.array([np.mean(labels[arch]) for arch in archs])

def with_costs(name, encoder):
    "Terms that know the directions of a set's costs, from 1,000 networks drawn at random; None where it has none"
    if name not in costs: return None
    data, terms = load_dataset(name), Terms(encoder)
    if data.quantities: # Any network's
        archs = data.space.sample(1000, 100, distinct=False)
        amounts = np.stack([quantity(archs) for quantity in data.quantities.values()], 1)
    else:
        data, _ = data.sample(1000, 0)
        archs, amounts = data.archs, data.table[costs[name]].to_numpy()
    return Terms(encoder, quantity_directions(terms, terms(encoder(archs)), amounts))

def ranked(said, labels):
    "Spearman's rank correlation; 0 where the same is said of all"
    return spearmanr(said, labels)[0] if np.ptp(said) else 0.

def by_part(predictor, archs):
    "Name -> (n,) what each part says of networks, the whole as fitted, and the parts with equal weights"
    readings = list(predictor.read(archs))
    found = {name: np.concatenate([reading.parts[name].numpy() for reading in readings]) for name in predictor.parts}
    found['graph'] = np.concatenate([((reading.late+reading.y)/2).mean(0).numpy() for reading in readings])
    equal = np.mean(list(found.values()), 0)
    return found|dict(equal=equal, whole=predictor.predict(archs))

def coverage(predictor, archs, labels, part=.8):
    "The part of networks within their interval; NaN where none can be given"
    try: low, high = predictor.interval(archs, part)
    except ValueError: return np.nan
    return np.mean((low<=labels) & (labels<=high))

def study(encoder, archs, labels, rows, seed, terms=None):
    "One fit, as rows of the table without their keys; the row of the whole comes last"
    rows = np.array(sorted(rows, key=lambda i: str(archs[i]))) # The order in which `fit` takes them
    rest = np.setdiff1d(np.arange(len(archs)), rows)
    start = time.process_time()
    predictor, heldout = fit_predictor(encoder, [archs[i] for i in rows], labels[rows], seed=seed, progress=False,
                                       terms=terms)
    seconds, others = time.process_time()-start, [archs[i] for i in rest]
    out, best, spread = [], labels.max(), labels.std()
    for part,said in by_part(predictor, others).items():
        picked = rest[np.argsort(-said, kind='stable')[:picks]]
        found = max(labels[rows].max(), labels[picked].max())
        out.append(dict(part=part, spearman=ranked(said, labels[rest]), regret=(best-found)/spread,
                        weight=predictor.weights.get(part, np.nan)))
    out[-1] |= dict(heldout=np.nan if heldout is None else heldout['prediction'], seconds=seconds,
                    inside=coverage(predictor, others, labels[rest]))
    return [dict(dict.fromkeys(['heldout', 'seconds', 'inside'], np.nan), **row) for row in out]

def chosen(space, archs, draw, rule):
    "The places of the largest number of networks, the first of them being the choice for fewer"
    if rule=='random': return np.random.default_rng([draw, 1]).permutation(len(archs))[:max(sizes)]
    place = {arch: i for i,arch in enumerate(archs)}
    return np.array([place[arch] for arch in space.design(max(sizes), draw, pool=archs)])

def run():
    "All draws, sets, rules and sizes that the table lacks"
    pools = {name: pool(name) for name in targets}
    keys = ['data', 'draw', 'rule', 'N']
    todo = [(name, draw, rule) for draw in range(draws) for name in targets for rule in ('random', 'design')]
    for name,draw,rule in tqdm(todo, disable=None):
        known = done(table, *keys)
        left = [n for n in sizes if (name, draw, rule, n) not in known]
        if not left: continue
        space, archs, labels = pools[name]
        order, encoder = chosen(space, archs, draw, rule), Encoder(space)
        directed = with_costs(name, encoder)
        for n in left:
            found = study(encoder, archs, labels, order[:n], draw)
            if directed is not None and n<=25:
                told = [row for row in study(encoder, archs, labels, order[:n], draw, directed)
                        if row['part'] in ('polynomial', 'whole')]
                found += [row|dict(part=f"{row['part']}, costs") for row in told]
            append_table(table, [dict(zip(keys, (name, draw, rule, n)), **row) for row in found])

def run_enough():
    "The gain that `enough` expects of twice the labels, beside the one that the study found"
    out, found = table.with_name('study_enough.csv'), read_table(table)
    whole = found[found.part=='whole'].set_index(['data', 'draw', 'rule', 'N'])
    pools, known = {name: pool(name) for name in targets}, done(out, 'data', 'draw', 'rule', 'N')
    for key,row in tqdm(whole.iterrows(), total=len(whole), disable=None):
        name, draw, rule, n = key
        twice = (name, draw, rule, {17: 35, 25: 50, 35: 68}.get(n))
        if key in known or twice not in whole.index: continue
        space, archs, labels = pools[name]
        rows = chosen(space, archs, draw, rule)[:n]
        curve = learning_curve(space, [archs[i] for i in rows], labels[rows], draw)
        said = outlook(curve, row.heldout, n, 1., draw)
        append_table(out, [dict(zip(['data', 'draw', 'rule', 'N'], key), heldout=row.heldout, spearman=row.spearman,
                                twice=whole.spearman[twice], **said)])

if __name__=='__main__': run_enough() if '--enough' in sys.argv else run()

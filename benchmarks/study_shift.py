"""The distribution shift, step by step, on real labels; and whether predictions are calibrated at the top.

    python benchmarks/study_shift.py [draws]      # adds to results/study_shift_*.csv, resumable; 4 minutes a draw

`calibration`: the 20 highest predictions of a pool, and intervals. `hops`: norms of whole networks at every hop against
labels. `maps`: three ways from norms to labels. `modules`, `groups`: module scores and group means on Accel-NASBench.
Units are standard deviations of the labels. OFA-PN's labels are SURROGATES, outputs of the paper's authors' predictors.
"""
import itertools, sys, warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np, torch
from scipy.stats import norm, rankdata, spearmanr

from autobuild import load_dataset
from autobuild.encoding import Encoder
from autobuild.importance import module_scores
from autobuild.normalization import Shift
from autobuild.readouts import fit_predictor, judged
from autobuild.training import folds
from baselines import module_numbers
from logs import append_table, done

results = Path(__file__).parent/'results'
tasks = dict(nas_bench_macro='accuracy', accel_nasbench='accuracy', mnist1d='accuracy', nas_bench_bert='glue',
             ofa_pn_surrogate='accuracy')
tasks |= {'nas_bench_graph:cs': 'accuracy', 'nas_bench_graph:arxiv': 'accuracy', 'hat:xeon': 'latency',
          'hat:xeon, fastest': '-latency'}
first_draw, pool_size, top = 400, 1000, 20

@dataclass
class Fit:
    "One draw: a predictor, what it says of a pool, and the pool's labels"
    predictor:object
    said:dict # `z` (hops+1, members, n) and `own`, the same of the training networks
    train:np.ndarray # Labels
    truth:np.ndarray # (n,) labels of the pool
    predicted:np.ndarray # (n,)
    limits:tuple # (low, high) of 90 %
    rows:list # Each member's training rows

@cache
def loaded(name:str):
    "A data set with every network once"
    data = load_dataset(name.partition(',')[0])
    return data[np.sort(np.unique(data.groups, return_index=True)[1])]

def standardised_norms(predictor, archs) -> np.ndarray: # (hops+1, members, n)
    "Graph norms in standard deviations of the training graphs"
    return np.concatenate([reading.z.numpy() for reading in predictor.read(archs)], 2)

def fitted(name:str, n:int, draw:int) -> Fit:
    "A predictor of n labels and what it says of up to 1,000 of the other networks"
    train, rest = loaded(name).sample(n, draw)
    pool = rest.sample(min(pool_size, len(rest)-1), draw)[0]
    labels, truth = train.target(tasks[name]), pool.target(tasks[name])
    predictor, _ = fit_predictor(Encoder(train.space), list(train.archs), labels, seed=draw, progress=False)
    said = {'z': standardised_norms(predictor, pool.archs), 'own': standardised_norms(predictor, train.archs)}
    archs, rows = list(pool.archs), folds(n, len(predictor.net.out), draw)
    return Fit(predictor, said, labels, truth, predictor.predict(archs), predictor.interval(archs), rows)

def at_top(values, truth) -> dict: # In standard deviations of the labels
    "Of the 20 highest values: how far their mean is from that of the true values, and the latter's standard error"
    best, spread = np.argsort(-values, kind='stable')[:top], truth.std()
    off = (values-truth)[best]/spread
    return dict(top_error=off.mean(), top_noise=off.std(ddof=1)/np.sqrt(top))

def calibration(fit:Fit) -> dict:
    "Rank, slope, top and coverage of the default's predictions"
    low, high = fit.limits
    inside, spread = (fit.truth>=low)&(fit.truth<=high), fit.truth.std()
    best = np.argsort(-fit.predicted, kind='stable')[:top]
    return dict(spearman=spearmanr(fit.predicted, fit.truth)[0], slope=np.polyfit(fit.predicted, fit.truth, 1)[0],
                **at_top(fit.predicted, fit.truth), coverage=inside.mean(), top_coverage=inside[best].mean(),
                width=np.mean(high-low)/spread, pool=len(fit.truth))

def at_hop(fit:Fit, hop:int) -> dict:
    "Correlation, best slope and errors of single members, and what a mean over members does to the slope"
    warp = fit.predictor.warp
    t, own = warp.warp(fit.truth), warp.warp(fit.train)
    z = fit.said['z'][hop]
    unseen = judged(torch.as_tensor(fit.said['own'][hop]), fit.rows)
    found = np.corrcoef(unseen, own)[0,1]
    rho = np.mean([np.corrcoef(member, t)[0,1] for member in z])
    slope = np.mean([np.polyfit(member, t, 1)[0] for member in z])
    between = np.corrcoef(z)[np.triu_indices(len(z), 1)].mean()
    mean, shared = z.mean(0), between+(1-between)/len(z) # var(mean z) = r + (1-r)/E
    return dict(hop=hop, rho=rho, slope=slope, rho_heldout=found, error_1=np.mean((t-z)**2),
                error_rho=np.mean((t-found*z)**2), error_mean=np.mean((t-own.mean())**2), between=between,
                slope_derived=rho/shared, slope_ensemble=np.polyfit(mean, t, 1)[0],
                rho_ensemble=np.corrcoef(mean, t)[0,1])

def maps(fit:Fit) -> list: # Rows
    "Three ways from the late hops' mean norm to labels, and the default"
    late, own = fit.said['z'][2:].mean(0), fit.said['own'][2:].mean(0)
    normal = norm.ppf((rankdata(late.mean(0))-.5)/late.shape[1]) # Phi^-1(F_z(z))
    unseen = judged(torch.as_tensor(own), fit.rows)
    between = np.corrcoef(late)[np.triu_indices(len(late), 1)].mean()
    rho = np.corrcoef(unseen, fit.predictor.warp.warp(fit.train))[0,1]/np.sqrt(between+(1-between)/len(late))
    def to_labels(x): return np.quantile(fit.train, norm.cdf(x)) # F_y^-1
    said = {'slope 1': fit.train.mean()+fit.train.std()*normal, 'quantiles': to_labels(normal),
            'slope rho': fit.train.mean()+fit.train.std()*min(rho, 1)*normal,
            'calibrated quantiles': to_labels(min(rho, 1)*normal), 'default': fit.predicted}
    variance = fit.truth.var()
    return [dict(map=name, error=np.mean((values-fit.truth)**2)/variance, **at_top(values, fit.truth))
            for name,values in said.items()]

@cache
def stage_effects() -> tuple: # ([(modules,) effects per stage], [(modules,) layers], label s.d., R2)
    "Accel-NASBench as a sum of effects of stage modules, fitted to all labels, centred within stages"
    data = loaded('accel_nasbench')
    labels, modules = data.target('accuracy'), data.space.modules
    numbers = module_numbers(data.space, data.archs)
    columns = np.concatenate([np.eye(len(known))[chosen] for known,chosen in zip(modules, numbers.T)], 1)
    weights = np.linalg.lstsq(columns, labels-labels.mean(), rcond=None)[0]
    explained = 1-np.var(labels-labels.mean()-columns@weights)/labels.var()
    parts = np.split(weights, np.cumsum([len(known) for known in modules])[:-1])
    layers = [np.array([len(known.config(i)['layers']) for i in range(len(known))]) for known in modules]
    return [part-part.mean() for part in parts], layers, labels.std(), explained

def standardise(shift, norms, hop, stage, layers):
    "Stands in for the distribution shift: standardises only"
    return shift.node_z(norms, hop)

def group_means(values, layers) -> np.ndarray: # (modules,)
    "The mean over modules of the same length"
    return np.array([values[layers==one].mean() for one in layers])

def module_rows(fit:Fit, contexts:list) -> list: # Rows
    "Module scores of the paper, of its parts and of ours against the true effects of stage modules"
    truth, layers, spread, _ = stage_effects()
    stages, moments = range(1, len(truth)+1), fit.predictor.shift.labels
    def scores(readout): return [module_scores(fit.predictor, u, contexts, readout).mean(0) for u in stages]
    paper, ours = scores('last'), scores('both')
    with patch.object(Shift, 'module', standardise): alone = scores('last')
    def rescaled(u, z): return np.array([moments[u, n][0]+moments[u, n][1]*x for n,x in zip(layers[u-1], z)])
    once = [rescaled(u, alone[u-1]-group_means(alone[u-1], layers[u-1])) for u in stages]
    said = {'the paper: z rescaled': paper, 'z alone': [spread*z for z in alone], 'lengths counted once': once,
            'in context (ours)': ours}
    return [dict(scores=name, **_against(values, truth, layers)) for name,values in said.items()]

def _against(scores, truth, layers) -> dict:
    "Rank correlation, slope of the truth on scores within lengths, and how much lengths differ in scores and in truth"
    between = [group_means(score, n) for score,n in zip(scores, layers)]
    between_true = [group_means(effect, n) for effect,n in zip(truth, layers)]
    def joined(values, means): return np.concatenate([value-mean for value,mean in zip(values, means)])
    within = np.polyfit(joined(scores, between), joined(truth, between_true), 1)[0]
    said, true = (joined(means, [mean.mean() for mean in means]) for means in (between, between_true))
    return dict(spearman=np.mean([spearmanr(score, effect)[0] for score,effect in zip(scores, truth)]),
                slope=within, lengths=np.polyfit(true, said, 1)[0])

def shrunk(raw, errors, towards) -> np.ndarray:
    "Means pulled towards something as far as their standard errors say: the weight is tau^2/(tau^2+error^2)"
    tau = max(0, np.mean((raw-towards)**2-errors**2))
    return towards+tau/(tau+errors**2)*(raw-towards)

def group_rows(fit:Fit, archs:list, contexts:list) -> list: # Rows
    "Mean labels of networks whose stage has l layers: estimates against those of all networks"
    data = loaded('accel_nasbench')
    everything, labels = _lengths(data.archs), data.target('accuracy')
    drawn, rows = _lengths(archs), []
    for u in range(everything.shape[1]):
        ours = module_scores(fit.predictor, u+1, contexts, 'both').mean(0)
        layers = stage_effects()[1][u]
        for n in np.unique(layers):
            mine, model = fit.train[drawn[:,u]==n], ours[layers==n].mean()-ours.mean()+fit.train.mean()
            error = fit.train.std()/np.sqrt(len(mine)) # sigma/sqrt(n_ul)
            rows.append((mine.mean(), error, model, labels[everything[:,u]==n].mean()))
    raw, errors, model, truth = np.array(rows).T
    said = {'raw means': raw, 'shrunk to the grand mean': shrunk(raw, errors, fit.train.mean()),
            'shrunk to the model': shrunk(raw, errors, model), 'the model alone': model}
    return [dict(means=name, error=np.sqrt(np.mean((values-values.mean()-truth+truth.mean())**2))/labels.std())
            for name,values in said.items()]

def _lengths(archs) -> np.ndarray: # (networks, stages)
    "Layer counts"
    return np.array([[len(stage['layers']) for stage in arch.stages] for arch in archs])

def measure(name:str, n:int, draw:int):
    "One draw, all tables"
    fit, about = fitted(name, n, draw), dict(data=name, N=n, draw=draw)
    tables = dict(hops=[at_hop(fit, hop) for hop in range(5)], maps=maps(fit))
    if name=='accel_nasbench':
        archs = list(loaded(name).sample(n, draw)[0].archs)
        contexts = archs[:8]
        tables |= dict(modules=module_rows(fit, contexts), groups=group_rows(fit, archs, contexts))
    tables['calibration'] = [calibration(fit)] # The last, since it says what is done
    for table,rows in tables.items():
        append_table(results/f'study_shift_{table}.csv', [dict(about, **row) for row in rows], 4)
    print(about, {key: round(float(value), 2) for key,value in tables['calibration'][0].items()}, flush=True)

def main(draws:int=5):
    torch.set_num_threads(1)
    known = done(results/'study_shift_calibration.csv', 'data', 'N', 'draw')
    for draw,n,name in itertools.product(range(first_draw, first_draw+draws), (50, 100, 200), tasks):
        if (name, n, draw) not in known: measure(name, n, draw)

if __name__=='__main__':
    warnings.simplefilter('ignore')
    main(*map(int, sys.argv[1:]))

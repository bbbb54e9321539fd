"""Which networks should be measured first? Designs of few labels against random draws, on pools of measured networks.

    python benchmarks/design.py     # adds to benchmarks/results/design.csv, resumable

N networks are chosen from a pool without a look at its labels, by one of four rules, all of which know the same terms:
at random; `maximin`, each as far as possible from those chosen before; `D-optimal`, each where a linear model is least
certain; `design`, what `Space.design` does. A ridge regression on the terms learns from the N labels, and is judged by
Spearman's rank correlation on all networks not chosen. `unseen` counts terms of the pool that no chosen network has.
OFA-PN's labels are SURROGATES, outputs of the paper's authors' predictors.
"""
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV
from tqdm import tqdm

from autobuild import load_dataset
from autobuild.design import most_candidates, network_terms
from logs import append_table, done

table = Path(__file__).parent/'results/design.csv'
names, sizes, draws = ['nas_bench_macro', 'accel_nasbench', 'ofa_pn_surrogate', 'mnist1d'], [8, 12, 20, 35, 50], 20

def maximin(x, n):
    "Rows of a matrix, each as far as possible from those before; the first is the first"
    chosen, distance = [0], np.full(len(x), np.inf)
    while len(chosen)<n:
        distance = np.minimum(distance, ((x-x[chosen[-1]])**2).sum(1))
        chosen.append(int(distance.argmax()))
    return chosen

def d_optimal(x, n, noise=.1):
    "Rows of a matrix, each with the largest variance of a linear model fitted to those before"
    covariance, chosen = x@x.T, []
    covariance /= np.trace(covariance)/len(x)
    while len(chosen)<n:
        variance = covariance.diagonal().copy()
        variance[chosen] = -1
        chosen.append(int(variance.argmax()))
        column = covariance[chosen[-1]]
        covariance = covariance-np.outer(column, column)/(column[chosen[-1]]+noise)
    return chosen

def spearman(terms, labels, chosen):
    "Rank correlation of a ridge regression on all networks that it was not fitted to"
    fit = RidgeCV(np.logspace(-2, 3, 11)).fit(terms[chosen], labels[chosen])
    rest = np.setdiff1d(np.arange(len(labels)), chosen)
    predicted = fit.predict(terms[rest])
    return spearmanr(predicted, labels[rest])[0] if np.ptp(predicted) else 0. # equal predictions rank nothing

def run():
    "All sets, draws, rules and sizes that the table lacks"
    known = done(table, 'data', 'draw')
    for name in names:
        data = load_dataset(name)
        archs, labels = data.archs, data.target('accuracy')
        terms = network_terms(data.space, archs).toarray().astype(float)
        place = {arch: i for i,arch in enumerate(archs)}
        for draw in tqdm([o for o in range(draws) if (name, o) not in known], desc=name, disable=None):
            drawn = np.random.default_rng(draw).permutation(len(archs))
            few = terms[drawn[:most_candidates]]
            few = few-few.mean(0)
            ours = data.space.design(max(sizes), draw, pool=archs)
            rules = {'random': drawn, 'maximin': drawn[maximin(few, max(sizes))],
                     'D-optimal': drawn[d_optimal(few, max(sizes))], 'design': np.array([place[arch] for arch in ours])}
            append_table(table, [
                dict(data=name, draw=draw, rule=rule, N=n, spearman=spearman(terms, labels, order[:n]),
                     unseen=int(((terms>0).any(0) & ~(terms[order[:n]]>0).any(0)).sum()))
                for rule,order in rules.items() for n in sizes])

if __name__=='__main__': run()

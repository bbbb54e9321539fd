"""How long must the graph network train? Held-out error, rank correlation and time after every cycle of training.

    python benchmarks/cycles.py      # adds to benchmarks/results/cycles.csv, resumable

The draws are not those of comparison.py: repeats count from 2,000. Training goes on to the last cycle, whatever the
held-out error says; `stops` marks the cycle with which the default would have ended.
"""
import argparse, itertools, sys, time, warnings
from pathlib import Path
from unittest.mock import patch

import numpy as np, torch
from scipy.stats import spearmanr

from autobuild import AutoBuild
from autobuild.training import Recipe, gains_enough
from comparison import columns, draw, took_part
from logs import append_table, done

table = Path(__file__).parent/'results/cycles.csv'
cells = [(name, 50 if name in ('nas_bench_macro', 'accel_nasbench', 'mnist1d') else 100) for name in took_part]
cells.append(('nas_bench_201', 469))
most_judged = 3000 # Networks

class Judge:
    "Stands in for the held-out error: notes what is known after a cycle, and asks for another one"
    def __init__(self, found):
        self.found, self.rows, self.asked = found, [], 1.
        self.rest = np.random.default_rng(found.seed).permutation(found.rest)[:most_judged]
        self.archs = [found.pool.data.archs[i] for i in self.rest]
        self.seconds, self.since = 0., time.process_time()

    def __call__(self, predictor):
        self.seconds += time.process_time()-self.since
        says = predictor.predict(self.archs)
        self.rows.append(dict(error=np.square(predictor.errors).mean(), weight=predictor.weights['graph'],
                              spearman=spearmanr(says, self.found.judged[self.rest])[0], seconds=self.seconds))
        self.asked, self.since = self.asked/2, time.process_time()
        return self.asked

def last_by_default(errors):
    "With which cycle the default would have ended"
    enough = (i for i in range(1, len(errors)) if not gains_enough(errors[i-1], errors[i]))
    return next(enough, len(errors)-1)

def measured(name, n, repeat, part):
    "A row per cycle, of the whole prediction or of the graph network by itself"
    found = draw(name, columns[name][0], n, repeat)
    judge, steps = Judge(found), np.cumsum(Recipe().cycles(n))
    settings = dict(weights=dict(graph=1.)) if part=='graph' else {}
    with patch.object(sys.modules['autobuild.readouts'], '_error', judge): # `autobuild.readouts` is the dictionary
        AutoBuild(found.target, seed=found.seed, **settings).fit(found.pool.data[found.rows], progress=False)
    last = last_by_default([row['error'] for row in judge.rows])
    rows = zip(steps, judge.rows)
    return [dict(data=name, N=n, repeat=repeat, part=part, steps=int(step), **row, stops=i==last)
            for i,(step,row) in enumerate(rows)]

def main():
    ask = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ask.add_argument('--repeats', type=int, default=3)
    asked = ask.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter('ignore')
    known = done(table, 'data', 'N', 'repeat', 'part')
    for repeat,(name,n),part in itertools.product(range(2000, 2000+asked.repeats), cells, ('whole', 'graph')):
        if (name, n, repeat, part) not in known: append_table(table, measured(name, n, repeat, part), digits=4)

if __name__=='__main__': main()

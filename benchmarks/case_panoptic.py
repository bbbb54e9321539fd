"""Do the modules that matter for panoptic segmentation differ from those for classification?

    python benchmarks/case_panoptic.py           # everything below, in this order
    python benchmarks/case_panoptic.py label     # train 150 random backbones on both tasks, 12 of them with 3 seeds
    python benchmarks/case_panoptic.py choose    # learn from 100 of them and pick networks: built, ridge's, random
    python benchmarks/case_panoptic.py measure   # train what was picked on both tasks, 3 seeds each
    python benchmarks/case_panoptic.py modules   # module scores of both tasks, and of halves of the labels
    python benchmarks/case_panoptic.py ranks     # how every hop ranks networks that were not trained on
    python benchmarks/case_panoptic.py picture   # keep six scenes and a network's prediction
    python benchmarks/case_panoptic.py table     # write case_panoptic.csv and case_panoptic_built.csv

`label` and `measure` append to case_panoptic_runs.jsonl and can be stopped and started again. JOBS=2 uses two processes.
"""
import itertools, json, os, sys, time, warnings
from pathlib import Path

import joblib, numpy as np, pandas as pd, torch
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV
from tqdm import tqdm

from autobuild import AutoBuild, LabelledData
from autobuild.budgets import Classes, QuantityCosts
from autobuild.construction import class_products
from autobuild.importance import Modules
from autobuild.spaces import Architecture
from baselines import choices, one_hot, ridge
from logs import append, read
from panoptic_task import fitted_panoptic, macs, panoptic_data, segmented, space, train_classifier, train_panoptic

networks, reseeded, seed = 150, 12, 2026
labels, built, retrain = 100, 5, (10, 11, 12)
results = Path(__file__).parent/'results'
log, picked = results/'case_panoptic_runs.jsonl', results/'case_panoptic_picked.csv'

def run(task, arch, s):
    "One training: what it was, what came out, and the seconds of CPU"
    start = time.process_time()
    out = dict(zip(('pq', 'pq_things', 'pq_stuff'), train_panoptic(arch, s))) if task=='panoptic' else dict(accuracy=train_classifier(arch, s))
    return dict(task=task, architecture=str(arch), seed=s, **{k: round(v, 5) for k,v in out.items()}, cpu_seconds=round(time.process_time()-start, 2))

def train_all(todo):
    "Train what is not in the log yet"
    done = {(r['task'], r['architecture'], r['seed']) for r in read(log)}
    todo = [o for o in todo if (o[0], str(o[1]), o[2]) not in done]
    jobs = joblib.Parallel(n_jobs=int(os.environ.get('JOBS', 1)), return_as='generator_unordered')(joblib.delayed(run)(*o) for o in todo)
    for r in tqdm(jobs, total=len(todo)): append(log, **r)

def both(archs, seeds): return [(t, a, s) for a in archs for s in seeds for t in ('panoptic', 'classification')]

def label():
    "The labelled networks once, then the first ones with two more seeds"
    archs = space.sample(networks, seed)
    train_all(both(archs, [0])+both(archs[:reseeded], [1, 2]))

# --- what is learned from the labels ---

tasks = dict(pq='panoptic', accuracy='classification')

def labelled():
    "The labelled networks, one row each: pq, pq_things, pq_stuff, accuracy (seed 0), macs"
    first = {(r['task'], r['architecture']): r for r in read(log) if r['seed']==0}
    archs = [a for a in space.sample(networks, seed) if all((t, str(a)) in first for t in tasks.values())]
    rows = [{k: v for t in tasks.values() for k,v in first[t, str(a)].items() if k.startswith(('pq', 'acc'))} for a in archs]
    return LabelledData(space, archs, pd.DataFrame(rows).assign(macs=macs(archs).astype(int)), 'panoptic', dict(macs=macs))

def fit(target, data, s=0):
    "The default estimator, without its warnings"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return AutoBuild(target, seed=s).fit(data, progress=False)

def ridge_best(target, data, limit, n):
    "The exact best n networks of a one-hot ridge within a limit of MACs, none of them labelled"
    terms = {t: i for i,t in enumerate(dict.fromkeys(t for a in data.archs for t in choices(a).items()))}
    weights = RidgeCV(np.logspace(-2, 3, 11)).fit(one_hot(data).toarray(), data.table[target]).coef_
    def worth(u, config): return sum(weights[terms[(u, *k[1:]), v]] for k,v in choices(Architecture([config])).items() if ((u, *k[1:]), v) in terms)
    modules = [Modules(s) for s in space.stages]
    scores = [np.array([worth(u, m.config(i)) for i in range(len(m))]) for u,m in enumerate(modules, 1)]
    classes, known, out = Classes(space, by_cost=True), set(data.archs), []
    for _,t in class_products(scores, classes.subsets, QuantityCosts(macs, classes), limit):
        a = Architecture([m.config(i) for m,i in zip(modules, t)])
        if a not in known: out.append(a)
        if len(out)==n: return out

def drawn(limit, n, known):
    "Random networks within the limit"
    return [a for a in space.sample(20*n, seed+1) if macs([a])[0]<=limit and a not in known][:n]

def choose():
    "Networks to train: all within the median MACs of the labelled"
    train, _ = labelled().sample(labels, 0)
    limit = float(train.table.macs.median())
    within, groups = train[train.table.macs.to_numpy()<=limit], {}
    for k in tasks:
        groups[f'built for {k}'] = fit(k, train).construct(built, where=f'macs <= {limit}', progress=False).archs
        groups[f'labelled best {k}'] = [within.archs[int(within.table[k].argmax())]]
    groups['ridge for pq'] = ridge_best('pq', train, limit, built)
    groups['random'] = drawn(limit, built, set(labelled().archs))
    rows = [dict(group=g, architecture=str(a), macs=int(macs([a])[0])) for g,archs in groups.items() for a in archs]
    pd.DataFrame(rows).assign(limit=limit).to_csv(picked, index=False)

def measure():
    "Every picked network on both tasks; ridge's only on the panoptic one"
    table = pd.read_csv(picked)
    todo = [o for g,a in zip(table.group, table.architecture) for o in both([space.check(a)], retrain) if g!='ridge for pq' or o[0]=='panoptic']
    train_all(list(dict.fromkeys(todo)))

# --- importance ---

def centred_scores(ab):
    "Every stage's module scores relative to their mean"
    each = [ab.module_scores(u).mean(0).astype(float) for u in range(1, len(space.stages)+1)]
    return [e-e.mean() for e in each]

def effects(scores):
    "By stage and feature, what a choice is worth: the mean score of the modules that have it, weighted by how often, a layer count being as likely as any other"
    rows = []
    for u,s in enumerate(scores, 1):
        modules = Modules(space.stages[u-1])
        configs, n = [modules.config(i) for i in range(len(modules))], modules.layers()
        even = 1/np.bincount(n)[n]
        centre = np.average(s, weights=even)
        rows.append(dict(stage=u, feature='all', choice=0, effect=np.sqrt(np.average((s-centre)**2, weights=even))))
        for f,options in dict(layers=(1, 2, 3), width=(8, 12, 16), kernel=(3, 5, 7), expansion=(1, 2, 3)).items():
            for o in options:
                w = even*np.array([len(c['layers'])==o if f=='layers' else c['width']==o if f=='width' else np.mean([l[f]==o for l in c['layers']]) for c in configs])
                rows.append(dict(stage=u, feature=f, choice=o, effect=np.average(s, weights=w)-centre))
    return rows

def ranks():
    "How every hop ranks 50 networks that were not trained on: five draws of 100 labels"
    data, rows = labelled(), []
    for s in range(5):
        train, rest = data.sample(labels, s)
        for target in (*tasks, 'macs'):
            found = fit(target, train, s).evaluate(rest).spearman
            rows.append(dict(draw=s, target=target, **found, ridge=ridge_rank(target, data, s)))
    pd.DataFrame(rows).round(4).to_csv(results/'case_panoptic_hops.csv', index=False)

def ridge_rank(target, data, s):
    "The same for a one-hot ridge"
    order, y = np.random.default_rng(s).permutation(len(data)), data.table[target].to_numpy()
    train, rest = order[:labels], order[labels:]
    return spearmanr(ridge(one_hot(data), train, y[train])[rest], y[rest])[0]

def modules(splits=8):
    "Module scores of both tasks and MACs from all labels; how far the scores of two halves of the labels agree within and across tasks"
    data, worth, agree = labelled(), [], []
    everything = {k: centred_scores(fit(k, data)) for k in (*tasks, 'macs')}
    worth += [dict(split='all', half=0, target=k, **r) for k,scores in everything.items() for r in effects(scores)]
    agree += [dict(split='all', stage=u+1, pair=f'{a}-{b}', spearman=spearmanr(everything[a][u], everything[b][u])[0]) for a,b in itertools.combinations(everything, 2) for u in range(len(space.stages))]
    for s in tqdm(range(splits)):
        halves = data.sample(len(data)//2, 100+s)
        found = {(k, h): centred_scores(fit(k, part, s)) for k in tasks for h,part in enumerate(halves)}
        for (k, h),scores in found.items(): worth += [dict(split=s, half=h, target=k, **r) for r in effects(scores)]
        for a,b in ((('pq', 0), ('pq', 1)), (('accuracy', 0), ('accuracy', 1)), (('pq', 0), ('accuracy', 1)), (('pq', 1), ('accuracy', 0))):
            agree += [dict(split=s, stage=u+1, pair=f'{a[0]}-{b[0]}', spearman=spearmanr(found[a][u], found[b][u])[0]) for u in range(len(space.stages))]
    pd.DataFrame(worth).to_csv(results/'case_panoptic_effects.csv', index=False, float_format='%.5g')
    pd.DataFrame(agree).to_csv(results/'case_panoptic_modules.csv', index=False, float_format='%.4f')

# --- tables ---

def wide(rows, archs):
    "One row a network: every seed's measures"
    out = {str(a): dict(macs=int(macs([a])[0])) for a in archs}
    for r in rows:
        if r['architecture'] in out: out[r['architecture']] |= {f'{k}_seed{r["seed"]}': v for k,v in r.items() if k.startswith(('pq', 'acc'))}
    return pd.DataFrame.from_dict(out, 'index').rename_axis('architecture')

def table():
    "The labelled networks, and the picked ones, with every training"
    wide([r for r in read(log) if r['seed']<10], labelled().archs).to_csv(results/'case_panoptic.csv')
    chosen = pd.read_csv(picked)
    measured = wide([r for r in read(log) if r['seed']>=10], [space.check(a) for a in chosen.architecture]).drop(columns='macs')
    chosen.join(measured, on='architecture').to_csv(results/'case_panoptic_built.csv', index=False)

def picture(n=6):
    "The first test scenes, their labels, and what the first network built for PQ makes of them, pixels as hexadecimal digits"
    arch = space.check(pd.read_csv(picked).query("group=='built for pq'").architecture.iloc[0])
    x, classes, instances = (o[:n] for o in panoptic_data()[1])
    guess = segmented(fitted_panoptic(arch, retrain[0]), x)
    def text(o): return o.to(torch.uint8).numpy().tobytes().hex()
    rows = [dict(image=text((x[i,0]*200).clamp(0, 255)), classes=text(classes[i]), instances=text(instances[i]), classes_guess=text(guess[i,:,:,0]), instances_guess=text(guess[i,:,:,1])) for i in range(n)]
    (results/'case_panoptic_scenes.jsonl').write_text(''.join(json.dumps(dict(architecture=str(arch), **r))+'\n' for r in rows))

parts = dict(label=label, choose=choose, measure=measure, modules=modules, ranks=ranks, picture=picture, table=table)
if __name__=='__main__':
    for part in sys.argv[1:] or parts: parts[part]()

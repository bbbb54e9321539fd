"""Do the modules that matter for panoptic segmentation differ from those for classification?

    python benchmarks/case_panoptic.py           # everything below, in this order
    python benchmarks/case_panoptic.py label     # train 150 random backbones on both tasks, 12 of them with 3 seeds
    python benchmarks/case_panoptic.py choose    # learn from 100 of them and pick networks: built, ridge's, random
    python benchmarks/case_panoptic.py measure   # train what was picked on both tasks, 3 seeds each
    python benchmarks/case_panoptic.py modules   # module scores of both tasks, and of halves of the labels
    python benchmarks/case_panoptic.py ranks     # how every hop ranks networks that were not trained on
    python benchmarks/case_panoptic.py picture   # keep six scenes and a network's prediction
    python benchmarks/case_panoptic.py table     # write case_panoptic.csv and case_panoptic_built.csv
    python benchmarks/case_panoptic.py fresh     # three more draws of labels: built, ridge's, random of the same size

`label`, `measure` and `fresh` append to case_panoptic_runs.jsonl and can be stopped and started again. JOBS=2 uses two
processes.
"""
import argparse, itertools, json, os, time, warnings
from pathlib import Path

import joblib, numpy as np, pandas as pd, torch
from scipy.stats import spearmanr
from tqdm import tqdm

from autobuild import AutoBuild, LabelledData
from autobuild.budgets import Classes, QuantityCosts
from autobuild.construction import class_products
from autobuild.spaces import Candidates
from baselines import alike_in_cost, on_label_scale, one_hot, ridge, ridge_modules
from logs import append, read
from panoptic_task import fitted_panoptic, macs, panoptic_data, segmented, space, train_classifier, train_panoptic

networks, reseeded, seed = 150, 12, 2026
labels, built, retrain = 100, 5, (10, 11, 12)
fresh_draws, fresh_seeds = (1, 2, 3), (20, 21)
results = Path(__file__).parent/'results'
log, picked = results/'case_panoptic_runs.jsonl', results/'case_panoptic_picked.csv'

def run(task, arch, seed):
    "One training: what it was, what came out, and the seconds of CPU"
    start = time.process_time()
    if task=='panoptic': found = dict(zip(('pq', 'pq_things', 'pq_stuff'), train_panoptic(arch, seed)))
    else: found = dict(accuracy=train_classifier(arch, seed))
    found = {name: round(value, 5) for name,value in found.items()}
    seconds = round(time.process_time()-start, 2)
    return dict(task=task, architecture=str(arch), seed=seed, **found, cpu_seconds=seconds)

def train_all(todo):
    "Train what is not in the log yet"
    done = {(record['task'], record['architecture'], record['seed']) for record in read(log)}
    todo = [(task, arch, seed) for task,arch,seed in todo if (task, str(arch), seed) not in done]
    pool = joblib.Parallel(n_jobs=int(os.environ.get('JOBS', 1)), return_as='generator_unordered')
    records = pool(joblib.delayed(run)(*training) for training in todo)
    for record in tqdm(records, total=len(todo), disable=None): append(log, **record)

def both(archs, seeds):
    return [(task, arch, seed) for arch in archs for seed in seeds for task in ('panoptic', 'classification')]

def label():
    "The labelled networks once, then the first ones with two more seeds"
    archs = space.sample(networks, seed)
    train_all(both(archs, [0])+both(archs[:reseeded], [1, 2]))

# --- what is learned from the labels ---

tasks = dict(pq='panoptic', accuracy='classification')
scales = {'': np.asarray, ', label scale': on_label_scale} # Of what a ridge is told

def labelled():
    "The labelled networks, one row each: pq, pq_things, pq_stuff, accuracy (seed 0), macs"
    first = {(record['task'], record['architecture']): record for record in read(log) if record['seed']==0}
    archs = [arch for arch in space.sample(networks, seed)
             if all((task, str(arch)) in first for task in tasks.values())]
    rows = [{name: value for task in tasks.values() for name,value in first[task, str(arch)].items()
             if name.startswith(('pq', 'acc'))} for arch in archs]
    table = pd.DataFrame(rows).assign(macs=macs(archs).astype(int))
    return LabelledData(space, archs, table, 'panoptic', dict(macs=macs))

def fit(target, data, s=0):
    "The default estimator, without its warnings"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return AutoBuild(target, seed=s).fit(data, progress=False)

def ridge_best(target, data, limit, n, scale=np.asarray):
    "The exact best n networks of a one-hot ridge within a limit of MACs, none of them labelled; `scale` of labels"
    classes, known, out = Classes(space, by_cost=True), set(data.archs), []
    scores = ridge_modules(data, scale(data.table[target].to_numpy()))
    for _,numbers in class_products(scores, classes.subsets, QuantityCosts(macs, classes), limit):
        arch = Candidates(space, [numbers], [0])[0]
        if arch not in known: out.append(arch)
        if len(out)==n: return out

def drawn(limit, n, known):
    "Random networks within the limit"
    return [arch for arch in space.sample(20*n, seed+1) if macs([arch])[0]<=limit and arch not in known][:n]

def choose():
    "Networks to train: all within the median MACs of the labelled"
    train, _ = labelled().sample(labels, 0)
    limit = float(train.table.macs.median())
    within, groups = train[train.table.macs.to_numpy()<=limit], {}
    for metric in tasks:
        made = fit(metric, train).construct(built, where=f'macs <= {limit}', progress=False)
        groups[f'built for {metric}'] = made.archs
        groups[f'labelled best {metric}'] = [within.archs[int(within.table[metric].argmax())]]
    groups['ridge for pq'] = ridge_best('pq', train, limit, built)
    groups['random'] = drawn(limit, built, set(labelled().archs))
    rows = [dict(group=group, architecture=str(arch), macs=int(macs([arch])[0]))
            for group,archs in groups.items() for arch in archs]
    pd.DataFrame(rows).assign(limit=limit).to_csv(picked, index=False)

def measure():
    "Every picked network on both tasks; ridge's only on the panoptic one"
    todo, table = [], pd.read_csv(picked)
    for group,text in zip(table.group, table.architecture):
        trainings = both([space.check(text)], retrain)
        todo += [(task, *rest) for task,*rest in trainings if group!='ridge for pq' or task=='panoptic']
    train_all(list(dict.fromkeys(todo)))

# --- importance ---

def centred_scores(ab):
    "Every stage's module scores relative to their mean"
    each = [ab.module_scores(stage).mean(0).astype(float) for stage in range(1, len(space.stages)+1)]
    return [scores-scores.mean() for scores in each]

feature_choices = dict(layers=(1, 2, 3), width=(8, 12, 16), kernel=(3, 5, 7), expansion=(1, 2, 3))

def share(config, feature, choice):
    "How much of a module has a choice: all or nothing of its layer count and width, or a part of its layers"
    if feature=='layers': return float(len(config['layers'])==choice)
    if feature=='width': return float(config['width']==choice)
    return np.mean([layer[feature]==choice for layer in config['layers']])

def effects(scores):
    """By stage and feature, what a choice is worth

    The mean score of the modules that have it, weighted by how often, a layer count being as likely as any other."""
    rows = []
    for stage,(score,modules) in enumerate(zip(scores, space.modules), 1):
        configs, layers = [modules.config(i) for i in range(len(modules))], modules.layers()
        even = 1/np.bincount(layers)[layers]
        centre = np.average(score, weights=even)
        spread = np.sqrt(np.average((score-centre)**2, weights=even))
        rows.append(dict(stage=stage, feature='all', choice=0, effect=spread))
        for feature,choices in feature_choices.items():
            for choice in choices:
                weights = even*np.array([share(config, feature, choice) for config in configs])
                effect = np.average(score, weights=weights)-centre
                rows.append(dict(stage=stage, feature=feature, choice=choice, effect=effect))
    return rows

def ranks():
    "How every hop ranks 50 networks that were not trained on: five draws of 100 labels"
    data, rows = labelled(), []
    for s in range(5):
        train, rest = data.sample(labels, s)
        for target in (*tasks, 'macs'):
            found = fit(target, train, s).evaluate(rest).spearman
            ridges = {f'ridge{name}': ridge_rank(target, data, s, scale) for name,scale in scales.items()}
            rows.append(dict(draw=s, target=target, **found, **ridges))
    pd.DataFrame(rows).round(4).to_csv(results/'case_panoptic_hops.csv', index=False)

def ridge_rank(target, data, s, scale=np.asarray):
    "The same for a one-hot ridge"
    order, values = np.random.default_rng(s).permutation(len(data)), data.table[target].to_numpy()
    train, rest = order[:labels], order[labels:]
    return spearmanr(ridge(one_hot(data), train, scale(values[train]))[rest], values[rest])[0]

halves_compared = [(('pq', 0), ('pq', 1)), (('accuracy', 0), ('accuracy', 1)), (('pq', 0), ('accuracy', 1)),
                   (('pq', 1), ('accuracy', 0))]

def agreement(first, second, **what):
    "Rank correlation of two sets of module scores: one row per stage"
    return [dict(what, stage=stage, spearman=spearmanr(a, b)[0]) for stage,(a,b) in enumerate(zip(first, second), 1)]

def modules(splits=8):
    "Module scores of both tasks and MACs; how far those of two halves of the labels agree within and across tasks"
    data, worth, agree = labelled(), [], []
    everything = {target: centred_scores(fit(target, data)) for target in (*tasks, 'macs')}
    for target,scores in everything.items():
        worth += [dict(split='all', half=0, target=target, **row) for row in effects(scores)]
    for a,b in itertools.combinations(everything, 2):
        agree += agreement(everything[a], everything[b], split='all', pair=f'{a}-{b}')
    for split in tqdm(range(splits), disable=None):
        halves = enumerate(data.sample(len(data)//2, 100+split))
        found = {(target, half): centred_scores(fit(target, part, split)) for half,part in halves for target in tasks}
        for (target,half),scores in found.items():
            worth += [dict(split=split, half=half, target=target, **row) for row in effects(scores)]
        for a,b in halves_compared: agree += agreement(found[a], found[b], split=split, pair=f'{a[0]}-{b[0]}')
    pd.DataFrame(worth).to_csv(results/'case_panoptic_effects.csv', index=False, float_format='%.5g')
    agree = pd.DataFrame(agree)[['split', 'stage', 'pair', 'spearman']]
    agree.to_csv(results/'case_panoptic_modules.csv', index=False, float_format='%.4f')

# --- tables ---

def wide(records, archs):
    "One row per network: every seed's measures"
    out = {str(arch): dict(macs=int(macs([arch])[0])) for arch in archs}
    for record in records:
        measures = {f"{name}_seed{record['seed']}": value for name,value in record.items()
                    if name.startswith(('pq', 'acc'))}
        if record['architecture'] in out: out[record['architecture']] |= measures
    return pd.DataFrame.from_dict(out, 'index').rename_axis('architecture')

def table():
    "The labelled networks, and the picked ones, with every training"
    records, chosen = read(log), pd.read_csv(picked)
    labelled_runs = [record for record in records if record['seed']<10]
    wide(labelled_runs, labelled().archs).to_csv(results/'case_panoptic.csv')
    picked_runs = [record for record in records if record['seed'] in retrain]
    measured = wide(picked_runs, [space.check(text) for text in chosen.architecture]).drop(columns='macs')
    chosen.join(measured, on='architecture').to_csv(results/'case_panoptic_built.csv', index=False)

def as_text(pixels):
    "Pixels from 0 to 255 as hexadecimal digits"
    return pixels.to(torch.uint8).numpy().tobytes().hex()

def picture(n=6):
    "The first test scenes, their labels, and what the first network built for PQ makes of them, as hexadecimal digits"
    arch = space.check(pd.read_csv(picked).query("group=='built for pq'").architecture.iloc[0])
    images, classes, instances = (part[:n] for part in panoptic_data()[1])
    guess, rows = segmented(fitted_panoptic(arch, retrain[0]), images), []
    for i in range(n):
        pictures = dict(image=(images[i,0]*200).clamp(0, 255), classes=classes[i], instances=instances[i],
                        classes_guess=guess[i,:,:,0], instances_guess=guess[i,:,:,1])
        rows.append(dict(architecture=str(arch), **{name: as_text(pixels) for name,pixels in pictures.items()}))
    (results/'case_panoptic_scenes.jsonl').write_text(''.join(json.dumps(row)+'\n' for row in rows))

# --- fresh draws ---

def unlabelled(data, draw):
    "Random networks that no label is of"
    known = set(data.archs)
    return [arch for arch in space.sample(20_000, seed+1+draw) if arch not in known]

def fresh():
    "Three more draws of the labels, and two trainings for PQ of what each leads to"
    data, rows = labelled(), []
    for draw in fresh_draws:
        train, _ = data.sample(labels, draw)
        limit = float(train.table.macs.median())
        made = fit('pq', train, draw).construct(built, where=f'macs <= {limit}', progress=False).archs
        by_ridge = {f'ridge for pq{name}': ridge_best('pq', train, limit, built, scale)
                    for name,scale in scales.items()}
        groups = {'built for pq': made, **by_ridge,
                  'random of the same size': alike_in_cost(made, unlabelled(data, draw), macs)}
        rows += [dict(draw=draw, group=group, architecture=str(arch), macs=int(macs([arch])[0]), limit=limit)
                 for group,archs in groups.items() for arch in archs]
    picks = pd.DataFrame(rows)
    archs = [space.check(text) for text in dict.fromkeys(picks.architecture)]
    train_all([('panoptic', arch, s) for arch in archs for s in fresh_seeds])
    measured = wide([record for record in read(log) if record['seed'] in fresh_seeds], archs).drop(columns='macs')
    picks.join(measured, on='architecture').to_csv(results/'case_panoptic_fresh.csv', index=False)

parts = dict(label=label, choose=choose, measure=measure, modules=modules, ranks=ranks, picture=picture, table=table,
             fresh=fresh)

if __name__=='__main__':
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument('parts', nargs='*', choices=parts)
    for part in ask.parse_args().parts or parts: parts[part]()

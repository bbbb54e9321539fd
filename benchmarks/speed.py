"""How long the main steps take on one thread, against a stated reference in the same run.

    python benchmarks/speed.py            # everything, adds to benchmarks/results/speed.csv row by row
    python benchmarks/speed.py score      # one part: fit, ensemble, score, construct, labels, modules

The reference for fits and scores is `reference.py`: the paper's method as a PyTorch Geometric loop with the authors'
settings. OFA-PN's labels are SURROGATES; times do not depend on where labels come from. Every part runs in a process
of its own, whose peak memory is noted.
"""
import itertools, multiprocessing, platform, resource, sys, time, warnings
from pathlib import Path

import numpy as np, pandas as pd, torch
from scipy.stats import spearmanr

from autobuild import Architecture, AutoBuild, LabelledData, Space, load_dataset
from autobuild.construction import best_products, best_within
from autobuild.encoding import Encoder
from autobuild.importance import Modules

table = Path(__file__).parent/'results/speed.csv'

def timed(f):
    "(seconds, result)"
    start = time.perf_counter()
    out = f()
    return time.perf_counter()-start, out

def note(what, seconds, reference='', reference_seconds=np.nan, wanted='', **more):
    "Write one row; ratio is reference / ours"
    row = dict(what=what, seconds=round(seconds, 3), reference=reference, reference_seconds=round(reference_seconds, 3), ratio=round(reference_seconds/seconds, 2), wanted=wanted,
               peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024, torch=torch.__version__, python=platform.python_version(), **more)
    known = pd.read_csv(table) if table.exists() else pd.DataFrame(columns=['what'])
    pd.concat([known[known.what!=what], pd.DataFrame([row])]).to_csv(table, index=False)
    print(row, flush=True)

def warm():
    "Load what the first fit of a process loads"
    data = load_dataset('nas_bench_macro')
    AutoBuild(ensemble=1, steps=2, warmup=1).fit(data[:12], progress=False)

def fit():
    "Time to quality on 2,700 labels: one network until it ranks held-out networks as well as the reference loop does at its end"
    import reference
    warm()
    train, rest = (data := load_dataset('ofa_pn_surrogate')).sample(2700, 0)
    y, encoder = train.target('accuracy'), Encoder(data.space)
    slow, net = timed(lambda: reference.train_reference(encoder, reference.graphs(train, encoder), y))
    wanted = spearmanr(reference.reference_predict(net, reference.graphs(rest, encoder)), rest.target('accuracy'))[0]
    for steps in (25, 50, 100, 200, 400, 800, 1600):
        fast, ab = timed(lambda: AutoBuild(ensemble=1, steps=steps).fit(train, progress=False))
        found = spearmanr(ab.predict(rest), rest.target('accuracy'))[0]
        if found>=wanted: break
    note(f'fit one network on 2,700 labels to a held-out Spearman of {found:.3f}, {steps} steps', fast, f'PyG loop, 200 epochs, {wanted:.3f}', slow, '10 times faster')
    fast, ab = timed(lambda: AutoBuild().fit(train, progress=False))
    note(f'fit with the defaults on 2,700 labels, Spearman {spearmanr(ab.predict(rest), rest.target("accuracy"))[0]:.3f}', fast, f'PyG loop, 200 epochs, {wanted:.3f}', slow)

def ensemble():
    "An ensemble trained side by side, and the default fit on 100 labels"
    warm()
    train, _ = load_dataset('ofa_pn_surrogate').sample(300, 0)
    one = min(timed(lambda: AutoBuild(ensemble=1).fit(train, progress=False))[0] for _ in range(2))
    for members in (5, 10):
        seconds = min(timed(lambda: AutoBuild(ensemble=members).fit(train, progress=False))[0] for _ in range(2))
        note(f'fit an ensemble of {members} on 300 labels', seconds, 'one network', one, 'an ensemble of 5 costs at most 3.5 times one', times_one=round(seconds/one, 2))
    for name in ('nas_bench_macro', 'ofa_pn_surrogate', 'mnist1d', 'nas_bench_graph:cs'):
        train, _ = load_dataset(name).sample(100, 0)
        note(f'fit with the defaults on 100 labels of {name}', min(timed(lambda: AutoBuild().fit(train, progress=False))[0] for _ in range(2)), wanted='8 s')

def ofa_space(name):
    "The space of OFA-MBv3 or OFA-PN, which needs no labels; PN's last stage of one layer is merged with the stage before it, as in the paper"
    layer = dict(expansion=[3,4,6], kernel=[3,5,7])
    return Space(f'ofa_{name}', [dict(layers=[3,4,5] if name=='pn' and u==4 else [2,3,4], layer=layer) for u in range(5)], dict(resolution=[192, 208, 224]))

def labelled(space, n=300, seed=0):
    "Random networks with a made-up label, for spaces whose times are measured without labels at hand"
    archs = space.sample(n, seed)
    depth = np.array([len(a.rows) for a in archs])
    return LabelledData(space, archs, pd.DataFrame(dict(accuracy=depth+np.random.default_rng(seed).normal(size=n))))

def score():
    "Every module of OFA-MBv3 and OFA-PN: the paper's read-out by one network, and the default read-out"
    import reference
    warnings.simplefilter('ignore')
    for name,wanted in (('mbv3', 300), ('pn', 150)):
        data = labelled(ofa_space(name))
        encoder = Encoder(data.space)
        stages, y = range(1, len(data.space.stages)+1), data.target('accuracy')
        net = reference.train_reference(encoder, reference.graphs(data, encoder), y, epochs=1)
        shift, rng = reference.reference_shift(net, encoder, data.archs, y), np.random.default_rng(0)
        network, modules = data.archs[0].network, [Modules(s) for s in data.space.stages]
        some = [reference.alone(u+1, modules[u].config(int(rng.integers(len(modules[u])))), **network) for u in rng.integers(0, len(modules), 400)]
        one, _ = timed(lambda: [reference.reference_module_score_one_at_a_time(net, encoder, shift, m) for m in some])
        count = sum(map(len, modules))
        ab = AutoBuild(ensemble=1, width=32, steps=20).fit(data, progress=False)
        ab.module_scores(1, 'last')
        ab._scores.clear()
        fast, _ = timed(lambda: [ab.module_scores(u, 'last') for u in stages])
        note(f"score all {count:,} modules of OFA-{name}, the paper's read-out, one network of width 32", fast, 'one at a time, PyG (400 timed)', one/len(some)*count, f'{wanted} times faster')
        for members,width in ((5, 32), (10, 16)):
            ab = AutoBuild(ensemble=members, width=width, steps=20).fit(data, progress=False)
            slowest = max(timed(lambda: ab.modules(stage=u, top=10))[0] for u in stages)
            note(f'top 10 modules of a stage of OFA-{name}, default read-out, {members} networks of width {width}, slowest stage', slowest, wanted='5 s')

def construct():
    "The best products of stages, and fronts"
    warnings.simplefilter('ignore')
    rng = np.random.default_rng(0)
    stages, costs = [rng.normal(size=7371) for _ in range(5)], [rng.gamma(2, size=7371) for _ in range(5)]
    budget = np.quantile(sum(rng.choice(c, 100_000) for c in costs), .01)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024
    seconds, _ = timed(lambda: list(itertools.islice(best_products(stages), 10_000)))
    note('best 10,000 of 7,371^5 networks', seconds, wanted='1 s, 200 MB', more_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024-before)
    seconds, _ = timed(lambda: list(itertools.islice(best_within(stages, costs, budget), 1000)))
    note('best 1,000 of 7,371^5 under a budget that 1 % keep', seconds, wanted='5 s')
    train, _ = load_dataset('ofa_pn_surrogate').sample(300, 0)
    ab = AutoBuild().fit(train, progress=False)
    seconds, built = timed(lambda: ab.construct(10, progress=False))
    note('construct 10 networks of OFA-PN, modules scored on the way', seconds)
    seconds, front = timed(lambda: ab.construct_front(['accuracy', '-latency_gpu'], progress=False))
    note(f'construct_front for accuracy and GPU latency, {len(front)} networks, the second predictor fitted on the way', seconds)

def labels():
    "How the cost of a fit grows with labels"
    warm()
    warnings.simplefilter('ignore')
    space = ofa_space('mbv3')
    for n in (100, 1000, 10_000, 100_000):
        data = labelled(space, n)
        seconds, _ = timed(lambda: AutoBuild(ensemble=1).fit(data, progress=False))
        note(f'fit one network on {n:,} labels', seconds, labels=n)

def modules():
    "How the cost of the best modules grows with the modules of a stage"
    warnings.simplefilter('ignore')
    for choices,layers in ((10, 3), (10, 4), (10, 5), (10, 6), (10, 7)):
        data = labelled(Space('long', [dict(layers=[layers], layer=dict(op=list(range(choices))))]*2), 50)
        ab = AutoBuild(ensemble=1, contexts=1, steps=5).fit(data, progress=False)
        seconds, _ = timed(lambda: ab._leaders(1, 10, 'both'))
        note(f'top 10 of {choices**layers:,} modules of {layers} layers, streamed, one network, one context', seconds, modules=choices**layers)

def run(part):
    torch.set_num_threads(1)
    globals()[part]()

if __name__=='__main__':
    for part in sys.argv[1:] or ['fit', 'ensemble', 'score', 'construct', 'labels', 'modules']:
        job = multiprocessing.get_context('spawn').Process(target=run, args=(part,))
        job.start()
        job.join()
        if job.exitcode: sys.exit(f'{part} failed')

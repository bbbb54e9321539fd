"""Diffusion U-Nets for inpainting, trained for real on a CPU: 68 labels, then what different ways pick from them.

    python benchmarks/case_unet.py            # everything below but the pilot
    python benchmarks/case_unet.py labels     # 68 random networks, eight of them with three seeds
    python benchmarks/case_unet.py picks      # choose four networks in each way
    python benchmarks/case_unet.py train      # train what was picked
    python benchmarks/case_unet.py fewer      # how well fits on fewer labels rank the networks they have not seen
    python benchmarks/case_unet.py few_built  # build from 20, 35 and 50 of the labels, and train what was built
    python benchmarks/case_unet.py fresh      # the whole once more with three other draws of 68 networks to label
    python benchmarks/case_unet.py pictures   # inpaintings by the worst and best labelled network and by the best built
    python benchmarks/case_unet.py pilot      # six networks, two seeds: is there anything to learn beyond the noise?

Every trained network is a line of results/case_unet_runs.jsonl (`fresh`: case_unet_fresh_runs.jsonl) at once; a command
that is stopped and started again goes on.
"""
import argparse, itertools, time
from functools import cache
from pathlib import Path

import numpy as np, pandas as pd, torch
import torch.nn.functional as F
from scipy.linalg import sqrtm
from scipy.stats import spearmanr
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from tqdm import tqdm

from autobuild import Architecture, AutoBuild, LabelledData
from autobuild.examples.unets import UNet, unet_costs, unet_space
from baselines import alike_in_cost, one_hot, ridge
from logs import append, read

space = unet_space([[8,16,24,32], [16,32,48,64]], layers=(1,2,3), up_layers=(1,2,3), name='small diffusion U-Nets')
limit = 6_000_000       # multiply-accumulates of one image: without a limit the largest network would simply win
networks, reseeded, first_draw = 68, 8, 2026
fresh_draws, fresh_seeds = (2027, 2028, 2029), (20, 21)
here = Path(__file__).parent/'results'
log, fresh_log = here/'case_unet_runs.jsonl', here/'case_unet_fresh_runs.jsonl'

# --- the task ---

@cache
def scenes(n, part, seed):
    "(n, 1, 16, 16) scenes in -1..1 and their four classes: digits in a square, the same class along each diagonal"
    x, y = load_digits(return_X_y=True)
    rows = train_test_split(np.arange(len(y)), test_size=600, stratify=y, random_state=0)[part=='held out']
    rng = np.random.default_rng(seed)
    of = [rows[y[rows]==c] for c in range(10)]
    a, b = rng.integers(10, size=(2, n))
    classes = np.stack([a, b, b, a], 1)
    pick = np.array([[rng.choice(of[c]) for c in row] for row in classes])
    tiles = x[pick].reshape(n, 2, 2, 8, 8).transpose(0, 1, 3, 2, 4).reshape(n, 1, 16, 16)
    return torch.tensor(tiles/8-1, dtype=torch.float32), torch.tensor(classes)

def latents(images): return F.pixel_unshuffle(images, 2) # (n, 4, 8, 8): what the autoencoder is to Stable Diffusion

def holes(n, generator):
    "(n, 1, 8, 8) masks: 1 in a rectangle of 3 to 6 cells a side"
    size = torch.randint(3, 7, (2, n, 1), generator=generator)
    start = (torch.rand(2, n, 1, generator=generator)*(9-size)).long()
    cell = torch.arange(8)
    rows, columns = (cell>=start) & (cell<start+size)
    return (rows[:,None,:,None] & columns[:,None,None,:]).float()

# --- diffusion: Stable Diffusion's schedule, velocity prediction, DDIM ---

times = 1000
kept = (1-torch.linspace(.00085**.5, .012**.5, times)**2).cumprod(0) # Share of the signal's variance at each time

def denoise(net, x, t, mask, known): return net(torch.cat([x, mask, known], 1), t)

def loss(net, x, generator):
    "Mean squared error of the predicted velocity at random times, for random holes"
    mask, noise = holes(len(x), generator), torch.randn(x.shape, generator=generator)
    t = torch.randint(times, (len(x),), generator=generator)
    a = kept[t][:,None,None,None]
    return F.mse_loss(denoise(net, a.sqrt()*x+(1-a).sqrt()*noise, t, mask, x*(1-mask)), a.sqrt()*noise-(1-a).sqrt()*x)

@torch.no_grad()
def inpaint(net, x, mask, generator, steps=10):
    "Fill the holes by DDIM; what is known stays"
    z, ts = torch.randn(x.shape, generator=generator), torch.linspace(times-1, 0, steps).long().tolist()
    for t,after in zip(ts, [*ts[1:], None]):
        a, b = kept[t], kept[after] if after is not None else torch.tensor(1.)
        clean = (a.sqrt()*z-(1-a).sqrt()*denoise(net, z, torch.full((len(x),), t), mask, x*(1-mask))).clamp(-1, 1)
        z = b.sqrt()*clean+(1-b).sqrt()*(z-a.sqrt()*clean)/(1-a).sqrt()
    return x*(1-mask)+clean*mask

# --- the score ---

class Classifier(nn.Module):
    "Reads a scene's four digits; its 32 features are what the Frechet distance compares"
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(),
                                      nn.Flatten(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 32))
        self.digits = nn.Linear(32, 40)
    def forward(self, x): return self.digits(F.relu(self.features(x))).unflatten(1, (4, 10))

@cache
@torch.enable_grad() # Also where it is first asked for while nothing else is trained
def classifier():
    "Trained once a session on the training scenes, always the same"
    x, y = scenes(20_000, 'train', 1)
    torch.manual_seed(0)
    net = Classifier()
    opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for step in range(800):
        rows = torch.randint(len(x), (128,))
        opt.param_groups[0]['lr'] = 3e-3*(1-step/800)
        opt.zero_grad()
        F.cross_entropy(net(x[rows]).flatten(0, 1), y[rows].flatten()).backward()
        opt.step()
    return net.eval()

@torch.no_grad()
def features(images): return classifier().features(images).double().numpy()

def frechet(a, b):
    "Frechet distance of two Gaussians fitted to (n, d) features"
    spread_a, spread_b = np.cov(a.T), np.cov(b.T)
    apart = ((a.mean(0)-b.mean(0))**2).sum()
    return float(apart+np.trace(spread_a+spread_b)-2*np.trace(sqrtm(spread_a@spread_b).real))

def judge(net, n=1000):
    "(Frechet distance of inpainted held-out scenes from the same untouched, loss); the same holes and noise for all"
    real, _ = scenes(n, 'held out', 2)
    generator = torch.Generator().manual_seed(3)
    x, mask = latents(real), holes(n, generator)
    filled = torch.cat([inpaint(net, *part, generator) for part in zip(x.split(250), mask.split(250))])
    error = loss(net, x, torch.Generator().manual_seed(4)).item()
    return frechet(features(F.pixel_shuffle(filled, 2)), features(real)), error

# --- training and labels ---

def train(arch, seed, steps=400, batch=32, lr=1.2e-2):
    "AdamW under a one-cycle schedule; the seed fixes weights, scenes, holes and noise"
    x = latents(scenes(20_000, 'train', 1)[0])
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(seed)
    net = UNet(arch)
    opt = torch.optim.AdamW(net.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=steps)
    for _ in range(steps):
        opt.zero_grad()
        loss(net, x[torch.randint(len(x), (batch,), generator=g)], g).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.)
        opt.step()
        schedule.step()
    return net.eval()

def measure(arch, s):
    "Train and judge one network"
    start = time.process_time()
    net = train(arch, s)
    trained = time.process_time()
    distance, error = judge(net)
    params, macs = unet_costs(arch)
    return dict(architecture=str(arch), seed=s, frechet=round(distance, 4), loss=round(error, 5), params=params,
                macs=macs, train_s=round(trained-start, 1), judge_s=round(time.process_time()-trained, 1))

def run(todo, log=log):
    "Train what is not measured yet"
    done = {(record['architecture'], record['seed']) for record in read(log)}
    todo = [(arch, seed) for arch,seed in dict.fromkeys(todo) if (str(arch), seed) not in done]
    classifier()
    for arch,seed in tqdm(todo, disable=None): append(log, **measure(arch, seed))

def within(archs): return [a for a in archs if unet_costs(a)[1]<=limit]

@cache
def labelled(draw=first_draw): return within(space.sample(600, draw))[:networks]

def pilot():
    "The first six of the networks to label, two seeds each"
    run([(a, s) for a in labelled()[:6] for s in (0, 1)])

def labels():
    "Every network once, the first ones with two more seeds"
    run([(a, s) for a in labelled()[:reseeded] for s in (0, 1, 2)] + [(a, 0) for a in labelled()])

# --- what different ways pick ---

target, picked = '-log(frechet)', 4      # log: a distance is off by a share of itself, not by a fixed amount

def quantity(archs): return [unet_costs(a)[1] for a in archs]

def data(draw=first_draw, log=log):
    "The 68 labels of a draw, each of one training (seed 0)"
    runs = pd.DataFrame(read(log)).query('seed==0').drop_duplicates('architecture').set_index('architecture')
    table = runs.loc[map(str, labelled(draw)), ['frechet', 'params']]
    return LabelledData(space, labelled(draw), table, 'diffusion U-Nets', dict(macs=quantity))

def stage_choices(stage):
    "{channels: every choice of attention and layer count with them}"
    return {channels: [dict(channels=channels, attention=attention, layers=[{}]*count)
                       for attention in (False, True) for count in stage.counts]
            for channels in stage.stage['channels'].choices}

@cache
def everything():
    "Every network of the space within the limit"
    choices = [stage_choices(stage) for stage in space.stages]
    levels = [(outer, inner) for outer in choices[0] for inner in choices[1]]
    parts = ((outer, inner, inner, inner, outer) for outer,inner in levels)
    return within(Architecture(list(stages)) for channels in parts
                  for stages in itertools.product(*(choice[width] for choice,width in zip(choices, channels))))

def fit(train, **settings): return AutoBuild(target, seed=0, **settings).fit(train, progress=False)

def top(scores, archs, known):
    order = np.argsort(-scores, kind='stable')
    return [archs[i] for i in order if archs[i] not in known][:picked]

def picked_from(train, pool):
    "What each way makes of some labels; what is labelled is not picked again, but for the labelled best"
    known, ab, labels = set(train.archs), fit(train), train.target(target)
    everyone = [*train.archs, *pool]
    terms = one_hot(LabelledData(space, everyone, pd.DataFrame(index=range(len(everyone)))))
    return {'AutoBuild': ab.construct(picked, where=f'macs <= {limit}', progress=False).archs,
            'exhaustive prediction': top(ab.predict(pool), pool, known),
            'ridge': top(ridge(terms, np.arange(len(train)), labels)[len(train):], pool, known),
            'labelled best': top(labels, train.archs, ())}

def pick():
    "Four networks in each way; what is labelled is not picked again, but for the labelled best"
    pool = everything()
    rows = [dict(way=way, rank=rank, architecture=str(arch), pool=len(pool))
            for way,archs in picked_from(data(), pool).items() for rank,arch in enumerate(archs, 1)]
    pd.DataFrame(rows).to_csv(here/'case_unet_picks.csv', index=False)

def measure_picks():
    "Three seeds that no label was made with, the networks that matter most first"
    table = pd.read_csv(here/'case_unet_picks.csv')
    way = {name: [space.check(text) for text in group.architecture] for name,group in table.groupby('way')}
    first = way['AutoBuild']+way['exhaustive prediction']+way['labelled best'][:1]
    run([(arch, seed) for seed in (1, 2, 3) for arch in first])
    run([(arch, seed) for seed in (1, 2, 3) for arch in way['ridge']+way['labelled best']])

def few(sizes=(20, 30, 40, 50), draws=6):
    "How well do fits on fewer labels rank the labelled networks that they have not seen? Ensembles of three"
    train, rows = data(), []
    terms, labels, distance = one_hot(train), train.target(target), train.table.frechet.to_numpy()
    for count,draw in tqdm(list(itertools.product(sizes, range(draws))), disable=None):
        order = np.random.default_rng(draw).permutation(len(train))
        seen, rest = order[:count], order[count:]
        ways = {'AutoBuild': fit(train[seen], ensemble=3).predict(train[rest]),
                'ridge': ridge(terms, seen, labels[seen])[rest]}
        for way,scores in ways.items():
            best = rest[np.argsort(-scores, kind='stable')[:picked]]
            rows.append(dict(way=way, labels=count, draw=draw, spearman=round(spearmanr(scores, labels[rest])[0], 4),
                             top4=round(distance[best].mean(), 2), rest=round(distance[rest].mean(), 2)))
    pd.DataFrame(rows).to_csv(here/'case_unet_fewer.csv', index=False)

def few_built(sizes=(20, 35, 50), draw=100):
    "Four networks in each way from a part of the labels, drawn at random, each part within the next"
    train, pool = data(), everything()
    order, table = np.random.default_rng(draw).permutation(len(train)), here/'case_unet_few_picks.csv'
    if not table.exists():
        ways = {count: picked_from(train[np.sort(order[:count])], pool) for count in sizes}
        rows = [dict(labels=count, way=way, rank=rank, architecture=str(arch)) for count,found in ways.items()
                for way,archs in found.items() if way!='exhaustive prediction' for rank,arch in enumerate(archs, 1)]
        pd.DataFrame(rows).to_csv(table, index=False)
    archs = [space.check(text) for text in pd.read_csv(table).architecture]
    run([(arch, seed) for seed in (1, 2, 3) for arch in archs])

def fresh_picks(draw):
    "What each way makes of another draw of 68 labels, and random networks of the size of those built"
    train, pool = data(draw, fresh_log), everything()
    ways = picked_from(train, pool)
    known = {*train.archs, *ways['AutoBuild']}
    rest = [arch for arch in pool if arch not in known]
    shuffled = [rest[i] for i in np.random.default_rng(draw).permutation(len(rest))]
    ways['random of the same size'] = alike_in_cost(ways['AutoBuild'], shuffled, quantity)
    return [dict(draw=draw, way=way, rank=rank, architecture=str(arch), macs=unet_costs(arch)[1])
            for way,archs in ways.items() if way!='exhaustive prediction' for rank,arch in enumerate(archs, 1)]

def fresh():
    "Three more draws of 68 networks to label, and two trainings of what each leads to"
    for draw in fresh_draws: run([(arch, 0) for arch in labelled(draw)], fresh_log)
    picks = pd.DataFrame([row for draw in fresh_draws for row in fresh_picks(draw)])
    picks.to_csv(here/'case_unet_fresh_picks.csv', index=False)
    archs = [space.check(text) for text in picks.architecture]
    run([(arch, seed) for seed in fresh_seeds for arch in archs], fresh_log)

def shown_networks():
    "(architecture, seed) of the worst labelled network, of the best, and of the best that was built"
    runs, label = pd.DataFrame(read(log)), data().table.sort_values('frechet')
    built = pd.read_csv(here/'case_unet_picks.csv').query("way=='AutoBuild'").architecture
    trainings = runs[runs.architecture.isin(built) & runs.seed.between(1, 3)]
    best = trainings.groupby('architecture').frechet.mean().idxmin()
    return (label.architecture.iloc[-1], 0), (label.architecture.iloc[0], 0), (best, 1)

def pictures():
    "A strip of ten held-out scenes: as they are, with holes, and filled by `shown_networks`"
    import matplotlib.pyplot as plt
    mask = holes(1000, torch.Generator().manual_seed(3))[:10]
    x = latents(scenes(1000, 'held out', 2)[0])[:10]
    nets = [train(space.check(text), seed) for text,seed in shown_networks()]
    rows = [x, x*(1-mask), *(inpaint(net, x, mask, torch.Generator().manual_seed(5)) for net in nets)]
    strip = [F.pad(F.pixel_shuffle(row, 2)[:,0], (1, 1, 1, 1), value=1.) for row in rows] # Each (10, 18, 18)
    pixels = torch.stack(strip).permute(0, 2, 1, 3).reshape(5*18, -1)
    plt.imsave(here/'case_unet_strip.png', pixels, cmap='gray_r', vmin=-1, vmax=1)

parts = dict(labels=labels, picks=pick, train=measure_picks, fewer=few, few_built=few_built, fresh=fresh,
             pictures=pictures, pilot=pilot)

if __name__=='__main__':
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument('parts', nargs='*', choices=parts)
    torch.set_num_threads(1)
    for part in ask.parse_args().parts or list(parts)[:-1]: parts[part]()

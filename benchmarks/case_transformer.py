"""Which parts of a small language model can go? Train it, label all 2^14 networks, compare ways to choose.

    python benchmarks/case_transformer.py train      # a parent, about 8 minutes of one core
    python benchmarks/case_transformer.py label      # the loss of all networks that lack any of 14 sublayers
    python benchmarks/case_transformer.py compare    # what each way of choosing finds from N labels
    python benchmarks/case_transformer.py mixed      # removal and fewer bits together: is the sum enough?
    python benchmarks/case_transformer.py healed     # the same with noisy labels, each after a short training

All take --seed, that of the parent (0 if left out), and go on where they were stopped. Written are results/
case_transformer_text.bin (held-out text), case_transformer_0.safetensors (the parent, 16 bits a number),
case_transformer_0_losses.npy and case_transformer.csv; `mixed` and `healed` add a .csv and a .txt each.
"""
import argparse, copy, itertools, time, zlib
from pathlib import Path

import numpy as np, pandas as pd, torch
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV

from autobuild import AutoBuild, LabelledData, compression_space, replace_one
from language_model import Decoder, batch, corpus, loss, next_byte_loss, train, windows
from logs import append_table, done, read_table

results = Path(__file__).parent/'results'
cache = Path(__file__).parent/'cache'
steps, sublayers, asked = 1500, 14, (3, 5, 7, 9) # Of training; that may go; how many are to go
everything = np.array(list(itertools.product((0, 1), repeat=sublayers))) # (2^14, 14) 1: removed
gone = everything.sum(1)

# --- the parent, its text and its space ---

def parent(seed):
    "Train a parent and store it in 16 bits, with held-out text"
    cache.mkdir(exist_ok=True)
    learned, held_out = corpus()
    (results/'case_transformer_text.bin').write_bytes(held_out[:24_000])
    model = train(learned, seed, steps, cache/f'language_model_{seed}.pt')
    weights = {k: v.half().contiguous() for k,v in model.state_dict().items()}
    save_file(weights, results/f'case_transformer_{seed}.safetensors', dict(seed=str(seed), steps=str(steps)))

def trained(seed):
    "The stored parent"
    model = Decoder().eval()
    weights = load_file(results/f'case_transformer_{seed}.safetensors')
    model.load_state_dict({k: v.float() for k,v in weights.items()})
    return model

def held_out(): return windows((results/'case_transformer_text.bin').read_bytes(), 16)

def shrinkable(model, choices='remove', **kwargs):
    "(space, apply) of the sublayers of all blocks but the first"
    example = torch.zeros(1, 8, dtype=torch.long)
    every = compression_space(model, example, choices)[1].parts
    return compression_space(model, example, choices, [part.path for part in every[2:]], **kwargs)

# --- all labels ---

def ends(blocks, x):
    "What the last block gives, for all ways to remove sublayers of some blocks, the last sublayer's fastest"
    if not blocks: return [x]
    out = []
    for attention,mlp in itertools.product((0, 1), repeat=2): # 1: removed
        y = x if attention else x+blocks[0].attention(x)
        out += ends(blocks[1:], y if mlp else y+blocks[0].mlp(y))
    return out

@torch.no_grad()
def label_all(seed):
    "The loss of every network, in the order of `everything`; what the first blocks give is computed once"
    path, tokens, model = cache/f'language_model_{seed}_losses.npy', held_out(), trained(seed)
    found, start = list(np.load(path)) if path.exists() else [], time.time()
    first, *blocks = model.blocks
    x = first(model.embed(tokens[:,:-1])+model.place)
    for beginning in ends(blocks[:3], x)[len(found)//256:]:
        found += [float(next_byte_loss(model.head(model.norm(y)), tokens)) for y in ends(blocks[3:], beginning)]
        np.save(path, np.array(found, np.float32))
        if len(found)%2048==0: print(len(found), f'{time.time()-start:.0f} s', flush=True)
    _, apply = shrinkable(model)
    label, some = apply.labels(lambda net: loss(net, tokens)), np.random.default_rng(0).choice(len(found), 10)
    again = [label(arch) for arch in networks(apply, everything[some])]
    np.testing.assert_allclose(again, np.array(found)[some], rtol=1e-4)
    np.save(results/f'case_transformer_{seed}_losses.npy', np.array(found, np.float32))

def networks(apply, rows):
    "Architectures from rows of `everything`"
    paths = [part.path for part in apply.parts]
    return [apply.network({path: 'remove' for path,bit in zip(paths, row) if bit}) for row in rows]

# --- ways to choose ---

def labelled(n, draw):
    "The numbers of n networks, as many for each number of sublayers that are gone, from 1 (at most all 14) to 10"
    rng, left, chosen = np.random.default_rng(1000*n+draw), n, []
    for sizes_left,k in zip(range(10, 0, -1), range(1, 11)):
        rows = np.flatnonzero(gone==k)
        chosen.append(rng.choice(rows, min(round(left/sizes_left), len(rows)), replace=False))
        left -= len(chosen[-1])
    return np.concatenate(chosen)

def labelled_for_pairs(n, draw):
    "The numbers of n networks that tell pairs of sublayers apart: each the most uncertain one of a ridge with pairs"
    numbers = np.random.default_rng(draw).choice(len(everything), 4000, replace=False)
    x = pairs(2.*everything[numbers]-1)
    x = np.column_stack([np.ones(len(x)), x])
    covariance, chosen = 10*np.eye(x.shape[1]), []
    variance = (x@covariance*x).sum(1)
    for _ in range(n):
        chosen.append(int(variance.argmax()))
        column = covariance@x[chosen[-1]]/np.sqrt(1+variance[chosen[-1]])
        covariance -= np.outer(column, column)
        variance -= (x@column)**2
        variance[chosen[-1]] = -np.inf
    return numbers[chosen]

def pairs(x): return np.hstack([x, *[x[:,[i]]*x[:,i+1:] for i in range(x.shape[1]-1)]])

def ridge(x, rows, losses):
    "Ridge regression, its penalty chosen by leave-one-out"
    return RidgeCV(np.logspace(-4, 3, 15)).fit(x[rows], losses[rows]).predict(x)

def walsh(values):
    "(14, 14) how much two sublayers' removal adds to the sum of both, over all networks; of a value for each of them"
    signs = 2.*everything-1
    return 4*np.einsum('n,ni,nj->ij', values, signs, signs)/len(values)

def greedy(losses):
    "{number gone: (row, evaluations)}: remove what costs least, one after another"
    index = {row.tobytes(): i for i,row in enumerate(everything)}
    row, out, spent = np.zeros(sublayers, int), {}, 0
    for k in range(1, max(asked)+1):
        tries = [row+step for step in np.eye(sublayers, dtype=int) if not (row*step).any()]
        numbers = [index[o.tobytes()] for o in tries]
        spent += len(numbers)
        row = everything[min(numbers, key=losses.__getitem__)]
        out[k] = index[row.tobytes()], spent
    return out

def evolution(losses, k, budget, rng, parents=5):
    "The best of `budget` networks with k gone: random ones, then the best with one more gone and one back"
    index = {row.tobytes(): i for i,row in enumerate(everything)}
    seen = list(rng.choice(np.flatnonzero(gone==k), min(parents, budget), replace=False))
    tries = 0
    while len(seen)<budget and tries<1000:
        row = everything[rng.choice(sorted(seen, key=losses.__getitem__)[:parents])].copy()
        row[rng.choice(np.flatnonzero(row))], row[rng.choice(np.flatnonzero(row==0))] = 0, 1
        tries += 1
        if index[row.tobytes()] not in seen: seen.append(index[row.tobytes()])
    return min(seen, key=losses.__getitem__)

def uniform(k):
    "The row in which k sublayers are gone at even distances"
    row = np.zeros(sublayers, int)
    row[np.linspace(0, sublayers-1, k).round().astype(int)] = 1
    return row

# --- the comparison ---

def regrets(predicted, losses):
    "How much worse than the best the network is that is predicted best, for each number gone"
    out = {}
    for k in asked:
        rows = np.flatnonzero(gone==k)
        out[f'regret_{k}'] = losses[rows[predicted[rows].argmin()]]-losses[rows].min()
    return out

def judged(predicted, losses):
    "Regrets, Spearman among the networks with five gone, and of the pair effects of neighbours and of all"
    five, upper = gone==5, np.triu_indices(sublayers, 1)
    said, true = walsh(predicted), walsh(losses)
    beside = np.arange(sublayers-1), np.arange(1, sublayers)
    return dict(regrets(predicted, losses), five=spearmanr(predicted[five], losses[five])[0],
                all=spearmanr(predicted, losses)[0], neighbours=spearmanr(said[beside], true[beside])[0],
                pairs=spearmanr(said[upper], true[upper])[0])

def autobuild(apply, archs, rows, losses, draw):
    "What AutoBuild predicts for all networks"
    table = pd.DataFrame(dict(loss=losses[rows]))
    data = LabelledData(apply.space, [archs[i] for i in rows], table, quantities=apply.space.quantities)
    return -AutoBuild('-loss', seed=draw).fit(data, progress=False).predict(archs)

def single_sums(losses):
    "The loss of every network by the sum of what each removal does alone"
    alone = np.array([losses[(everything==step).all(1)][0] for step in np.eye(sublayers, dtype=int)])
    return losses[0]+everything@(alone-losses[0])

def lost(picked, losses):
    "Regrets of networks, one row number for each number gone"
    return {f'regret_{k}': losses[row]-losses[gone==k].min() for k,row in picked.items()}

def searched(seed, draws, sizes, losses):
    "Rows of the table for ways that predict nothing, and of the sum of single removals"
    rows = [dict(regrets(single_sums(losses), losses), way='replace one', N=sublayers+1, draw=0)]
    rows[0]['five'] = spearmanr(single_sums(losses)[gone==5], losses[gone==5])[0]
    path = greedy(losses)
    rows.append(dict(way='greedy', N=path[max(asked)][1], draw=0, **lost({k: path[k][0] for k in asked}, losses)))
    even = {k: int(np.flatnonzero((everything==uniform(k)).all(1))[0]) for k in asked}
    rows.append(dict(way='uniform', N=0, draw=0, **lost(even, losses)))
    for n,draw in itertools.product(sizes, range(draws)):
        rng, ours = np.random.default_rng(draw), labelled(n, draw)
        best = {k: min(ours[gone[ours]==k], key=losses.__getitem__) for k in asked}
        rows.append(dict(way='best labelled', N=n, draw=draw, **lost(best, losses)))
        best = {k: evolution(losses, k, n//len(asked), rng) for k in asked}
        rows.append(dict(way='evolution', N=n, draw=draw, **lost(best, losses)))
    return [dict(parent=seed, **row) for row in rows]

def in_rounds(predict, losses, draw, rounds=4, each=3):
    "50 labels, then rounds in which the three predicted best of each size are labelled; the best that was labelled"
    rows = labelled(50, draw)
    for _ in range(rounds):
        predicted = predict(rows, draw)
        predicted[rows] = np.inf
        rows = np.concatenate([rows, *[np.flatnonzero(gone==k)[predicted[gone==k].argsort()[:each]] for k in asked]])
    best = {k: min(rows[gone[rows]==k], key=losses.__getitem__) for k in asked}
    return dict(judged(predict(rows, draw), losses), **lost(best, losses))

def compare(seed, draws, sizes=(50, 100, 200)):
    "Every way, every number of labels, every draw: a row of the table each"
    path, losses = results/'case_transformer.csv', np.load(results/f'case_transformer_{seed}_losses.npy').astype(float)
    columns = ['parent', 'way', 'N', 'draw', *(f'regret_{k}' for k in asked), 'five', 'all', 'neighbours', 'pairs',
               'seconds']
    fresh = [row for row in searched(seed, draws, sizes, losses)
             if (seed, row['way'], row['N'], row['draw']) not in done(path, *columns[:4])]
    if fresh: append_table(path, [{name: row.get(name) for name in columns} for row in fresh])
    _, apply = shrinkable(trained(seed))
    archs, x = networks(apply, everything), everything.astype(float)
    ways = {'AutoBuild': lambda rows, draw: autobuild(apply, archs, rows, losses, draw),
            'ridge': lambda rows, draw: ridge(x, rows, losses),
            'ridge with pairs': lambda rows, draw: ridge(pairs(x), rows, losses)}
    asks = [*(('', n) for n in sizes), (', in rounds', 98), *((', labels for pairs', n) for n in sizes[1:])]
    for draw,(how,count),way in itertools.product(range(draws), asks, ways):
        name = way+how
        if (seed, name, count, draw) in done(path, *columns[:4]): continue
        start = time.process_time()
        if how==', in rounds': found = in_rounds(ways[way], losses, draw)
        else: found = judged(ways[way]((labelled_for_pairs if how else labelled)(count, draw), draw), losses)
        row = dict(parent=seed, way=name, N=count, draw=draw, **found, seconds=round(time.process_time()-start, 1))
        append_table(path, [{name: row[name] for name in columns}])
        print({k: v if isinstance(v, str) else round(float(v), 3) for k,v in row.items()}, flush=True)

# --- removal and fewer bits together ---

def mixed(seed, draws, heal=0, shares=(.5, .35, .25, .2)):
    "The loss of what each way finds under a limit of memory, where every sublayer is removed, rounded or kept"
    name = 'case_transformer_healed' if heal else 'case_transformer_mixed'
    path, (space, apply) = results/f'{name}.csv', shrinkable(trained(seed), ['remove', 'bits=8,4,3'])
    label, judge = healed_labels(seed, apply, heal) if heal else exact_labels(apply)
    singles, known = replace_one(space, label), done(path, 'parent', 'way', 'draw')
    limits = {share: f"memory <= {share*space.quantities['memory'].whole:.0f}" for share in shares}
    def note(way, draw, labels, find):
        if (seed, way, draw) in known: return
        found = {share: judge(find(where)) for share,where in limits.items()}
        append_table(path, [dict(parent=seed, way=way, draw=draw, labels=labels, share=share, loss=value)
                            for share,value in found.items()])
        print(way, draw, found, flush=True)
    archs = list(singles.table.architecture)
    note('replace one', 0, len(archs), singles.best)
    def small_harm(arch): return -np.log(max(label(archs[0])-label(arch), 0)+.005) # Tells small harms apart
    for draw in range(draws):
        designed = space.design(200, draw, budget=('memory', .15, .6))
        said = [singles.check(label, designed[:20])] if draw==0 else None
        note('AutoBuild, 200 labels', draw, 200, built(space, label, designed, draw, said))
        note('AutoBuild, 200 labels, log of the harm', draw, 200, built(space, small_harm, designed, draw))
        note('AutoBuild, singles and 50', draw, len(archs)+50, built(space, label, archs+designed[:50], draw))
        if said and len(said)>1: (results/f'{name}.txt').write_text('\n'.join(said)+'\n')

def exact_labels(apply):
    "(label, loss) of a network of the space as it is"
    tokens = held_out()
    label = apply.labels(lambda net: -loss(net, tokens))
    return label, lambda arch: -label(arch)

def built(space, label, archs, draw, said=None):
    "A function of a condition: the best, as labelled, of five that AutoBuild builds; `said` gets its own account"
    fitted = []
    def find(where):
        if not fitted:
            table = pd.DataFrame(dict(label=[label(arch) for arch in archs]))
            data = LabelledData(space, archs, table, quantities=space.quantities)
            fitted.append(AutoBuild('label', seed=draw).fit(data, progress=False))
            if said: said.append(account(fitted[0]))
        return max(fitted[0].construct(5, where=where, progress=False).archs, key=label)
    return find

def account(fitted):
    "What a fitted model says of how effects combine"
    shares = fitted.explained()
    return 'of the variance of its prediction: '+', '.join(f'{share:.0%} {name}' for name,share in shares.items())

# --- labels with noise: every network is healed by a short training with a seed of its own ---

def healed(net, text, seed, steps):
    "A copy of a network after some steps of its norms and biases, which are stored in full; the seed draws the text"
    net = copy.deepcopy(net)
    vectors = [p for p in net.parameters() if p.ndim<2]
    for p in net.parameters(): p.requires_grad_(p.ndim<2)
    optimizer = torch.optim.Adam(vectors, 3e-3)
    for step in range(steps):
        tokens = batch(text, seed, step, 4)
        optimizer.zero_grad()
        next_byte_loss(net(tokens[:,:-1]), tokens).backward()
        optimizer.step()
    return net.eval()

def healed_labels(seed, apply, steps, again=4):
    "(label, loss): once with the network's own seed, and the mean over other seeds; all kept in a log"
    path, tokens = cache/f'language_model_{seed}_healed.csv', held_out()
    text = torch.frombuffer(bytearray(corpus()[0]), dtype=torch.uint8)
    known = {(row.network, row.seed): row.loss for row in read_table(path, ['network', 'seed', 'loss']).itertuples()}
    def measured(arch, number):
        key = str(arch), number
        if key not in known:
            known[key] = loss(healed(apply(arch), text, number, steps), tokens)
            append_table(path, [dict(network=key[0], seed=number, loss=known[key])])
        return known[key]
    def label(arch): return -measured(arch, 1000+zlib.crc32(str(arch).encode())%10**6)
    return label, lambda arch: float(np.mean([measured(arch, number) for number in range(again)]))

if __name__=='__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('job', choices=['train', 'label', 'compare', 'mixed', 'healed'])
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--draws', type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.job=='train': parent(args.seed)
    if args.job=='label': label_all(args.seed)
    if args.job=='compare': compare(args.seed, args.draws)
    if args.job=='mixed': mixed(args.seed, args.draws)
    if args.job=='healed': mixed(args.seed, args.draws, heal=10)

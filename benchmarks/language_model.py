"""A small language model that reads bytes: its text, its training and its loss, for case_transformer.py and its page.

The text is the documentation strings of scikit-learn, scipy and numpy (all BSD-3-Clause) as they were installed; the
part that is held out is stored in results/case_transformer_text.bin, so the labels do not depend on their versions.
"""
import ast, math, time
from importlib.util import find_spec
from pathlib import Path

import numpy as np, torch
import torch.nn.functional as F
from torch import nn

packages = 'sklearn', 'scipy', 'numpy'
layers, width, context = 8, 128, 128

# --- the model ---

class Attention(nn.Module):
    "Every place looks back at those before it"
    def __init__(self, width, heads=4):
        super().__init__()
        self.heads, self.read, self.write = heads, nn.Linear(width, 3*width), nn.Linear(width, width)
    def forward(self, x):
        q, k, v = self.read(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.write(y.transpose(1, 2).flatten(2))

class Block(nn.Module):
    "Two sublayers; each adds something to what it reads"
    def __init__(self, width):
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width), Attention(width))
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4*width), nn.GELU(), nn.Linear(4*width, width))
    def forward(self, x):
        x = x+self.attention(x)
        return x+self.mlp(x)

class Decoder(nn.Module):
    "Bytes in, a score for each possible next byte out"
    def __init__(self, layers=layers, width=width, context=context):
        super().__init__()
        self.embed, self.place = nn.Embedding(256, width), nn.Parameter(torch.zeros(context, width))
        self.blocks = nn.Sequential(*[Block(width) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 256, bias=False)
    def forward(self, tokens):
        x = self.embed(tokens)+self.place[:tokens.shape[1]]
        return self.head(self.norm(self.blocks(x)))

# --- the text ---

def docstrings(package):
    "The longer documentation strings of a package, file by file, each once"
    root = Path(find_spec(package).origin).parent
    found = {}
    for path in sorted(root.rglob('*.py')):
        if 'tests' in path.parts: continue
        for node in ast.walk(ast.parse(path.read_text(encoding='utf8'))):
            if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)): continue
            text = ast.get_docstring(node)
            if text and len(text)>200: found[text] = None
    return list(found)

def corpus(seed=0):
    "All strings in random order, as bytes: what is learned from, and the last twentieth for validation"
    strings = [text for package in packages for text in docstrings(package)]
    order = np.random.default_rng(seed).permutation(len(strings))
    text = '\n\n'.join(strings[i] for i in order).encode()
    cut = len(text)*19//20
    return text[:cut], text[cut:]

def windows(text, count, seed=0):
    "(count, context+1) stretches of the held-out text"
    data = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    start = np.random.default_rng(seed).choice(len(data)//(context+1), count, replace=False)*(context+1)
    return torch.stack([data[i:i+context+1] for i in start]).long()

def next_byte_loss(scores, tokens):
    "Cross entropy of the next byte, in nats"
    return F.cross_entropy(scores.flatten(0, 1), tokens[:,1:].flatten())

def loss(model, tokens):
    "That of a model, as a number"
    with torch.no_grad(): return float(next_byte_loss(model(tokens[:,:-1]), tokens))

# --- training ---

def batch(data, seed, step, size):
    "(size, context+1) stretches of the text, the same for every run of this seed"
    draw = torch.Generator().manual_seed(100_000*seed+step)
    first = torch.randint(len(data)-context-1, (size,), generator=draw)
    return torch.stack([data[i:i+context+1] for i in first]).long()

def adamw(model):
    "An optimiser that lets only matrices decay"
    matrices = [p for p in model.parameters() if p.ndim>1]
    others = [p for p in model.parameters() if p.ndim<2]
    groups = [dict(params=matrices, weight_decay=.1), dict(params=others, weight_decay=0)]
    return torch.optim.AdamW(groups, betas=(.9, .95))

def train(text, seed, steps, state, size=8, rate=3e-3, every=50):
    "A decoder after some steps of AdamW, its rate warmed up and lowered along a cosine; goes on from the file `state`"
    torch.manual_seed(seed)
    data, model, start = torch.frombuffer(bytearray(text), dtype=torch.uint8), Decoder(), 0
    optimizer, began = adamw(model), time.time()
    if state.exists():
        start, weights, moments = torch.load(state, weights_only=True)
        model.load_state_dict(weights)
        optimizer.load_state_dict(moments)
    for step in range(start, steps):
        for group in optimizer.param_groups:
            group['lr'] = rate*min((step+1)/100, .05+.95*(1+math.cos(math.pi*step/steps))/2)
        tokens = batch(data, seed, step, size)
        found = next_byte_loss(model(tokens[:,:-1]), tokens)
        optimizer.zero_grad()
        found.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1)
        optimizer.step()
        if (step+1)%every: continue
        print(f'seed {seed}, step {step+1}: {found.item():.3f} nats, {time.time()-began:.0f} s', flush=True)
        torch.save((step+1, model.state_dict(), optimizer.state_dict()), state)
    return model.eval()

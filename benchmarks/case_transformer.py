"""Which parts of a small language model can go? Train it, label all 2^14 networks, compare ways to choose.

    python benchmarks/case_transformer.py train --seed 0     # a parent, about 12 minutes of one core
"""
import argparse
from pathlib import Path

import numpy as np, torch
from safetensors.torch import save_file

from language_model import corpus, loss, train, windows

results = Path(__file__).parent/'results'
cache = Path(__file__).parent/'cache'
steps = 1500

def parent(seed):
    "Train a parent and store it in 16 bits, with the held-out text beside it"
    cache.mkdir(exist_ok=True)
    learned, held_out = corpus()
    (results/'case_transformer_text.bin').write_bytes(held_out[:24_000])
    model = train(learned, seed, steps, cache/f'language_model_{seed}.pt')
    weights = {k: v.half().contiguous() for k,v in model.state_dict().items()}
    save_file(weights, results/f'case_transformer_{seed}.safetensors', dict(seed=str(seed), steps=str(steps)))
    model.load_state_dict({k: v.float() for k,v in weights.items()})
    print('held out:', loss(model, windows(held_out, 64)))

if __name__=='__main__':
    parser = argparse.ArgumentParser()
    parser.add_argument('job', choices=['train'])
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    parent(args.seed)

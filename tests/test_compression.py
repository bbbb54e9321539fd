"""Compression spaces of networks of many kinds: exact costs, shared weights, the original untouched"""
import itertools

import numpy as np, pytest, torch
from torch import nn

from autobuild import Architecture
from autobuild.compression import NetworkError, compression_space, probe, replace_one

def encoder(norm_first):
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=norm_first)
    return nn.TransformerEncoder(layer, 3, enable_nested_tensor=False), torch.randn(2, 5, 16)

class Convolutions(nn.Module):
    "A residual block that works in place"
    def __init__(self, i, o):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.BatchNorm2d(o), nn.ReLU(inplace=True),
                                  nn.Conv2d(o, o, 3, padding=1), nn.BatchNorm2d(o))
        self.short = nn.Conv2d(i, o, 1) if i!=o else nn.Identity()
    def forward(self, x):
        y = self.body(x)
        y += self.short(x)
        return y.relu()

class Tied(nn.Module):
    "One feed-forward network used by two blocks"
    def __init__(self):
        super().__init__()
        mlp = nn.Linear(8, 8)
        self.blocks = nn.ModuleList(nn.ModuleDict(dict(mix=nn.Linear(8, 8), mlp=mlp)) for _ in range(2))
    def forward(self, x):
        for block in self.blocks: x = x+block['mlp']((x+block['mix'](x)).relu())
        return x

class Gated(nn.Module):
    "A branch that is written out in the block itself, with a scale behind it"
    def __init__(self):
        super().__init__()
        self.norm, self.scale = nn.LayerNorm(8), nn.Parameter(torch.ones(8))
        self.gate, self.up, self.down = nn.Linear(8, 12), nn.Linear(8, 12), nn.Linear(12, 8)
    def forward(self, x):
        y = self.norm(x)
        return x+self.scale*self.down(self.gate(y).sigmoid()*self.up(y))

class Parallel(nn.Module):
    "Two branches side by side, which read the same normalised values"
    def __init__(self):
        super().__init__()
        self.norm, self.first, self.second = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 8)
    def forward(self, x):
        y = self.norm(x)
        return x+self.first(y)+self.second(y).relu()

class Whole(nn.Module):
    "A residual around residual blocks"
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(Gated(), Gated())
    def forward(self, x): return x+self.body(x)

def transformers(name, example, **config):
    library = pytest.importorskip('transformers', reason="pip install transformers for these tests")
    kind = getattr(library, name)
    return kind(kind.config_class(**config)), example

sizes = dict(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4)
tokens, image = torch.arange(8)[None], torch.randn(1, 3, 32, 32)
vision = {k: v for k,v in sizes.items() if k!='vocab_size'} | dict(image_size=32, patch_size=8)
nets = dict( # How to make each, and the number of its branches
    before=(lambda: encoder(True), 6), after=(lambda: encoder(False), 6),
    convolutions=(lambda: (nn.Sequential(*[Convolutions(i, o) for i,o in ((3, 8), (8, 8), (8, 8))]), image), 2),
    gated=(lambda: (nn.Sequential(Gated(), Gated()), torch.randn(1, 5, 8)), 2),
    parallel=(lambda: (nn.Sequential(Parallel(), Parallel()), torch.randn(1, 5, 8)), 4),
    whole=(lambda: (Whole(), torch.randn(1, 5, 8)), 2),
    llama=(lambda: transformers('LlamaForCausalLM', tokens, **sizes), 6),
    gpt2=(lambda: transformers('GPT2LMHeadModel', tokens, vocab_size=64, n_embd=32, n_layer=3, n_head=4), 6),
    mixtral=(lambda: transformers('MixtralForCausalLM', tokens, **sizes, num_local_experts=4,
                                   num_key_value_heads=2), 6),
    bert=(lambda: transformers('BertModel', tokens, **sizes), 6),
    vit=(lambda: transformers('ViTForImageClassification', image, **vision), 6),
    t5=(lambda: transformers('T5ForConditionalGeneration', dict(input_ids=tokens, decoder_input_ids=tokens[:,:5]),
                             vocab_size=64, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4), 10),
    mamba=(lambda: transformers('MambaForCausalLM', tokens, vocab_size=64, hidden_size=32, num_hidden_layers=3,
                                state_size=8), 3))

def made(kind):
    torch.manual_seed(0)
    model, example = nets[kind][0]()
    return model.eval(), example

def result(model, example):
    with torch.no_grad(): out = model(**example) if isinstance(example, dict) else model(example)
    return out if isinstance(out, torch.Tensor) else out[0]

def parameters(model): return {id(p): p for p in model.parameters()}.values()

@pytest.mark.parametrize('kind', nets)
@pytest.mark.filterwarnings('ignore')
def test_networks_of_the_space(kind):
    model, example = made(kind)
    before, expected = {k: v.clone() for k,v in model.state_dict().items()}, result(model, example)
    space, apply = compression_space(model, example)
    assert len(apply.parts)==nets[kind][1]
    assert torch.equal(result(apply(everywhere(space, 'keep')), example), expected)
    for arch in [everywhere(space, 'remove'), *space.sample(2, seed=0)]:
        net = apply(arch)
        assert result(net, example).shape==expected.shape and result(net, example).isfinite().all()
        assert space.quantities['params']([arch])==sum(p.numel() for p in parameters(net))
        assert space.quantities['macs']([arch])==Architecture.from_torch(net, example).nodes.macs.sum()
    assert space.quantities['memory']([everywhere(space, 'keep')])==4*sum(p.numel() for p in parameters(model))
    assert all(torch.equal(v, before[k]) for k,v in model.state_dict().items())
    assert not any(p.training for p in model.modules())

def everywhere(space, choice):
    return space.check(' | '.join(', '.join([f'choice={choice}']*s.counts[0]) for s in space.stages))

@pytest.mark.parametrize('kind', ['before', 'after', 'gpt2'])
@pytest.mark.filterwarnings('ignore')
def test_training_mode_belongs_to_each_network(kind):
    model, example = made(kind)
    space, apply = compression_space(model, example)
    net = apply(everywhere(space, 'keep'))
    net.train()
    assert not any(p.training for p in model.modules())
    assert all(a is b for a,b in zip(net.parameters(), model.parameters()))

def test_a_tied_weight_belongs_to_no_branch():
    model, x = Tied(), torch.randn(1, 8)
    space, apply = compression_space(model, x, branches=['blocks.0.mlp', 'blocks.0.mix', 'blocks.1.mix'])
    assert apply.parts[0].path=='blocks.0.mlp'
    assert [s.layer['choice'].choices for s in space.stages][0]==('keep', 'remove')
    net = apply(everywhere(space, 'remove'))
    assert sum(p.numel() for p in parameters(net))==72==space.quantities['params']([everywhere(space, 'remove')])

# --- labels that share beginnings ---

def squares(model, example):
    "A function of a network that runs it twice, in its own order"
    def f(net): return float(sum(result(net, x).square().sum() for x in (example, example[:,:4])))
    return f

@pytest.mark.parametrize('kind, blocks', [('before', 3), ('gated', 2), ('llama', 3), ('gpt2', 3)])
@pytest.mark.filterwarnings('ignore')
def test_a_beginning_that_is_known_is_not_computed_again(kind, blocks):
    model, example = made(kind)
    space, apply = compression_space(model, example)
    label, f = apply.labels(squares(model, example)), squares(model, example)
    assert len(label.blocks)==blocks
    for arch in sorted(space.sample(12, seed=0), key=str):
        assert label(arch)==pytest.approx(f(apply(arch)), rel=1e-5)
    assert label.states and all(not y.requires_grad for results in label.states.values() for y in results)

@pytest.mark.filterwarnings('ignore')
def test_what_is_no_chain_is_computed_as_a_whole():
    class Late(nn.Module):
        "Reads what the first block gave once more, at the end"
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(Gated() for _ in range(3))
        def forward(self, x):
            first = x = self.blocks[0](x)
            for block in self.blocks[1:]: x = block(x)
            return x*first
    torch.manual_seed(0)
    model, example = Late().eval(), torch.randn(2, 5, 8)
    space, apply = compression_space(model, example, 'remove')
    label, f = apply.labels(squares(model, example)), squares(model, example)
    assert label.blocks==[]
    for arch in space.sample(8, seed=0): assert label(arch)==f(apply(arch))

class Halving(Gated):
    "A block that keeps every second place"
    def forward(self, x): return super().forward(x)[:,::2]

@pytest.mark.filterwarnings('ignore')
def test_a_layer_beside_the_chain_may_take_nothing_else_than_what_its_block_gives():
    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks, self.side = nn.ModuleList(Halving() for _ in range(3)), nn.Linear(4, 1)
        def forward(self, x):
            first = x = self.blocks[0](x)
            for block in self.blocks[1:]: x = block(x)
            return x.sum(1)+self.side(first.transpose(1, 2)).squeeze(-1)
    torch.manual_seed(0)
    model, example = Beside().eval(), torch.randn(2, 8, 8)
    space, apply = compression_space(model, example, 'remove')
    label = apply.labels(lambda net: float(net(example).square().sum()))
    assert len(apply.parts)==3 and label.blocks==[]
    for arch in space.sample(4, seed=0): assert label(arch)==float(apply(arch)(example).square().sum())

@pytest.mark.filterwarnings('ignore')
def test_little_memory_gives_the_same_labels_and_an_error_loses_nothing():
    model, example = made('gated')
    space, apply = compression_space(model, example)
    label, f, failing = apply.labels(squares(model, example), memory=100), squares(model, example), [True]
    def fails_once(net):
        value = f(net)
        if failing.pop() if failing else False: raise ZeroDivisionError
        return value
    careful = apply.labels(fails_once)
    archs = space.sample(6, seed=1)
    with pytest.raises(ZeroDivisionError): careful(archs[0])
    assert [label(a) for a in archs]==pytest.approx([f(apply(a)) for a in archs], rel=1e-5)
    assert [careful(a) for a in archs]==pytest.approx([f(apply(a)) for a in archs], rel=1e-5)
    assert not label.states

# --- single changes ---

def additive(seed, fatal=()):
    "A function of an architecture that adds up, with some fatal (stage, layer, choice)"
    def f(arch):
        total = 0.
        for u,stage in enumerate(arch.stages):
            for i,layer in enumerate(stage['layers']):
                total -= np.random.default_rng([seed, u, i, len(layer['choice'])]).random()
                total -= 100*((u, i, layer['choice']) in fatal)
        return total
    return f

@pytest.mark.filterwarnings('ignore')
def test_the_knapsack_is_exact():
    model, example = made('gated')
    space, apply = compression_space(model, example, ['remove', 'bits=8,4,3'])
    every, amounts = space.sample(space.size(), seed=0), space.quantities
    memory, macs = (amounts[name](every) for name in ('memory', 'macs'))
    for seed,share in itertools.product(range(5), (.2, .5, .9)):
        f = additive(seed)
        limits = share*amounts['memory'].whole, .6*amounts['macs'].whole
        if not ((memory<=limits[0]) & (macs<=limits[1])).any(): continue
        found = replace_one(space, f).best(f'memory <= {limits[0]} and macs <= {limits[1]}')
        best = max(f(a) for a,m,c in zip(every, memory, macs) if m<=limits[0] and c<=limits[1])
        assert f(found)==pytest.approx(best)

@pytest.mark.filterwarnings('ignore')
def test_fatal_choices_go_where_they_are_fatal():
    model, example = made('before')
    space, apply = compression_space(model, example)
    smaller, other, singles = probe(apply, additive(0, [(0, 0, 'remove'), (1, 1, '3 bits')]))
    first, fourth = (branch.path for branch in (apply.parts[0], apply.parts[3]))
    assert smaller.size()==space.size()*16//25
    for arch in smaller.sample(20, seed=0):
        assert other.chosen(arch)[first]!='remove' and other.chosen(arch)[fourth]!='3 bits'
        same = apply.network(other.chosen(arch))
        for name in space.quantities: assert space.quantities[name]([same])==smaller.quantities[name]([arch])
        assert torch.equal(result(apply(same), example), result(other(arch), example))
    with pytest.raises(NetworkError, match='there is no branch'): apply.without({'nowhere': ['remove']})
    assert len(singles.table)==1+6*4-2

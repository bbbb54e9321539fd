"""Compression spaces of networks of many kinds: exact costs, shared weights, the original untouched"""
import pytest, torch
from torch import nn

from autobuild import Architecture
from autobuild.compression import compression_space

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
    mamba=(lambda: transformers('MambaForCausalLM', tokens, vocab_size=64, hidden_size=32, num_hidden_layers=3,
                                state_size=8), 3))

def made(kind):
    torch.manual_seed(0)
    model, example = nets[kind][0]()
    return model.eval(), example

def result(model, example):
    with torch.no_grad(): out = model(example)
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

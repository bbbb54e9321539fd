"""A panoptic task that a CPU can really train: digits (things) on textures (stuff), and one of classification.

In a scene two to four digits lie on two or three textures; for classification one large digit lies on one texture.
One space of backbones serves both: `panoptic` puts the heads of Panoptic-DeepLab (semantics, centres, offsets) on a
backbone, `classifier` a pooled linear layer. `train_panoptic` and `train_classifier` train one network and measure it.
"""
from functools import lru_cache

import numpy as np, torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autobuild import Quantity, Space
from autobuild.examples.mnist1d import one_thread

size, things, stuffs = 32, 5, 4         # pixels; digits 0 to 4 are classes 0 to 4, textures classes 5 to 8
names = 10                              # digits that classification tells apart
texture_names = 'level stripes', 'upright stripes', 'checks', 'clouds'

# --- scenes ---

def texture(k, rng):
    "(size, size) ground of texture `k`, values about 0 to .5"
    y, x = np.mgrid[:size,:size]
    a, period, (p, q) = rng.uniform(-.35, .35), rng.uniform(3.5, 6.5), rng.uniform(0, 2*np.pi, 2)
    u, v = (2*np.pi/period*o for o in (np.cos(a)*y+np.sin(a)*x, np.cos(a)*x-np.sin(a)*y))
    if k==3:
        coarse = torch.from_numpy(rng.normal(size=(1, 1, 9, 9)))
        wave = np.clip(1.3*F.interpolate(coarse, (size, size), mode='bicubic')[0,0].numpy(), -1, 1)
    else: wave = (np.sin(u+p), np.sin(v+q), np.sin(u+p)*np.sin(v+q)*1.4)[k]
    return rng.uniform(.2, .35)+rng.uniform(.08, .16)*wave

@lru_cache
def digit_images(part, classes):
    "(images (n, 8, 8) from 0 to 1, their digits): scikit-learn's, two thirds for training, the others for testing"
    d = load_digits(n_class=classes)
    cut = 2*len(d.target)//3
    rows = slice(0, cut) if part=='train' else slice(cut, None)
    return d.images[rows]/16, d.target[rows]

def scene(rng, part, digits=(2, 4), sides=(11, 16), grounds=(2, 3), classes=things):
    "(image, classes, instances), each (size, size), 0 for stuff; least and most digits, pixels a side, textures"
    y, x = np.mgrid[:size,:size]
    n = rng.integers(grounds[0], grounds[1]+1)
    grounds, seeds = rng.permutation(stuffs)[:n], rng.uniform(0, size, (n, 2))
    region = ((y-seeds[:,:1,None])**2+(x-seeds[:,1:,None])**2).argmin(0)
    image, labels = np.choose(region, [texture(k, rng) for k in grounds]), classes+grounds[region]
    instances = np.zeros((size, size), int)
    images, targets = digit_images(part, classes)
    wanted, centres = rng.integers(digits[0], digits[1]+1), []
    for _ in range(50):
        if len(centres)==wanted: break
        side = int(rng.integers(sides[0], sides[1]+1))
        top, left = rng.integers(0, size-side+1, 2)
        c = np.array([top, left])+side/2
        if any(np.abs(c-o).max()<10 for o in centres): continue
        centres.append(c)
        i = rng.integers(len(targets))
        ink = F.interpolate(torch.from_numpy(images[i])[None,None], (side, side), mode='bilinear')
        at, on = (slice(top, top+side), slice(left, left+side)), (F.max_pool2d(ink, 3, 1, 1)>.3)[0,0].numpy()
        ink = ink[0,0].numpy()
        image[at] = image[at]*(1-ink)+ink*rng.uniform(.75, 1)
        labels[at][on], instances[at][on] = targets[i], len(centres)
    return image+rng.normal(0, .03, image.shape), labels, instances

def scenes(n, part='train', seed=0, **kw):
    "n scenes as tensors: images (n, 1, size, size), classes and instances (n, size, size)"
    rng = np.random.default_rng([seed, part=='test'])
    x, c, i = (np.stack(o) for o in zip(*(scene(rng, part, **kw) for _ in range(n))))
    return torch.from_numpy(x[:,None]).float(), torch.from_numpy(c), torch.from_numpy(i)

def centre_targets(instances):
    "Heat (n, size, size): a Gaussian at each centre; offsets (n, 2, size, size) from thing pixels to it, in 8 pixels"
    grid = torch.stack(torch.meshgrid(*[torch.arange(size)]*2, indexing='ij')).float()
    heat, offsets = torch.zeros(instances.shape), torch.zeros(len(instances), 2, size, size)
    for k in range(1, int(instances.max())+1):
        mask = (instances==k)[:,None]
        there = mask.flatten(1).any(1)
        centre = (mask*grid).flatten(2).sum(2)/mask.flatten(2).sum(2).clamp(min=1)
        away = centre[:,:,None,None]-grid
        heat = torch.maximum(heat, there[:,None,None]*torch.exp(-away.square().sum(1)/(2*1.5**2)))
        offsets += mask*away/8
    return heat, offsets

@lru_cache
def panoptic_data(train=3000, test=240):
    "(images, classes, heat, offsets, thing mask) to train on, (images, classes, instances) to test on"
    x, c, i = scenes(train)
    return (x, c, *centre_targets(i), i>0), scenes(test, 'test')

@lru_cache
def classification_data(train=3000, test=1000):
    "(images, digits) to train on and to test on: one large digit of ten on one texture"
    def one(n, part):
        x, c, i = scenes(n, part, seed=1, digits=(1, 1), sides=(20, 28), grounds=(1, 1), classes=names)
        return x, torch.where(i>0, c, 0).flatten(1).amax(1)
    return one(train, 'train'), one(test, 'test')

# --- the space of backbones ---

_mbconv = dict(layers=[1,2,3], stage=dict(width=[8,12,16]), layer=dict(kernel=[3,5,7], expansion=[1,2,3]))
space = Space('panoptic', [_mbconv]*4)
strides, stem_width, pyramid = (1, 2, 2, 1), 8, 16
sides = (16, 8, 4, 4) # Height and width of each stage's output

def _conv(i, o, k=1, relu=True, **kw):
    return [nn.Conv2d(i, o, k, padding=k//2, bias=False, **kw), nn.BatchNorm2d(o)]+[nn.ReLU()]*relu

class MBConv(nn.Module):
    "Inverted bottleneck: expand, depthwise convolution, project; a residual where shapes agree"
    def __init__(self, width_in, width, kernel, expansion, stride=1):
        super().__init__()
        inside = width_in*expansion
        expand = _conv(width_in, inside) if expansion>1 else []
        depthwise = _conv(inside, inside, kernel, stride=stride, groups=inside)
        self.body = nn.Sequential(*expand, *depthwise, *_conv(inside, width, relu=False))
        self.residual = width_in==width and stride==1
    def forward(self, x): return x+self.body(x) if self.residual else self.body(x)

class Backbone(nn.Module):
    "Gives the output of every stage"
    def __init__(self, arch):
        super().__init__()
        self.stem, self.stages, width = nn.Sequential(*_conv(1, stem_width, 3, stride=2)), nn.ModuleList(), stem_width
        for s,stride in zip(arch.stages, strides):
            layers = []
            for i,l in enumerate(s['layers']):
                layers.append(MBConv(width, s['width'], **l, stride=1 if i else stride))
                width = s['width']
            self.stages.append(nn.Sequential(*layers))
    def forward(self, x):
        x, out = self.stem((4*x-1.5).to(memory_format=torch.channels_last)), []
        for s in self.stages: out.append(x := s(x))
        return out

class Panoptic(nn.Module):
    "A backbone, a pyramid that sums what its stages say, and three heads: classes, heat of centres, offsets to centres"
    def __init__(self, arch):
        super().__init__()
        self.backbone = Backbone(arch)
        self.lateral = nn.ModuleList(nn.Conv2d(s['width'], pyramid, 1) for s in arch.stages)
        self.mix = nn.Sequential(nn.ReLU(), *_conv(pyramid, 2*pyramid, 3))
        self.heads = nn.Conv2d(2*pyramid, things+stuffs+3, 1)
    def forward(self, x):
        parts = [l(o) for l,o in zip(self.lateral, self.backbone(x))]
        y = sum(F.interpolate(p, size=(sides[0],)*2) for p in parts)
        y = F.interpolate(self.heads(self.mix(y)), size=(size, size), mode='bilinear')
        return y[:,:-3], y[:,-3], y[:,-2:]

class Classifier(nn.Module):
    "A backbone, the mean over its last stage's pixels, a linear layer"
    def __init__(self, arch):
        super().__init__()
        self.backbone, self.head = Backbone(arch), nn.Linear(arch.stages[-1]['width'], names)
    def forward(self, x): return self.head(self.backbone(x)[-1].mean((2, 3)))

# --- what a backbone costs ---

def layer_macs(node, source):
    "Multiply-accumulates of one layer for one image"
    width_in, after = source['width'] if source else stem_width, sides[node['stage']-1]**2
    before = after*(strides[node['stage']-1]**2 if node['layer']==1 else 1)
    inside = width_in*node['expansion']
    return before*width_in*inside*(node['expansion']>1) + after*inside*node['kernel']**2 + after*inside*node['width']

macs = Quantity(layer_macs, lambda last: 16*16*9*stem_width)

def counted_macs(arch):
    "The same by torch's flop counter"
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        Backbone(arch).eval()(torch.zeros(1, 1, size, size))
    return counter.get_total_flops()//2

# --- training and testing ---

def _fit(net, loss, n, seed, steps, batch, lr):
    "One-cycle AdamW on mini-batches drawn epoch by epoch; `loss` takes the rows of one"
    net = net.to(memory_format=torch.channels_last)
    opt = torch.optim.AdamW(net.parameters(), lr=lr, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, lr, total_steps=steps)
    order = torch.cat([torch.randperm(n) for _ in range(-(-steps*batch//n))])
    for rows in order[:steps*batch].split(batch):
        opt.zero_grad()
        loss(rows).backward()
        opt.step()
        schedule.step()
    return net.eval()

def fitted_panoptic(arch, seed=0, steps=280, batch=16, lr=3e-2):
    "A trained panoptic network"
    (x, c, heat, offsets, thing), _ = panoptic_data()
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        net = Panoptic(arch)
        def loss(rows):
            classes, h, o = net(x[rows])
            away = (o-offsets[rows]).abs().mean(1)[thing[rows]].mean()
            return F.cross_entropy(classes, c[rows])+20*F.mse_loss(h, heat[rows])+away
        return _fit(net, loss, len(x), seed, steps, batch, lr)

def grouped(classes, heat, offsets, most=8, least=.3):
    """(n, size, size, 2) class and instance of each pixel

    Peaks of the heat are centres, a thing pixel belongs to the one it points at, an instance has its pixels' most
    frequent class."""
    n = len(heat)
    peaks = torch.where(F.max_pool2d(heat[:,None], 7, 1, 3)[:,0]==heat, heat, 0).flatten(1).topk(most)
    label = classes.argmax(1)
    thing = label<things
    grid = torch.stack(torch.meshgrid(*[torch.arange(size)]*2, indexing='ij')).float()
    at = torch.stack([peaks.indices//size, peaks.indices%size], 2).float()
    away = ((grid+8*offsets)[:,None]-at[...,None,None]).square().sum(2)
    away = torch.where(peaks.values[:,:,None,None]>=least, away, torch.inf)
    instance = torch.where(thing, away.argmin(1)+1, 0)
    ballot = (instance*things+label.clamp(max=things-1)).flatten(1)
    votes = torch.zeros(n, (most+1)*things).scatter_add_(1, ballot, thing.flatten(1).float())
    winner = votes.reshape(n, most+1, things).argmax(2).gather(1, instance.flatten(1)).reshape(label.shape)
    return torch.stack([torch.where(thing, winner, label), instance], 3)

def segmented(net, x):
    "What a trained network makes of images"
    with torch.no_grad(), one_thread(): return torch.cat([grouped(*net(o)) for o in x.split(250)])

def quality(prediction, classes, instances):
    "Panoptic quality by torchmetrics: the mean of all classes, of the things, of the stuff"
    from torchmetrics.detection import PanopticQuality
    metric = PanopticQuality(set(range(things)), set(range(things, things+stuffs)), return_per_class=True)
    metric.update(prediction, torch.stack([classes, instances], 3))
    each = metric.compute().flatten()
    return each.mean().item(), each[:things].mean().item(), each[things:].mean().item()

def train_panoptic(arch, seed=0, **kw):
    "Train one network; its panoptic quality on the test scenes: all, things, stuff"
    test = panoptic_data()[1]
    return quality(segmented(fitted_panoptic(arch, seed, **kw), test[0]), *test[1:])

def train_classifier(arch, seed=0, steps=200, batch=32, lr=2e-2):
    "Train one network to name the digit; its accuracy on the test images"
    (x, y), (xt, yt) = classification_data()
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        net = Classifier(arch)
        _fit(net, lambda rows: F.cross_entropy(net(x[rows]), y[rows]), len(x), seed, steps, batch, lr)
        with torch.no_grad(): return (net(xt).argmax(1)==yt).float().mean().item()

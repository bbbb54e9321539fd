"One tiny fit: what it gave before, and whether its parts do what they say."
import warnings
from dataclasses import replace

import numpy as np, pytest

from autobuild import AutoBuild, Space
from autobuild.builder import Builder, Column
from autobuild.targets import Condition

@pytest.fixture(scope='module')
def tiny(small_data):
    "A model after a few steps of training"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return AutoBuild(ensemble=3, steps=15, warmup=5, batch=16, contexts=3).fit(small_data, progress=False)

def test_pinned(tiny, small_data):
    "The same numbers as when they were written down; training steps multiply differences between processors"
    features = tiny.feature_importance('norm').set_index(['feature', 'choice']).score
    found = dict(predictions=tiny.predict(small_data[:4]), heldout=tiny.heldout[['prediction', "y'", 'hop 0', 'hop 4']],
                 weights=list(tiny.predictor.weights.values()), both=tiny.module_scores(1)[0,[0, 5, 11]],
                 last=tiny.module_scores(1, 'last')[0,[0, 5, 11]], mean=tiny.module_scores(1, 'mean')[0,[0, 5, 11]],
                 features=features[[('kernel', 3), ('width', 16)]])
    for name,values in found.items(): np.testing.assert_allclose(values, pinned[name], atol=1e-3, err_msg=name)

pinned = dict(
    predictions=[2.9149, 4.0969, 2.9196, .9252], heldout=[.9946, .2298, .4328, .4979], weights=[.1217, .9351],
    both=[2.2906, 3.7236, 5.1723], last=[1.1570, 3.9620, 2.8431], mean=[1.1570, 4.1725, 2.6594],
    features=[-.0384, .1102])

def test_built_is_new(tiny, small_data):
    "What is built is not labelled, though the best networks may be"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        built = tiny.construct(200, progress=False)
    assert len(built)==144-len(small_data)
    assert not set(built.archs) & set(small_data.archs)

def test_order(tiny):
    "Networks are ordered by the prediction and a share of the score, not by one of them"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        table = tiny.construct(30, progress=False).table
    assert tiny._believed(table, tiny._builder(False)).is_monotonic_decreasing
    assert not table.predicted.is_monotonic_decreasing and not table.score.is_monotonic_decreasing

def test_every_context(tiny):
    "A module's score is the mean over all contexts of what is said, at fixed weights, with the module in place"
    predictor = tiny.predictor
    def said(archs):
        reading = replace(next(predictor.read(archs)), weights=predictor.weights)
        return predictor.warp.unwarp(predictor.verdict(reading)).numpy()
    space, modules = tiny.space, tiny.space.modules[1]
    configs = [modules.config(i) for i in range(len(modules))]
    def inside(context): return [space.with_module(context, 2, config) for config in configs]
    apart = [said(inside(context)) for context in tiny.contexts]
    np.testing.assert_allclose(tiny.module_scores(2), np.mean(apart, 0), atol=1e-5)
    assert np.abs(tiny.module_scores(2)-apart[0]).max()>.01

def test_small_is_good():
    "A trade-off that asks for a small latency takes the resolution with the small latency"
    space = Space('sizes', [dict(layers=[1, 2], layer=dict(kernel=[3, 5]))], dict(resolution=[8, 32]))
    def points(archs): return [sum(row['kernel'] for row in arch.rows)+arch.network['resolution']/100 for arch in archs]
    def latency(archs): return [len(arch.rows)+arch.network['resolution'] for arch in archs]
    builder = Builder(space, space.sample(4), dict(points=Column(points), latency=Column(latency)))
    small, best = builder.front(['points', '-latency'], [1., 1.], weights=2, each=1)
    assert small.network['resolution']==8 and len(small.rows)==1
    assert best.network['resolution']==32 and len(best.rows)==2

def test_guide_corrects():
    "A limit on what does not add up is kept by the best networks, though the sum of module values errs near it"
    space = Space('squares', [dict(layers=[1, 2, 3], layer=dict(kernel=[1, 2, 3, 4, 5, 6, 7, 8]))]*3)
    def points(archs): return np.array([sum(row['kernel'] for row in arch.rows) for arch in archs], float)
    def latency(archs): return points(archs)**2
    builder = Builder(space, space.sample(4), dict(points=Column(points), latency=Column(latency)))
    nets, _, looked = builder.best('points', 20, Condition('latency < 3025'), tries=4000)
    assert len(nets)==20 and (points(nets)==54).all() and looked<4000, (points(nets), looked)

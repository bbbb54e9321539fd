"Searches against lists of everything, and what `construct` and `modules` do where nothing can be listed."
import itertools

import numpy as np, pandas as pd, pytest
from hypothesis import given, settings

from autobuild import AutoBuild, LabelledData, Quantity, Space
from autobuild.builder import Column, Demand, Finder
from autobuild.fronts import hypervolume
from autobuild.readouts import Margin
from autobuild.search import Search
from autobuild.targets import Condition, Expression
from doors import enter, odd

pytestmark = pytest.mark.filterwarnings('ignore::autobuild.estimator.AutoBuildWarning')
params = Quantity(lambda node, source: node['kernel']*node['width'])

def everything(space):
    "All networks of a small space"
    configs = ([modules.config(i) for i in range(len(modules))] for modules in space.modules)
    pairs = itertools.product(space.network_choices, itertools.product(*configs))
    made = (dict(network, stages=list(stages)) for network,stages in pairs)
    return [arch for arch in map(lambda config: checked(space, config), made) if arch]

def checked(space, config):
    try: return space.check(config)
    except ValueError: return None

@pytest.fixture(scope='module')
def long_model():
    "A model of one stage of 30 layers with 8 choices each, fitted in a second"
    space = Space('long', [dict(layers=list(range(1, 31)), layer=dict(kernel=[3, 5], width=[8, 16, 32, 64]))])
    archs = space.sample(60, seed=1)
    table = pd.DataFrame(dict(points=[sum(r['kernel']*np.log2(r['width']) for r in a.rows) for a in archs],
                              latency=[len(a.rows)+.1*sum(r['kernel'] for r in a.rows) for a in archs]))
    data = LabelledData(space, archs, table, 'long', dict(params=params))
    return AutoBuild('points', ensemble=2, steps=60, warmup=20, contexts=2).fit(data, progress=False)

@pytest.mark.parametrize('seed', range(4))
def test_best_of_all(seed):
    "With every network listed, the search finds the best that keep constraints and limits"
    stage = dict(layers=[0, 1, 2], stage=dict(width=[8, 16, 32]), layer=dict(op=['a', 'b', 'c']))
    space = Space('small', [stage, stage], dict(size=[1, 2]), constraints=['width[1] == width[2]'])
    every = everything(space)
    rng = np.random.default_rng(seed)
    effects = {key: rng.normal(size=2) for key in itertools.product((1, 2), (1, 2), 'abc', (8, 16, 32))}
    def sums(arch): return sum(effects[row['stage'], row['layer'], row['op'], row['width']] for row in arch.rows)
    worth, cost = (dict(zip(every, column)) for column in zip(*(sums(arch)*arch.network['size'] for arch in every)))
    def values(archs): return [worth[arch] for arch in archs]
    def limits(archs): return [max(cost[arch], 0) for arch in archs]
    known = every[::7]
    found = Search(space, values, space.sample(20, seed), limits, n=3, known=known, seed=seed).run().found()
    best = sorted((worth[arch] for arch in every if cost[arch]<=0 and arch not in set(known)), reverse=True)
    np.testing.assert_allclose(found.values[:,0], best[:3])
    assert len(set(found.archs))==3 and all(space.check(arch)==arch for arch in found.archs)

def test_the_only_network_is_kept():
    "A network that alone keeps a condition is found when it is given, wherever random ones lie"
    space = Space('long', [dict(layers=[20], layer=dict(kernel=[3, 5, 7]))])
    only = space.check(' , '.join(['kernel=5']*20))
    def same(archs): return [float(arch==only) for arch in archs]
    finder = Finder(space, dict(same=Column(same), worth=Column(lambda archs: np.zeros(len(archs)))))
    found = finder.search('worth', 3, Condition('same > .5'), [only], most=2000).run().found()
    assert found.archs[0]==only and found.violations[0]==0 and found.violations[1]>0

def test_several_budgets(small_model):
    "Two budgets and a limit from below: the best predicted of all networks that keep them"
    every = [arch for arch in everything(small_model.space) if arch not in set(small_model.train.archs)]
    cost, latency = params(every), small_model._model_of('latency').predict(every)
    where = f'params < {np.quantile(cost, .6):.6g} and latency < {np.quantile(latency, .5):.6g} and params > 20'
    kept = Condition(where)(dict(params=cost, latency=latency))
    best = np.sort(small_model.predict(every)[kept])[::-1]
    built = small_model.construct(3, where, progress=False, sure=.5).table
    assert built.predicted.max()==pytest.approx(best[0], abs=1e-6) and len(built)==min(3, kept.sum())

def test_sure(small_model, small_data):
    "The bound lies above the prediction, keeps the limit, and is the wider the surer"
    predictor = small_model._model_of('latency').predictor
    margins = [Margin(predictor, sure) for sure in (.5, .6, .8)]
    assert margins[0].reach==0<margins[1].reach<margins[2].reach
    steps = margins[2].steps(small_data.archs)
    assert steps.min()>=margins[2].reach # Never less than what held-out networks need
    values = np.array(small_data.table.latency)
    np.testing.assert_allclose(predictor.warp.moved(values, 0.), values, rtol=1e-4, atol=1e-4)
    limit = float(np.quantile(values, .6))
    built = small_model.construct(2, f'latency < {limit}', progress=False, sure=.8).table
    assert (built.latency_sure<=limit+1e-6).all() and (built.latency<built.latency_sure).all()
    assert 'latency_sure' in small_model.construct(1, f'latency < {limit*2}', progress=False).table

def test_demand():
    "Limits that are drawn in, in both directions"
    demand = Demand(Condition('a < 5 and a > 1'), dict(a=[('<', 4.), ('>', 2.)]))
    assert demand(dict(a=np.array([.5, 1.5, 3, 4.5, 6]))).tolist()==[False, False, True, False, False]

def test_nearest(long_model):
    "What no network can keep is answered by the nearest"
    with pytest.raises(ValueError, match='the least params found is 24'):
        long_model.construct(1, 'params < 10', progress=False)
    with pytest.raises(ValueError, match='the nearest has params .*, latency'):
        long_model.construct(1, 'params < 10 and latency < 0', progress=False)

def test_long_stage(long_model):
    "A stage of 10^27 modules: the best found, and networks under a budget; the same again"
    table = long_model.modules(top=5)
    assert len(table)==5 and 'of 1.4e27' in table.attrs['found'] and table.score.is_monotonic_decreasing
    built = long_model.construct(5, 'params < 1500', tries=3000, progress=False)
    assert (built.table['params']<1500).all() and not set(built.archs) & set(long_model.train.archs)
    assert built.archs==long_model.construct(5, 'params < 1500', tries=3000, progress=False).archs
    assert built.table.predicted.min()>long_model.predict(long_model.space.sample(200)).mean()
    with pytest.raises(ValueError, match='more than the 300,000'): long_model.module_scores(1)

def test_front_of_everything(small_model):
    "The front that is built dominates what the front of all networks dominates"
    names = ['accuracy', '-latency', '-params']
    built, again = (small_model.construct_front(names, weights=5, each=10, progress=False).table for _ in range(2))
    pd.testing.assert_frame_equal(built, again)
    every = [arch for arch in everything(small_model.space) if arch not in set(small_model.train.archs)]
    table = pd.DataFrame(dict(accuracy=small_model.predict(every), params=params(every),
                              latency=small_model._model_of('latency').predict(every)))
    corner = dict(accuracy=table.accuracy.min()-1, latency=table.latency.max()+1, params=table.params.max()+1)
    assert hypervolume(built, names, corner)>.99*hypervolume(table, names, corner)

def test_front_without_list(long_model):
    "A front, and a reduced space, of a stage that cannot be listed"
    built = long_model.construct_front(['points', '-params'], weights=4, each=10, where='params < 3000', progress=False)
    assert (built.table['params']<3000).all() and built.table.front.sum()>10
    assert len(long_model.reduced_space(top=3, weights=2))<=6

@pytest.mark.parametrize('target', ['accuracy - latency', 'accuracy/params', '-latency', 'accuracy - log(latency)'])
def test_equation(small_model, target):
    "The best of all networks by an equation over predicted and computed columns"
    every = [arch for arch in everything(small_model.space) if arch not in set(small_model.train.archs)]
    columns = dict(accuracy=small_model.predict(every), latency=small_model._model_of('latency').predict(every),
                   params=params(every))
    values = Expression(target)(columns)
    kept = Condition('params < 200')(columns)
    built = small_model.construct(3, 'params < 200', target=target, progress=False).table
    assert built.predicted.max()==pytest.approx(np.nanmax(values[kept]), abs=1e-6)
    np.testing.assert_allclose(built.predicted, Expression(target)(built), rtol=1e-6)

def test_equation_without_list(long_model):
    "An equation leads a search as well, and is not what the fit was for"
    small, large = (long_model.construct(3, target=target, tries=2000, progress=False).table['params'].mean()
                    for target in ('points - params/10', 'points + params/10'))
    assert small<large
    assert long_model.construct(2, target='points', tries=2000, progress=False).archs==\
        long_model.construct(2, tries=2000, progress=False).archs
    for target,why in (('points - parms', "did you mean 'params'"), ('', 'empty'), ('predicted', 'no column')):
        with pytest.raises(ValueError, match=why): long_model.construct(1, target=target)

@given(odd)
@settings(max_examples=8)
def test_odd_target(small_model, value):
    enter('construct(target)', lambda: small_model.construct(1, target=value, tries=500))

@given(odd)
@settings(max_examples=40)
def test_odd_sure(small_model, value):
    enter('construct(sure)', lambda: small_model.construct(1, 'latency < 9', sure=value, tries=500))

def test_stated_value():
    "A continuous feature has the value that a condition states, between its steps too, where it is present"
    layer = dict(op=['a', 'b'], rate=dict(low=0, high=1, only=dict(op='a')))
    space = Space('between', [dict(layers=[1, 2], layer=layer)], network=dict(heat=dict(low=0, high=2)))
    archs = space.sample(40)
    table = pd.DataFrame(dict(points=[a.network['heat']+sum(r['op']=='a' for r in a.rows) for a in archs]))
    ab = AutoBuild('points', ensemble=2, steps=40, contexts=2).fit(LabelledData(space, archs, table), progress=False)
    built = ab.construct(3, 'heat == 1.234 and rate[1,1] == .056 and rate[1,2] < .5', progress=False)
    assert {arch.network['heat'] for arch in built.archs}=={1.234}
    assert {arch.rows[0]['rate'] for arch in built.archs}=={.056}
    assert all(arch.rows[1]['rate']<.5 for arch in built.archs)

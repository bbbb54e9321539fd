"Spaces with conditional features, orders and ties, through everything that a model does."
import warnings

import numpy as np, pandas as pd, pytest

from autobuild import AutoBuild, LabelledData, Quantity, Space

operation = dict(op=['conv', 'pool'], bits=dict(choices=[4, 8], only=dict(op='conv')),
                 drop=dict(low=0, high=.5, steps=3, only=dict(op='conv')))
plain = dict(op=['conv', 'pool'], bits=dict(choices=[4, 8], only=dict(op='conv')))
whole = dict(resolution=[32, 64], crop=dict(choices=['in', 'out'], only=dict(resolution=64)))
def stages(layer, n=3): return [dict(layers=[1, 2], stage=dict(width=[8, 16, 32]), layer=layer)]*n

spaces = dict(
    between=Space('between', stages(operation, 2)),
    ordered=Space('ordered', stages(plain), whole, ['width[1] <= width[2] <= width[3]']),
    tied=Space('tied', stages(plain), None, ['op[1,1] == op[3,1]', 'width[1] == width[2]']),
    repeated=Space('repeated', stages(plain), None, ['stage[1] == stage[2]', 'width[2] < width[3]']))

def size(arch):
    "A made-up label"
    return sum(np.log2(row['width'])+(row['bits'] or 0)/8+(row['op']=='conv') for row in arch.rows)

@pytest.fixture(scope='module', params=spaces)
def model(request):
    space = spaces[request.param]
    archs = space.sample(50, seed=2)
    table = pd.DataFrame(dict(size=list(map(size, archs)), latency=[len(a.rows)+a.stages[0]['width']/8 for a in archs]))
    quantities = {} if space.continuous else dict(area=Quantity(lambda node, source: node['width']))
    data = LabelledData(space, archs, table, quantities=quantities)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore') # Of so short a training
        return AutoBuild('size', ensemble=2, steps=60, contexts=3).fit(data, progress=False)

def test_explained(model):
    arch = model.train.archs[0]
    bits = model.effects().query('feature=="bits"')
    assert set(bits.choice)=={4, 8} and bits.effect.notna().all()
    model.effects(order=2), model.effects(per='place'), model.explained()
    model.effects(over=model.train)
    why = model.explain(arch)
    assert abs(why.contribution.sum()-(why.attrs['predicted']-why.attrs['mean']))<1e-6
    assert not why.choice.isna().any() # Nothing is said of a feature that is absent
    model.explain(arch, order=2), model.feature_importance(readout='norm'), model.block_profile()
    model.node_importance(arch), model.node_importance(arch, readout='norm'), model.mine(min_count=2)
    model.modules(1), model.reduced_space(top=2, weights=2), model.diagnose()
    assert 'bits' in arch.nodes and len(model.rank(model.train))==50

def test_built(model):
    "What is built is allowed, and keeps a condition on features, quantities and labelled columns"
    space = model.space
    for where in None, 'width[1] <= 16 and op[1,1] == "conv"', 'bits[1,1] == 8 and latency < 7 and layers[1] <= 1':
        built = model.construct(3, where=where, progress=False)
        assert [space.check(str(arch)) for arch in built.archs]==list(built.archs)
        assert all(map(space.allows, built.archs))
        assert 'width[1]' not in built.table or built.table['width[1]'].max()<=16
    front = model.construct_front(['size', '-latency'], weights=3, each=3, where='width[2] > 8', progress=False)
    assert all(map(space.allows, front.archs))

def test_encoded_alike(model):
    "Networks by the numbers of their modules are encoded as those that are built"
    space, encoder = model.space, model.predictor.encoder
    if space.continuous: return
    from autobuild.spaces import Candidates
    archs = space.sample(30, seed=5)
    numbers = [[m.number(s) for m,s in zip(space.modules, a.stages)] for a in archs]
    listed = Candidates(space, numbers, [space.network_choices.index(dict(a.network)) for a in archs])
    one, other = encoder(archs), encoder(listed)
    assert (one.codes==other.codes).all() and (one.values==other.values).all()

def test_saved(model, tmp_path):
    model.save(tmp_path/'model')
    again = AutoBuild.load(tmp_path/'model')
    assert again.space==model.space and (again.predict(again.train)==model.predict(model.train)).all()
    if model.train.quantities:
        with pytest.raises(ValueError, match='area was a quantity of this model; give it again'):
            again.construct(1, where='area < 60')

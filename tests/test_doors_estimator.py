"Odd arguments of `AutoBuild` and its methods."
import pytest
from hypothesis import given, settings, strategies as st

from autobuild import AutoBuild
from doors import enter, odd

arguments = '''target ensemble seed readout contexts width hops device weights steps warmup lr batch rank_weight
    weight_decay nothing'''.split()
words = '''accuracy both context regressor last mean swap norm effect place cpu cuda meta mps kernel width -latency
    predicted --'''.split() + ['params < 300', 'predicted > .5', 'latency < 9', 'nothing < 1']
values = st.one_of(odd, st.sampled_from(words), st.lists(st.sampled_from([*words, None, 3]), max_size=3))

@given(st.dictionaries(st.sampled_from(arguments), values, min_size=1, max_size=2))
@settings(max_examples=300)
def test_constructor(changes): enter('AutoBuild(...)', lambda: repr(AutoBuild(**changes)))

@given(values)
def test_fit(value): enter('fit', lambda: AutoBuild().fit(value))

def test_not_fitted(small_data):
    "Every method of a model that is not fitted says so"
    ab, arch = AutoBuild(), small_data.archs[0]
    calls = [
        ab.diagnose, ab.modules, ab.construct, ab.reduced_space, ab.mine, ab.feature_importance, ab.block_profile,
        ab.effects, ab.explained, lambda: ab.explain(arch), lambda: ab.node_importance(arch),
        lambda: ab.predict([arch]),
        lambda: ab.members([arch]), lambda: ab.evaluate(small_data), lambda: ab.rank([arch]), lambda: ab.save('model'),
        lambda: ab.module_scores(1), lambda: ab.construct_front(['accuracy', '-params']),
        lambda: ab.fidelity([arch], lambda arch: 1.)]
    for call in calls:
        assert enter('not fitted', call) is None

methods = dict(
    predict=dict(data=0), members=dict(data=0), evaluate=dict(data=0), rank=dict(archs=0),
    node_importance=dict(arch=0, hop=1, readout='norm'), fidelity=dict(archs=0, measure=0, readout='swap', hop=1),
    module_scores=dict(stage=1, readout=None), modules=dict(stage=1, top=3, readout=None),
    construct=dict(n=3, where=None, pool=None, tries=100),
    construct_front=dict(objectives=['accuracy', '-params'], weights=2, each=2, where=None),
    effects=dict(order=1, per='feature', over=None), explained=dict(over=None), explain=dict(arch=0, order=1),
    feature_importance=dict(readout='effect'), reduced_space=dict(objectives=None, top=2, weights=2),
    mine=dict(archs=None, hop=1, min_count=2, features=None))
changes = [(method, name) for method,names in methods.items() for name in names]

def usual(data, method):
    "Arguments of a method that are right"
    needed = dict(data=data, arch=data.archs[0], archs=list(data.archs[:4]), measure=lambda arch: len(arch.rows)*1.)
    return {name: needed.get(name) if value==0 else value for name,value in methods[method].items()}

@pytest.mark.filterwarnings('ignore:.*were learned from')
@pytest.mark.parametrize('method', methods)
def test_usual(small_model, small_data, method):
    "What the next test changes is right before"
    getattr(small_model, method)(**usual(small_data, method))

@given(st.sampled_from(changes), values)
@settings(max_examples=700)
def test_methods(small_model, small_data, change, value):
    method, name = change
    if name=='measure' and callable(value): return # What a user's function does is the user's
    enter(method, lambda: getattr(small_model, method)(**usual(small_data, method)|{name: value}))

@given(odd)
def test_measure(small_model, small_data, value):
    archs = list(small_data.archs[:2])
    enter('fidelity', lambda: small_model.fidelity(archs, lambda arch: value))

@given(values)
def test_save(small_model, value):
    enter('save', lambda: small_model.save(value))
    enter('load', lambda: AutoBuild.load(value))

"Malformed spaces and architectures."
import json

from hypothesis import given, settings, strategies as st

from autobuild.budgets import Classes
from autobuild.effects import Chooser
from autobuild.spaces import Architecture, Space, SpaceError
from doors import damaged, enter, json_values, odd, torn

chain = dict(layers=[0, 1, 2], stage=dict(width=[8, 16]), layer=dict(kernel=[3, 5], drop=dict(low=0, high=.5, steps=3)))
topologies = [dict(nodes=3, edges=[[1, 2], [1, 3]]), dict(nodes=2, edges=[])]
cell = dict(topologies=topologies, layer=dict(op=['conv', 'a "b", |c']))
spec = dict(name='odd', network=dict(resolution=[128, 160.5], fast=[True, False]), stages=[chain, dict(chain), cell],
            constraints=['width[1] == width[2]'])
space = Space(**spec)
archs = space.sample(20, seed=3)

def use(space):
    "What a user does with a space first"
    repr(space), space._repr_html_(), space.size(), space.summary()
    assert Space.from_json(space.to_json())==space
    try: archs = space.sample(2)
    except SpaceError: return
    for arch in archs:
        assert space.check(arch.config)==space.check(str(arch))==arch

@given(damaged(spec))
def test_space_json(spec): enter('space JSON', lambda: use(Space.from_json(json.dumps(spec))))

@given(torn(json.dumps(spec, indent=1)))
def test_space_text(text): enter('space JSON', lambda: use(Space.from_json(text)))

@given(odd)
def test_space_source(source): enter('space JSON', lambda: use(Space.from_json(source)))

@given(damaged(spec, odd))
@settings(max_examples=120)
def test_space_arguments(spec):
    known = isinstance(spec, dict) and set(spec)<={'name', 'stages', 'network', 'constraints'}
    arguments = dict(dict(name='a', stages=[chain]), **spec) if known else dict(name='a', stages=spec)
    enter('Space(...)', lambda: use(Space(**arguments)))

marks = '|', '||', ':', ',', '=', '@', '1>2', '-', '"', '\\', ' ', 'kernel=3', 'layers=2', 'ü', '\n'

@given(st.sampled_from(archs).flatmap(lambda arch: torn(str(arch), marks)))
@settings(max_examples=150)
def test_architecture_text(text):
    arch = enter('architecture text', lambda: Architecture.parse(text))
    if arch is not None: assert str(Architecture.parse(str(arch)))==str(arch)
    arch = enter('space.check', lambda: space.check(text))
    if arch is not None: assert space.check(str(arch))==arch

@given(st.sampled_from(archs).flatmap(lambda arch: damaged(arch.config, odd)))
@settings(max_examples=150)
def test_config(config):
    enter('space.check', lambda: space.check(config))
    enter('architecture', lambda: str(Architecture(config)))
    if isinstance(config, dict) and all(isinstance(k, str) for k in config) and 'stages' in config:
        enter('architecture', lambda: hash(space.check(Architecture(**config))))

@given(odd)
def test_parse_anything(value):
    enter('architecture text', lambda: Architecture.parse(value))
    enter('space.check', lambda: space.check(value))

@given(odd)
def test_sample(value):
    few = 2 if isinstance(value, int) and value>10**4 else value
    enter('space.sample', lambda: space.sample(few))
    enter('space.sample', lambda: space.sample(2, value))

@given(st.one_of(odd, damaged(space.spec['stages'][0], odd)))
def test_module_in_place(value):
    enter('space.with_module', lambda: space.with_module(archs[0], value, archs[1].stages[0]))
    enter('space.with_module', lambda: space.with_module(archs[0], 1, value))

# Conditional features, orders and ties
quantised = dict(op=['conv', 'pool'], bits=dict(choices=[4, 8], only=dict(op='conv')))
few = dict(layers=[0, 1, 2], stage=dict(width=[8, 16]), layer=quantised)
free = Space('free', [few]*2)
every = free.sample(free.size())
sides = '''width[1] width[2] op[1,1] op[1,2] op[2,1] bits[1,1] bits[2,2] layers[1] layers[2]
    stage[1] stage[2]'''.split()
signs = st.sampled_from(['==', '==', '<=', '<', '>=', '>'])
alike = [[o for o in sides if o.startswith(name)] for name in ('width', 'op', 'bits', 'layers', 'stage')]
pairs = [(a, b) for group in alike for a in group for b in group if a!=b]
rules = st.tuples(st.sampled_from(pairs), signs).map(lambda rule: f'{rule[0][0]} {rule[1]} {rule[0][1]}')

@given(st.lists(rules, min_size=1, max_size=3))
@settings(max_examples=150)
def test_constraints(rules):
    "What is drawn is what is allowed, all of it; modules put in keep ties; classes hold every network"
    ruled = enter('constraints', lambda: Space('ruled', [few]*2, constraints=rules))
    if ruled is None: return
    assert Space.from_json(ruled.to_json())==ruled
    allowed = {str(arch) for arch in every if ruled.allows(arch)}
    assert len(allowed)<=ruled.size()
    if not allowed: return
    drawn = ruled.sample(min(len(allowed), 60))
    assert {str(arch) for arch in drawn}<=allowed
    for arch in drawn[:5]:
        assert ruled.check(arch.config)==ruled.check(str(arch))==arch
        placed = ruled.with_module(arch, 1, drawn[-1].stages[0])
        if not ruled.orders and ruled.allows(placed): assert ruled.check(str(placed))==placed
    classes = Classes(ruled, by_cost=False)
    assert all(classes.number(arch) is not None for arch in drawn)
    codes = Chooser(ruled).codes(drawn)
    assert [str(arch) for arch in Chooser(ruled).candidates(codes)]==[str(arch) for arch in drawn]

@given(st.sampled_from(every), st.sampled_from(['bits=4', 'bits=-', 'bits=None', '', 'bits=6', 'op=pool']))
def test_conditional(arch, more):
    "A network is spelled in one way, whatever is written"
    text = str(arch).replace('op=pool', f'op=pool {more}').replace('bits=4', f'bits=4 {more}')
    found = enter('conditional', lambda: free.check(text))
    if found is not None: assert str(found)==str(arch)

features = dict(quantised, drop=dict(low=0, high=1, only=dict(bits=[4])))

@given(damaged(features, odd))
@settings(max_examples=150)
def test_conditional_spec(layer): enter('conditional', lambda: use(Space('a', [dict(layers=[1, 2], layer=layer)])))

pieces = st.sampled_from([*sides, '==', '<=', '!=', '<', '[', ']', '1', 'bits[1,9]', 'x[1]', ' '])

@given(st.one_of(odd, st.lists(pieces, max_size=7).map(''.join)))
@settings(max_examples=150)
def test_constraint_text(text): enter('constraints', lambda: use(Space('a', [few]*2, constraints=[text])))

@given(st.one_of(odd, st.sampled_from(sides), st.text(max_size=9)))
def test_reference(text):
    if isinstance(text, str): enter('reference', lambda: free.feature_values(text, every[:3]))

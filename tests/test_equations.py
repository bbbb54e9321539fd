"The doors of `AutoBuild.equations`, and what its equations promise."
from functools import cache

import numpy as np, pandas as pd, pytest
from hypothesis import given, settings, strategies as st

from autobuild import AutoBuild
from autobuild.equations import check_preferences, equation_values, family, find_equations, pick, read_rate
from autobuild.targets import Expression
from doors import complaint_about, enter, odd

both = ['accuracy', '-latency']

def refusal(call):
    "The sentence in which a call is refused"
    with pytest.raises(ValueError) as caught: call()
    assert complaint_about(caught.value) is None
    return str(caught.value)

# --- doors ---

words = ['accuracy', '-latency', 'params', '-params', 'predicted', '1 accuracy = 2 latency', '1 accuracy = 1 nothing',
         'latency < 9', 'latency > 1', 'accuracy > 1 and latency < 20', '', '=']
values = st.one_of(odd, st.sampled_from(words), st.lists(st.sampled_from([*words, None, 3]), max_size=5))
usual = dict(objectives=both, n=1, each=3, rate=None, budget=None, prefer=None, over=None)

@pytest.fixture(scope='module', autouse=True)
def fitted_once():
    "Each column's quick model is fitted once for all tests"
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(AutoBuild, '_quick_model', cache(AutoBuild._quick_model))
        yield

@given(st.sampled_from(list(usual)), values)
@settings(max_examples=150)
def test_odd_arguments(small_model, small_data, name, value):
    few = dict(over=list(small_data.space.sample(40, seed=3)))
    enter('equations', lambda: small_model.equations(**usual|few|{name: value}))

def test_wrong_objectives(small_model):
    assert 'two to four objectives' in refusal(lambda: small_model.equations(['accuracy']))
    assert "did you mean 'latency'?" in refusal(lambda: small_model.equations(['accuracy', '-latancy']))
    assert 'occurs twice' in refusal(lambda: small_model.equations(['accuracy', '-accuracy']))
    assert 'not fitted yet' in refusal(lambda: AutoBuild().equations(both))

@pytest.mark.parametrize('n', [0, -1, 1.5, 'four', None, True])
def test_wrong_numbers(small_model, n):
    assert 'n is a whole number from 1 to 100' in refusal(lambda: small_model.equations(both, n=n))

@pytest.mark.parametrize('rate', ['fast', '1 = 2', 'accuracy = latency', '1 accuracy = -2 latency', 7,
                                  '1 accuracy 2 latency', '1 accuracy = 2 latency = 3', '0 accuracy = 1 latency'])
def test_text_that_is_no_rate(small_model, rate):
    assert 'rate' in refusal(lambda: small_model.equations(both, rate=rate))

def test_wrong_budgets(small_model):
    for budget,why in (('latency > 3', 'from the side that is better'), ('params < 3', "no column 'params'"),
                       ('latency', 'is a value, not a condition'), ('latency*accuracy < 3', 'states no limit')):
        assert why in refusal(lambda: small_model.equations(both, budget=budget))

def test_contradictory_answers(small_model, small_data):
    a, b, c, *_ = small_data.archs
    assert 'answers 1, 2 contradict' in refusal(lambda: small_model.equations(both, prefer=[(a, b), (b, a)]))
    assert 'answers 1, 2, 3 contradict' in refusal(lambda: small_model.equations(both, prefer=[(a, b), (b, c), (c, a)]))
    assert 'prefers a network to itself' in refusal(lambda: small_model.equations(both, prefer=[(a, a)]))
    assert 'pairs of architectures' in refusal(lambda: small_model.equations(both, prefer=[a, b]))
    assert 'pairs of architectures' in refusal(lambda: small_model.equations(both, prefer=[(a, b, c)]))

@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_circles(pairs):
    "An order exists exactly where answers are accepted"
    reach = np.zeros((7, 7), bool)
    for better,worse in pairs: reach[better, worse] = True
    for middle in range(7): reach |= reach[:,[middle]] & reach[[middle]]
    try: check_preferences(pairs)
    except ValueError: assert reach.diagonal().any()
    else: assert not reach.diagonal().any()

# --- what they promise ---

def test_equations_are_targets(small_model, small_data):
    "What is found can be fitted, over labels and over quantities"
    found = small_model.equations(['accuracy', '-params'], n=2)
    assert 1<=len(found)<=2 and found.equation.is_unique
    again = small_model.equations(['accuracy', '-params'], n=2)
    assert again.equals(found) and again.attrs==found.attrs
    ab = AutoBuild(found.equation[0], ensemble=2, steps=20, warmup=20)
    ab._train(small_data, progress=False)
    columns = dict(accuracy=small_data.table.accuracy, params=small_data.quantities['params'](small_data.archs))
    np.testing.assert_allclose(ab.labels, Expression(found.equation[0])(columns))

def test_answers_decide(small_model, small_data):
    "Who would rather have the quick ones gets quicker ones"
    table = small_data.table
    order = np.argsort(table.latency.to_numpy())
    fast, slow = order[:3], order[-3:]
    def mean(pairs):
        found = small_model.equations(both, n=1, prefer=[(small_data.archs[i], small_data.archs[j]) for i,j in pairs])
        return np.mean(found.latency[0])
    assert mean(zip(fast, slow))<mean(zip(slow, fast))

def test_three_objectives(small_model):
    found = small_model.equations(['accuracy', '-latency', '-params'], n=3)
    assert {'accuracy', 'latency', 'params'}<=set(found) and found.hypervolume.is_monotonic_increasing

labelled = pd.DataFrame(dict(q=np.linspace(1, 2, 30), c=np.linspace(1, 9, 30)**2))

@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.booleans())
@settings(max_examples=20)
def test_units_do_not_matter(quality, cost, throughput):
    "The family can be read and computed whatever the units"
    signs = dict(q=1, c=1 if throughput else -1)
    table = labelled*[quality, cost]
    members = family(table, signs)
    values = equation_values(members.equation, table)
    assert members.equation.is_unique and members.weight.between(0, 1).all()
    assert np.isfinite(values).mean()>.9 and members.equation.str.len().max()<60

@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_rates_hold(one, other):
    "One unit of the quality pays for as many of the cost as the user says, at the middle and up to rounding"
    rate = read_rate(f'{one!r} q = {other!r} c', ['q', 'c'])
    middle = labelled.median()
    for text in family(labelled, dict(q=1, c=-1), rate).equation:
        if '100^' in text: continue # Bent too strongly for a difference
        f, step = Expression(text), 1e-4
        def at(dq, dc): return f(dict(q=[middle.q+dq], c=[middle.c+dc]))[0]
        slopes = (at(step, 0)-at(-step, 0)), (at(0, -step)-at(0, step))
        if min(map(abs, slopes))<1e-9: continue # Too small for doubles
        assert slopes[0]/slopes[1]==pytest.approx(other/one, rel=.35) # Fourth powers round to 5 % in the scale

@given(st.integers(1, 30), st.integers(1, 5))
def test_nobody_picks_twice(each, equations):
    values = np.random.default_rng(each).normal(size=(equations, 40))
    picked = np.concatenate(pick(values, each))
    assert len(set(picked))==len(picked)==min(40, each*equations)

def test_more_equations_reach_more():
    "Each is chosen for what it adds to those before it"
    rng = np.random.default_rng(0)
    pool = pd.DataFrame(dict(q=rng.normal(size=400), c=rng.exponential(size=400)+.1))
    held_out = pool[:60]+rng.normal(0, .1, (60, 2))
    found = find_equations(pool[:60], held_out.reset_index(drop=True), pool[60:], ['q', '-c'], n=4, each=5)
    assert len(found)==4 and found.hypervolume.is_monotonic_increasing and found.hypervolume.iloc[0]>=1
    assert set(found.attrs)=={'text', 'sweep', 'sweep_does_as_well'} and 'sweep would do' in found.attrs['text']

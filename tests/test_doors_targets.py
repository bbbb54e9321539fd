"Malformed targets and conditions."
import numpy as np, pandas as pd
from hypothesis import given, settings, strategies as st

from autobuild.spaces import Space
from autobuild.targets import Condition, Expression, functions
from doors import enter, objects, odd, texts, torn

references = '''width[2] kernel[1,2] layers[3] resolution op[1,1] kernel[0] width[1,2,3] "conv"'''.split()
words = "accuracy params µ 0 1e3 10_000 1e400 10^4 True None .5 'a' \" `".split()
words += ['`top-1 acc`', *functions, *references]
signs = """+ - * / // % ** ^ < <= == != >= = := <> ( ) [ ] { , . ; # \\ @ ~ | & __import__""".split()
signs += [' and ', ' or ', ' not ', ' in ', ' is ', ' if ', ' else ', 'lambda x:', '\n', ' ', '\t', '\0']
formulas = st.lists(st.sampled_from([*words, *signs, *texts]), min_size=1, max_size=9).map(''.join)
right = ['100^accuracy / log10(params)', 'params < 10_000 and not (accuracy <= .5 or 3 > `top-1 acc` > 1)',
         'max(accuracy, µ, -params)', 'width[2] <= 64 and not op[1,1] == "conv" or kernel[1,2] != width[2]']
def deep(n):
    "Formulas that are long or nested"
    return ['-'*n+'accuracy', '('*n+'accuracy'+')'*n, 'not '*n+'params<1', 'accuracy'+'+1'*n, 'abs('*n+'accuracy'+')'*n,
            '2^'*n+'accuracy', 'a'*n, '9'*n+'*accuracy', 'params<'*n+'1', '['*n]
written = st.one_of(
    formulas, st.integers(1, 2000).flatmap(lambda n: st.sampled_from(deep(n))),
    st.text(max_size=30), st.sampled_from(right).flatmap(torn), odd)
columns = {'width[2]': [8, np.nan, 16], 'kernel[1,2]': [3, None, 5], 'op[1,1]': ['conv', None, 'a "b"'],
           'accuracy': np.array([.5, np.nan, 1e308]), 'params': [10, 20, 10**30], 'top-1 acc': pd.Series([1, 2, 3]),
           'µ': [0, -1, np.inf]}

def compute(formula):
    out = formula(columns)
    assert out.shape==(3,) and out.dtype in (float, bool)
    if isinstance(formula, Condition): assert all(op in '<>=' for found in formula.limits.values() for op,_ in found)

@given(written)
@settings(max_examples=300)
def test_formulas(text):
    enter('target', lambda: compute(Expression(text)))
    enter('condition', lambda: compute(Condition(text)))

@given(st.one_of(st.dictionaries(st.sampled_from(['accuracy', 'params', 'x', 1, None]), odd), odd))
def test_columns(columns):
    enter('columns of a target', lambda: Expression('accuracy + params')(columns))
    enter('columns of a condition', lambda: Condition('accuracy < params')(columns))

layer = dict(op=['conv', 'pool'], kernel=[3, 5], drop=dict(low=0, high=1))
stage = dict(layers=[0, 1, 2], stage=dict(width=[8, 16]), layer=layer)
space = Space('bound', [stage]*2, network=dict(resolution=[128, 160], fast=[True, False]))

@given(written)
@settings(max_examples=200)
def test_bound(text): enter('bind', lambda: Condition(text).bind(space, ['accuracy', 'params']))

places = st.sampled_from(['resolution', 'width[1]', 'width[2]', 'kernel[1,2]', 'drop[2,1]', 'layers[1]'])
numbers = st.sampled_from(['0', '.5', '1', '2', '3', '4', '5', '8', '12', '16', '128', '150', '160', '1e3'])
compare = st.tuples(places, st.sampled_from(['<', '<=', '>', '>=', '==', '!=']), numbers).map(' '.join)
words_compared = st.tuples(st.sampled_from(['op[1,1]', 'op[2,2]']), st.sampled_from(['==', '!=']),
                           st.sampled_from(['"conv"', '"pool"'])).map(' '.join)
parts = st.one_of(compare, compare, words_compared, compare.map('not {}'.format))
archs = space.sample(3000)
values = {name: space.feature_values(name, archs) for name in
          ['resolution', 'width[1]', 'width[2]', 'kernel[1,2]', 'drop[2,1]', 'layers[1]', 'op[1,1]', 'op[2,2]']}

@given(st.lists(parts, min_size=1, max_size=3), st.sampled_from([' and ', ' or ']))
@settings(max_examples=300)
def test_what_is_refused_cannot_be_met(pieces, join):
    "A condition that is refused is met by no network; one that is met keeps its limits and its parts"
    condition = Condition(join.join(pieces))
    met = condition(values)
    bound = enter('bind', lambda: condition.bind(space))
    if bound is None: assert not met.any(), condition
    for name,found in condition.limits.items():
        for op,number in found:
            apart = values[name][met]-number
            assert (dict(zip('<>=', (apart, -apart, abs(apart))))[op]<=1e-9).all(), condition
    assert (np.all([part(values) for part in condition.parts], 0)==met).all()

"Malformed targets and conditions."
import numpy as np, pandas as pd
from hypothesis import given, settings, strategies as st

from autobuild.targets import Condition, Expression, functions
from doors import enter, objects, odd, texts, torn

words = "accuracy params µ 0 1e3 10_000 1e400 10^4 True None .5 'a' \" `".split() + ['`top-1 acc`', *functions]
signs = """+ - * / // % ** ^ < <= == != >= = := <> ( ) [ ] { , . ; # \\ @ ~ | & __import__""".split()
signs += [' and ', ' or ', ' not ', ' in ', ' is ', ' if ', ' else ', 'lambda x:', '\n', ' ', '\t', '\0']
formulas = st.lists(st.sampled_from([*words, *signs, *texts]), min_size=1, max_size=9).map(''.join)
right = ['100^accuracy / log10(params)', 'params < 10_000 and not (accuracy <= .5 or 3 > `top-1 acc` > 1)',
         'max(accuracy, µ, -params)']
def deep(n):
    "Formulas that are long or nested"
    return ['-'*n+'accuracy', '('*n+'accuracy'+')'*n, 'not '*n+'params<1', 'accuracy'+'+1'*n, 'abs('*n+'accuracy'+')'*n,
            '2^'*n+'accuracy', 'a'*n, '9'*n+'*accuracy', 'params<'*n+'1', '['*n]
written = st.one_of(
    formulas, st.integers(1, 2000).flatmap(lambda n: st.sampled_from(deep(n))),
    st.text(max_size=30), st.sampled_from(right).flatmap(torn), odd)
columns = {'accuracy': np.array([.5, np.nan, 1e308]), 'params': [10, 20, 10**30], 'top-1 acc': pd.Series([1, 2, 3]),
           'µ': [0, -1, np.inf]}

def compute(formula):
    out = formula(columns)
    assert out.shape==(3,) and out.dtype in (float, bool)
    if isinstance(formula, Condition): assert all(op in '<>' for found in formula.limits.values() for op,_ in found)

@given(written)
@settings(max_examples=300)
def test_formulas(text):
    enter('target', lambda: compute(Expression(text)))
    enter('condition', lambda: compute(Condition(text)))

@given(st.one_of(st.dictionaries(st.sampled_from(['accuracy', 'params', 'x', 1, None]), odd), odd))
def test_columns(columns):
    enter('columns of a target', lambda: Expression('accuracy + params')(columns))
    enter('columns of a condition', lambda: Condition('accuracy < params')(columns))

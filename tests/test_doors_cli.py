"Odd words on the command line."
import contextlib, io

import pytest
from hypothesis import given, settings, strategies as st

from autobuild.training import Recipe
from doors import enter, refusal, texts

options = '''--help -h --version --out --n --top --stage --where --sample --seed --ensemble --target --readout --space
    --column --quiet --pdb --xtra --n= --quantity --explore --pool --order --per --hop --jobs --budget -- -'''.split()
values = '''-1 0 2 3 1e3 nan inf 1e999 0x1 model data.csv space.json latency params mnist1d:x . / /dev/null
    /dev/null/x ~ * last both = nothing task:space task:f task:g no:f a=task:f a=b place norm'''.split()
commands = '''fit evaluate modules construct design measure improve enough importance effects mine front ask rank
    report'''.split()
words = [*commands, *options, *values, 'params < 300', '9'*400, *texts]

task = """
from autobuild import Space
space = Space.from_json('space.json')
def f(archs): return [len(arch.rows) for arch in archs]
"""

@pytest.fixture(scope='module')
def folder(small_model, small_data, elsewhere):
    "A model, a table and a space in the current folder; what `fit` trains is not trained long"
    small_model.save('small') # `fit` may write to the other folders
    small_data.to_csv('data.csv')
    with open('space.json', 'w') as file: file.write(small_data.space.to_json())
    with open('task.py', 'w') as file: file.write(task)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('autobuild.estimator._recipe', lambda settings: Recipe(steps=2, warmup=0))
        yield

def run(words):
    "What a command prints, or `refusal`"
    from autobuild.cli import main
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err): code = main(words)
    assert code in (0, 2), code
    if code==0: return out.getvalue()
    said = err.getvalue()
    assert 'autobuild: ' in said and len(said.split())>3 and 'Traceback' not in said, said
    return refusal

@given(st.lists(st.sampled_from(words), max_size=5), st.sampled_from([*commands, None]))
@settings(max_examples=200)
def test_words(folder, rest, command):
    enter('command line', lambda: run([command]*(command is not None)+rest))

@given(st.sampled_from('--stage --top --readout --out --n --where --column'.split()), st.sampled_from(words),
       st.sampled_from([['modules', 'small'], ['construct', 'small', '--n', '2'], ['evaluate', 'small', 'data.csv']]))
@settings(max_examples=150)
def test_options(folder, option, value, command): enter('command line', lambda: run([*command, option, value]))

few = '--out --n --where --explore --quantity --pool --column --top --hop --order --per --seed'.split()

@given(st.sampled_from(few),
       st.sampled_from(words), st.sampled_from([
           ['ask', 'small', '--n', '2'], ['rank', 'small', 'data.csv'], ['mine', 'small', '--top', '2'],
           ['design', 'space.json', '--n', '3'], ['effects', 'small'], ['design', 'task:space']]))
@settings(max_examples=100)
def test_new_networks(folder, option, value, command): enter('command line', lambda: run([*command, option, value]))

@given(st.sampled_from(words), st.sampled_from(words), st.sampled_from(['data.csv', *values]))
@settings(max_examples=100)
def test_measure(folder, function, space, archs):
    "What is no measuring function is refused before anything is measured; `f` fails at each network, and is noted"
    enter('command line', lambda: run(['measure', space, function, archs, '--quiet']))

@given(st.sampled_from('--target --out --sample --ensemble --seed --column --space'.split()), st.sampled_from(words))
def test_fit(folder, option, value):
    usual = 'fit data.csv --space space.json --out fitted --quiet'.split()
    enter('command line', lambda: run([*usual, option, value]))

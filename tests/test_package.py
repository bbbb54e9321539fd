"The package as it is shipped: its metadata, its imports, its files and its documentation."
import importlib, inspect, os, pkgutil, shutil, subprocess, sys, tarfile
from email.parser import Parser
from pathlib import Path

import pytest
from fastcore.docments import docments

import autobuild

root = Path(__file__).resolve().parent.parent
sys.path.append(str(root/'tools'))
from check import traces

modules = [o.name for o in pkgutil.walk_packages(autobuild.__path__, 'autobuild.') if '._' not in o.name]
optional = 'torchsort mnist1d nas_bench_graph torch_geometric onnx onnxscript nbdev ipywidgets'.split()
late = 'matplotlib.pyplot seaborn sklearn scipy optuna moocore networkx onnx'.split() # Loaded when they are used

def run(code, cwd=root): return subprocess.run([sys.executable, '-c', code], cwd=cwd, capture_output=True, text=True)

def loaded_by(code, names):
    "Which of the named modules a new Python has loaded after running `code`"
    res = run(f'{code}\nimport sys; print(*[o for o in {names} if o in sys.modules])')
    assert res.returncode==0, res.stderr
    return res.stdout.splitlines()[-1].split()

@pytest.fixture(scope='module')
def built(tmp_path_factory):
    "A folder with the metadata of a wheel and an sdist, both made from a copy of the project"
    tmp = tmp_path_factory.mktemp('build')
    files = 'pyproject.toml settings.ini setup.py MANIFEST.in README.md LICENSE CHANGELOG.md'
    for o in files.split(): shutil.copy(root/o, tmp)
    shutil.copytree(root/'autobuild', tmp/'autobuild', ignore=shutil.ignore_patterns('__pycache__'))
    make = "import os; from setuptools import build_meta as b; os.mkdir('out')"
    res = run(f"{make}; b.prepare_metadata_for_build_wheel('out'); b.build_sdist('out')", cwd=tmp)
    assert res.returncode==0, res.stderr
    return tmp/'out'

def test_metadata(built):
    meta = Parser().parsestr(next(built.glob('*.dist-info/METADATA')).read_text(encoding='utf-8'))
    assert meta['Version']==autobuild.__version__
    assert {'dev', 'demo', 'torchsort'} <= set(meta.get_all('Provides-Extra'))
    commands = next(built.glob('*.dist-info/entry_points.txt')).read_text(encoding='utf-8')
    assert 'autobuild = autobuild.cli:main' in commands

def test_sdist(built):
    with tarfile.open(next(built.glob('*.tar.gz'))) as tar: names = {o.partition('/')[2] for o in tar.getnames()}
    shipped = [*(root/'autobuild').rglob('*.py'), *(root/'autobuild').glob('measured/*')]
    assert {'settings.ini', 'LICENSE', 'README.md', *(str(p.relative_to(root)) for p in shipped)} <= names

def test_import_without_extras():
    hidden = f'import sys; sys.modules.update(dict.fromkeys({optional}))'
    res = run(f'{hidden}\nfor o in {["autobuild", *modules]}: __import__(o)')
    assert res.returncode==0, res.stderr

def test_imports_are_late():
    "Importing the package costs next to nothing; fitting needs no more than torch, NumPy and pandas"
    assert not loaded_by('import autobuild', ['torch', 'numpy', 'pandas', *late])
    assert not loaded_by('from autobuild import AutoBuild, load_dataset', late)

def cpu_seconds(code):
    "How long a new Python computes to run `code`; waiting for other processes does not count"
    before = os.times()
    assert run(code).returncode==0
    after = os.times()
    return after.children_user+after.children_system-before.children_user-before.children_system

def test_help_answers_at_once():
    "In under a second, without PyTorch"
    for words in ['--help'], ['--version'], ['fit', '--help']:
        code = f'from autobuild.cli import main; main({words})'
        assert not loaded_by(code, ['torch', 'numpy', 'pandas', *late])
        assert cpu_seconds(code)<1, words

def test_core_imports_no_example():
    core = [o for o in modules if not o.startswith('autobuild.examples')]
    assert not loaded_by('\n'.join(f'import {o}' for o in core), ['autobuild.examples'])

def test_public_names():
    "Each public name is there, and stays what it is when a module of the same name is imported"
    assert set(autobuild.__all__) <= set(dir(autobuild))
    for o in modules: importlib.import_module(o)
    for o in autobuild.__all__: assert not inspect.ismodule(getattr(autobuild, o)), o
    with pytest.raises(AttributeError, match='no attribute'): autobuild.nothing

def test_importers_come_with_the_package():
    "Whoever gets `Architecture` through the package has `from_torch` and `from_onnx`"
    res = run("""if True:
        import sys
        for name in 'Architecture', 'AutoBuild', 'LabelledData', 'operation_space':
            for o in [o for o in sys.modules if o.startswith('autobuild')]: del sys.modules[o]
            exec(f'from autobuild import {name}')
            arch = sys.modules['autobuild.spaces'].Architecture
            assert hasattr(arch, 'from_torch') and hasattr(arch, 'from_onnx'), name""")
    assert res.returncode==0, res.stderr

def test_files_name_no_machine():
    bad = traces()
    assert not bad, '\n'.join(bad)

def methods(cls):
    "The public methods and properties that a class adds, as (name, function); what `forward` does its class says"
    for k,o in vars(cls).items():
        f = o.fget if isinstance(o, property) else getattr(o, '__func__', o)
        ours = inspect.isfunction(f) and f.__module__.startswith('autobuild.')
        if ours and not k.startswith('_') and k!='forward': yield k, f

def exported():
    "Each public function, class and method with its name"
    for mod in map(importlib.import_module, modules):
        for k in getattr(mod, '__all__', []):
            obj = getattr(mod, k)
            if k.startswith('_') or not (inspect.isfunction(obj) or inspect.isclass(obj)): continue
            yield f'{mod.__name__}.{k}', obj
            if inspect.isclass(obj): yield from ((f'{mod.__name__}.{k}.{m}', f) for m,f in methods(obj))

def uncommented(f):
    "Parameters of a function without a comment, if others have one; docments reads none of `*args` and `**kwargs`"
    try: params = inspect.signature(f).parameters.values()
    except ValueError: return []
    docs = docments(f)
    named = [p.name for p in params if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    names = [k for k in named if not k.startswith('_') and k not in ('self', 'cls')]
    return [k for k in names if not docs.get(k)] if any(docs.get(k) for k in names) else []

def test_documentation():
    bad = [f'{k} has no docstring' for k,o in exported() if not (o.__doc__ or '').strip()]
    bad += [f'{k}: {p} has no comment' for k,o in exported() for p in uncommented(o)]
    assert not bad, '\n'.join(bad)

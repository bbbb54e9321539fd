"The package as it is shipped: its metadata, its imports, its files and its documentation."
import importlib, inspect, pkgutil, re, shutil, subprocess, sys, tarfile
from email.parser import Parser
from pathlib import Path

import pytest
from fastcore.docments import docments

import autobuild

root = Path(__file__).resolve().parent.parent
modules = [f'autobuild.{o.name}' for o in pkgutil.iter_modules(autobuild.__path__) if not o.name.startswith('_')]
optional = 'torchsort mnist1d nas_bench_graph torch_geometric nbdev'.split()
# Traces of one machine: its folders, and where it gets packages from
private = re.compile(r'(?<![\w+/.-])/(work|root|home/\w+|Users/\w+)/|/site-packages/|://(localhost|127\.0\.0\.1|[\w.-]+/simple\b)|file:///|artifactory|devpi')

def run(code, cwd=root): return subprocess.run([sys.executable, '-c', code], cwd=cwd, capture_output=True, text=True)

@pytest.fixture(scope='module')
def built(tmp_path_factory):
    "A folder with the metadata of a wheel and an sdist, both made from a copy of the project"
    tmp = tmp_path_factory.mktemp('build')
    for o in 'pyproject.toml settings.ini setup.py MANIFEST.in README.md LICENSE CHANGELOG.md'.split(): shutil.copy(root/o, tmp)
    shutil.copytree(root/'autobuild', tmp/'autobuild', ignore=shutil.ignore_patterns('__pycache__'))
    res = run("import os; from setuptools import build_meta as b; os.mkdir('out'); b.prepare_metadata_for_build_wheel('out'); b.build_sdist('out')", cwd=tmp)
    assert res.returncode==0, res.stderr
    return tmp/'out'

def test_metadata(built):
    meta = Parser().parsestr(next(built.glob('*.dist-info/METADATA')).read_text(encoding='utf-8'))
    assert meta['Version']==autobuild.__version__
    assert {'dev', 'demo', 'torchsort'} <= set(meta.get_all('Provides-Extra'))
    assert 'autobuild = autobuild.cli:main' in next(built.glob('*.dist-info/entry_points.txt')).read_text(encoding='utf-8')

def test_sdist(built):
    with tarfile.open(next(built.glob('*.tar.gz'))) as tar: names = {o.partition('/')[2] for o in tar.getnames()}
    measured = {str(p.relative_to(root)) for p in (root/'autobuild').glob('measured/*')}
    assert {'settings.ini', 'LICENSE', 'README.md', 'autobuild/__init__.py', *measured} <= names

def test_import_without_extras():
    res = run(f'import sys; sys.modules.update(dict.fromkeys({optional}))\nfor o in {["autobuild", *modules]}: __import__(o)')
    assert res.returncode==0, res.stderr

def test_files_name_no_machine():
    res = subprocess.run('git ls-files -z --cached --others --exclude-standard'.split(), cwd=root, capture_output=True, text=True)
    if res.returncode: pytest.skip('not a git checkout')
    bad = []
    for o in set(res.stdout.split('\0'))-{'', 'tests/test_package.py'}:
        try: text = (root/o).read_text(encoding='utf-8')
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError): continue
        bad += [f'{o}: {m[0]}' for m in private.finditer(text)]
    assert not bad, '\n'.join(sorted(bad))

def exported():
    "Each public function and class with its name"
    for mod in map(importlib.import_module, modules):
        for k in getattr(mod, '__all__', []):
            obj = getattr(mod, k)
            if not k.startswith('_') and (inspect.isfunction(obj) or inspect.isclass(obj)): yield f'{mod.__name__}.{k}', obj

def uncommented(f):
    "Parameters of a function without a comment, if others have one; docments reads none of `*args` and `**kwargs`"
    try: params = inspect.signature(f).parameters.values()
    except ValueError: return []
    docs = docments(f)
    names = [p.name for p in params if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and not p.name.startswith('_')]
    return [k for k in names if not docs.get(k)] if any(docs.get(k) for k in names) else []

def test_documentation():
    bad = [f'{k} has no docstring' for k,o in exported() if not (o.__doc__ or '').strip()]
    bad += [f'{k}: {p} has no comment' for k,o in exported() for p in uncommented(o)]
    assert not bad, '\n'.join(bad)

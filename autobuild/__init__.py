"AutoBuild: which parts of a network matter, and what to build next"
__version__ = "0.1.0"

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING: # Editors read the names here; at run time each is imported when it is first asked for
    from .compression import compression_space, replace_one
    from .data import LabelledData, Quantity, read_data
    from .datasets import datasets, load_dataset, register_dataset
    from .estimator import AutoBuild
    from .graphs.graph_spaces import operation_space
    from .loop import improve
    from .measuring import measure
    from .readouts import readouts
    from .spaces import Architecture, Space

_homes = dict(
    Architecture='spaces', AutoBuild='estimator', LabelledData='data', Quantity='data', Space='spaces',
    compression_space='compression', datasets='datasets', improve='loop', load_dataset='datasets', measure='measuring',
    operation_space='graphs.graph_spaces', read_data='data', readouts='readouts', register_dataset='datasets',
    replace_one='compression')
_importers = ['graphs.networks', 'graphs.onnx_files'] # Give `Architecture` its `from_torch` and `from_onnx`, as
# `design` gives every `Space` its `design`
_with_importers = {'Architecture', 'AutoBuild', 'improve', 'LabelledData', 'compression_space', 'operation_space'}

__all__ = ['__version__', *_homes]

def __dir__(): return sorted({*globals(), *_homes})

def __getattr__(name):
    "Import a public name when it is first asked for"
    if name not in _homes: raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for home in ['design', *(_importers if name in _with_importers else [])]: import_module(f'{__name__}.{home}')
    value = getattr(import_module(f'{__name__}.{_homes[name]}'), name)
    globals()[name] = value
    return value

class _Package(ModuleType):
    "`datasets` and `readouts` are also names of modules; importing such a module must not hide what is public"
    def __setattr__(self, name, value):
        public = name in _homes and isinstance(value, ModuleType)
        super().__setattr__(name, getattr(value, name) if public else value)

sys.modules[__name__].__class__ = _Package

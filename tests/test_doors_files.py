"Damaged files: saved models, ONNX files, pickles."
import contextlib, json, pickle, shutil, warnings
from pathlib import Path

import numpy as np, pandas as pd, pytest, torch
from hypothesis import given, settings, strategies as st

from autobuild import Architecture, AutoBuild
from autobuild.datasets import _read_pickle, _TableReader
from autobuild.store import write_model
from doors import damaged, enter, odd, torn

@pytest.fixture(scope='module')
def saved(small_model, tmp_path_factory):
    "A folder with a saved model"
    folder = tmp_path_factory.mktemp('saved')/'model'
    small_model.save(folder)
    return folder

@given(st.data())
@settings(max_examples=120)
def test_torn_model(saved, data):
    "A file of a model is torn, emptied, replaced by another, or missing: it is never another model that is read"
    folder = saved.parent/'torn'
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(saved, folder)
    file = data.draw(st.sampled_from(sorted(folder.iterdir())))
    whole = file.read_bytes()
    others = sorted(o.read_bytes() for o in saved.iterdir())
    content = data.draw(st.one_of(torn(whole), st.just(None), st.sampled_from(others)))
    if content is None: file.unlink()
    else: file.write_bytes(content)
    loaded = enter('model folder', lambda: AutoBuild.load(folder))
    assert (loaded is None)==(content!=whole)

@given(st.data())
@settings(max_examples=100)
def test_forged_model(saved, small_model, data):
    "The files fit each other, but what they say is odd"
    spec = json.loads((saved/'model.json').read_text())
    spec = {k: v for k,v in spec.items() if k not in ('format', 'files', 'digests', 'digest')}
    table, tensors = small_model.train.table.to_csv(index=False), _tensors(saved)
    part = data.draw(st.sampled_from(['spec', 'spec', 'spec', 'table', 'tensors']))
    if part=='spec': spec = data.draw(damaged(spec))
    elif part=='table': table = data.draw(torn(table))
    else: tensors = data.draw(_changed(tensors))
    if not isinstance(spec, dict) or set(spec) & {'format', 'files', 'digests', 'digest'}: return
    try: write_model('forged', spec, tensors, table)
    except (ValueError, TypeError): return # What JSON cannot hold
    enter('model folder', lambda: AutoBuild.load('forged').predict(small_model.train))

def _tensors(folder):
    from safetensors.torch import load_file
    return load_file(next(folder.glob('*.safetensors')))

@st.composite
def _changed(draw, tensors):
    "Tensors of which one is missing, renamed, of another shape or type, or holds NaN"
    name = draw(st.sampled_from(sorted(tensors)))
    tensor, rest = tensors[name], {k: v for k,v in tensors.items() if k!=name}
    other = draw(st.sampled_from([None, tensor.flatten(), tensor[...,None], tensor.double(), tensor.to(torch.complex64),
                                  torch.zeros(0), torch.zeros(3, 3), tensor*torch.nan]))
    return rest if other is None else rest|{draw(st.sampled_from([name, 'x'])): other}

class Small(torch.nn.Module):
    "A network with a convolution, a norm, an addition and a linear layer"
    def __init__(self):
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4)
        self.last = torch.nn.Linear(4, 2)
    def forward(self, x):
        x = self.conv(x)
        return self.last((x+self.norm(x)).relu().mean((2, 3)))

@pytest.fixture(scope='module')
def onnx_file(tmp_path_factory):
    "A small network as an ONNX file"
    pytest.importorskip('onnxscript')
    path = tmp_path_factory.mktemp('onnx')/'small.onnx'
    with warnings.catch_warnings():
        warnings.simplefilter('ignore') # of the exporter
        example = torch.zeros(1, 3, 8, 8)
        torch.onnx.export(Small().eval(), (example,), path, dynamo=True, external_data=False, verbose=False)
    assert len(Architecture.from_onnx(path).rows)>4
    return path

def read(*arguments, **named):
    "An imported network; sizes that a damaged file leaves open are counted in a warning"
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'the sizes of')
        return Architecture.from_onnx(*arguments, **named)

@given(st.data())
@settings(max_examples=250)
def test_onnx_bytes(onnx_file, data):
    content = data.draw(torn(onnx_file.read_bytes()))
    path = onnx_file.with_name('torn.onnx')
    path.write_bytes(content)
    enter('ONNX', lambda: read(path))

@given(st.data())
@settings(max_examples=150)
def test_onnx_fields(onnx_file, data):
    "A file that protobuf reads, some number, name or list in it changed"
    import onnx
    model = onnx.load(onnx_file)
    for _ in range(data.draw(st.sampled_from([1, 1, 2, 3]))): _change(data.draw, model)
    path = onnx_file.with_name('changed.onnx')
    path.write_bytes(model.SerializeToString())
    enter('ONNX', lambda: read(path))

def _change(draw, message):
    "Change one field of a protobuf message, or of one inside it"
    field, value = draw(st.sampled_from([(f.name, v) for f,v in message.ListFields()] or [(None, None)]))
    if field is None: return
    if hasattr(value, 'ListFields'): return _change(draw, value)
    if hasattr(value, 'append') or hasattr(value, 'add'): # A list
        act, place = draw(st.sampled_from(['in', 'in', 'in', 'delete', 'repeat'])), draw(st.integers(0, len(value)-1))
        if act=='delete': del value[place]
        elif act=='repeat': value.extend([value[place]])
        elif hasattr(value[place], 'ListFields'): _change(draw, value[place])
        else: value[place] = _other(draw, value[place])
    else:
        other = _other(draw, value)
        with contextlib.suppress(ValueError): setattr(message, field, other) # An enumeration takes its own numbers

def _other(draw, value):
    if isinstance(value, bytes): return draw(torn(value))
    if isinstance(value, str): return draw(st.sampled_from(['', 'x', 'Conv', 'Add', 'Reshape', 'x0', value+'x']))
    if isinstance(value, float): return draw(st.sampled_from([0., -1., 1e30, float('nan')]))
    return draw(st.sampled_from([0, 1, 2, 3, 7, 100, 2**31-1]))

@given(odd)
def test_onnx_arguments(onnx_file, value):
    enter('ONNX', lambda: read(value))
    enter('ONNX', lambda: read(onnx_file, value))
    enter('ONNX', lambda: read(onnx_file, dims=value))

content = [1, 2., None, True, 'text', b'bytes', (1, 2), {3}, frozenset([4]), np.float64(.5), np.int32(3),
           {'a': 10**400}]
pickles = [pickle.dumps(content, protocol) for protocol in range(6)]
pickles += [pickle.dumps(o) for o in (print, AutoBuild, np.zeros(3))]

@given(st.one_of(st.sampled_from(pickles).flatmap(torn), st.binary(max_size=60)))
@settings(max_examples=300)
def test_pickles(elsewhere, content):
    with open('file.pickle', 'wb') as file: file.write(content)
    enter('pickle', lambda: _read_pickle(Path('file.pickle')))

class Named:
    "A class or function of another package in a pickle, or what it gives for arguments, with a state"
    def __init__(self, module, name, *arguments, **state):
        self.module, self.name, self.arguments, self.state = module, name, arguments, state.get('state')

def assembled(value):
    "The bytes that stand for a value in a pickle"
    if isinstance(value, list): return b'('+b''.join(map(assembled, value))+b'l'
    if isinstance(value, tuple): return b'('+b''.join(map(assembled, value))+b't'
    if isinstance(value, dict): return b'('+b''.join(map(assembled, sum(value.items(), ())))+b'd'
    if not isinstance(value, Named): return pickle.dumps(value, 3)[2:-1] # without its head and end
    call = assembled(value.arguments)+b'R' if value.arguments else b''
    state = assembled(value.state)+b'b' if value.state else b''
    return f'c{value.module}\n{value.name}\n'.encode()+call+state

def dtype(code): return Named('numpy', 'dtype', code, False, True, state=(3, '<', None, None, None, -1, -1, 0))
def text(values, *shape):
    state = (1, shape or (len(values),), dtype('O8'), False, values)
    return Named('numpy.core.multiarray', '_reconstruct', Named('numpy', 'ndarray'), (0,), b'b', state=state)
def numbers(values):
    content, shape = np.array(values, '<f8').tobytes(), np.shape(values)
    return Named('numpy.core.numeric', '_frombuffer', content, dtype('f8'), shape, 'C')
def index(names):
    base = 'pandas.core.indexes.base'
    return Named(base, '_new_Index', Named(base, 'Index'), dict(data=text(names), name=None))

blocks, names = [numbers([[1., 2.], [3., 4.]]), text(['x', 'y'], 1, 2)], [index(['a', 'b']), index(['c'])]
manager = Named('pandas.core.internals.managers', 'BlockManager', 0, state=([], blocks, names, {}))
table = assembled(Named('pandas.core.frame', 'DataFrame', 0, state=dict(_data=manager)))+b'.'

def read_table(content):
    Path('table.pickle').write_bytes(content)
    return _read_pickle(Path('table.pickle'), _TableReader)

def test_table(elsewhere):
    pd.testing.assert_frame_equal(read_table(table), pd.DataFrame(dict(a=[1., 2.], b=[3., 4.], c=['x', 'y'])),
                                  check_dtype=False)

@given(torn(table))
@settings(max_examples=300)
def test_torn_table(elsewhere, content): enter('pickle', lambda: read_table(content))

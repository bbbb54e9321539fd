"Everything is computed where the network is. Tensors without data stand for those of another device."
from dataclasses import replace

import pandas as pd, pytest, torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from autobuild.encoding import Encoder
from autobuild.importance import module_scores
from autobuild.normalization import Shift
from autobuild.polynomial import Terms
from autobuild.readouts import new_network
from conftest import fitted

carried = {'_to_copy', 'detach', 'lift_fresh', 'view', '_unsafe_view', 'alias', 'copy_', 'empty'} # Compute nothing

class Elsewhere(TorchDispatchMode):
    "Notes the operations that compute something on the CPU; what is fetched from the meta device is zero"
    def __init__(self):
        super().__init__()
        self.on_cpu = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name, kwargs = function._schema.name.removeprefix('aten::'), kwargs or {}
        if name=='_local_scalar_dense' and args[0].is_meta: return 0.
        if name=='_to_copy' and args[0].is_meta and torch.device(kwargs.get('device') or 'meta').type=='cpu':
            return torch.zeros(args[0].shape, dtype=kwargs.get('dtype') or args[0].dtype)
        out = function(*args, **kwargs)
        computed = [o for o in tree_leaves(out) if isinstance(o, torch.Tensor) and o.device.type=='cpu']
        if computed and name not in carried: self.on_cpu.append(name)
        return out

@pytest.fixture(scope='module')
def elsewhere_model(small_model):
    "The small model's predictor on the meta device"
    encoder, here = Encoder(small_model.space, 'meta'), small_model.predictor
    sizes = small_model.ensemble, small_model.width, small_model.hops
    net = new_network(Encoder(small_model.space), *sizes, seed=0).to('meta').eval()
    moments = [tuple(o.to('meta') for o in kind) for kind in (here.shift.nodes, here.shift.graphs)]
    terms, parts = Terms(encoder, here.terms.directions.to('meta')), {} # The small data know a quantity
    for name,part in here.parts.items():
        parts[name] = replace(part, terms=terms, **{field: tensor.to('meta') for field,tensor in part.tensors.items()})
    shift = Shift(*moments, here.shift.labels)
    return replace(here, net=net, shift=shift, encoder=encoder, terms=terms, parts=parts)

@pytest.fixture(scope='module')
def cells():
    "36 cells of four operations, which decide the label"
    from autobuild import LabelledData, Space
    wirings = [[[1, 2], [2, 3], [3, 4]], [[1, 2], [1, 3], [2, 4], [3, 4]], [[1, 2], [2, 3], [1, 4], [3, 4]]]
    topologies = [dict(nodes=4, edges=edges) for edges in wirings]
    space = Space('cells', [dict(topologies=topologies, layer=dict(op=['convolution', 'pool', 'none']))])
    archs = space.sample(36, seed=1)
    accuracy = [sum(r['op']=='convolution' for r in a.rows)-sum(r['op']=='none' for r in a.rows)/2 for a in archs]
    return LabelledData(space, archs, pd.DataFrame(dict(accuracy=accuracy)), 'cells')

def test_predictor(elsewhere_model, small_data):
    predictor, archs = elsewhere_model, list(small_data.archs)
    assert predictor.device.type=='meta'
    with Elsewhere() as mode:
        for reading in [*predictor.read(archs), *predictor.read_grid(1, 2, archs[0])]:
            assert reading.z.is_meta and reading.y.is_meta and reading.parts['polynomial'].is_meta
            assert predictor.verdict(reading).is_meta
        assert predictor.members(archs).shape==(2, len(archs))
        assert predictor.node_norms(archs, 2).shape==(2, sum(len(arch.rows) for arch in archs))
    assert not mode.on_cpu, mode.on_cpu

def test_trees(cells):
    "What stands beside the graph network where there are wirings"
    parts, counts = fitted(cells).predictor.parts, torch.zeros(5, 10_000, device='meta')
    for name in ('forest', 'boosting'):
        there = {field: tensor.to('meta') for field,tensor in parts[name].tensors.items() if field!='depth'}
        with Elsewhere() as mode: assert replace(parts[name], **there)(counts).is_meta
        assert not mode.on_cpu, mode.on_cpu

@pytest.mark.parametrize('readout', ['both', 'context', 'regressor', 'last', 'mean'])
def test_scores(elsewhere_model, small_data, readout):
    with Elsewhere() as mode:
        assert module_scores(elsewhere_model, 1, list(small_data.archs[:2]), readout).shape==(2, 12)
    assert not mode.on_cpu, mode.on_cpu

def test_doubts(elsewhere_model, small_data):
    "Random numbers are drawn on the CPU, the same for every device; nothing is computed from them there"
    archs = list(small_data.archs)
    with Elsewhere() as mode: assert elsewhere_model.doubtful(archs).shape==(2, len(archs))
    assert set(mode.on_cpu)=={'randn'}, mode.on_cpu

@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU here')
@pytest.mark.filterwarnings('ignore')
def test_gpu(small_data, cells, tmp_path):
    "The whole path on a GPU; what is saved there says the same on the CPU"
    from autobuild import AutoBuild
    archs, ab = small_data.archs[:9], fitted(small_data, 'cuda')
    assert ab.predictor.device.type=='cuda'
    assert len(ab.effects()) and len(ab.effects(order=2)) and len(ab.modules(1)) and len(ab.explain(archs[0]))
    assert len(ab.construct(2, 'params < 60', progress=False)) and len(ab.construct_front(['accuracy', '-latency']))
    assert len(ab.ask(3)) and ab.predict(archs, interval=.8).notna().all(axis=None)
    for model,known in ((ab, archs), (fitted(cells, 'cuda'), cells.archs)):
        model.save(tmp_path/model.space.name)
        for device in ('cpu', 'cuda'):
            again = AutoBuild.load(tmp_path/model.space.name, device=device)
            assert again.predictor.device.type==device
            assert again.predict(known)==pytest.approx(model.predict(known), abs=1e-4)

def test_device_travels(small_model, tmp_path):
    "A saved model says where it was fitted; it is read to where the caller wants it"
    from autobuild import AutoBuild
    small_model.save(tmp_path/'model')
    assert AutoBuild.load(tmp_path/'model', device='cpu').predictor.device.type=='cpu'
    with pytest.raises(ValueError, match='cannot be used'): AutoBuild.load(tmp_path/'model', device='nowhere')

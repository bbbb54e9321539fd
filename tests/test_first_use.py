"What a person who uses the package for the first time may run into: made-up labels, small fits."
import warnings

import numpy as np, pandas as pd, pytest, torch
from torch import nn

from autobuild import AutoBuild, Architecture, LabelledData, Space, compression_space, improve, operation_space
from autobuild.data import DataError
from autobuild.estimator import AutoBuildWarning
from autobuild.measuring import MeasureWarning
from autobuild.readouts import readouts

quick = dict(ensemble=2, steps=30, warmup=10)
layer = dict(kernel=[1,3,5], act=['relu','none'], pool=['none','max'])
space = Space('first use', [dict(layers=[1,2,3], layer=layer, stage=dict(width=[8,16]))]*2, network=dict(size=[32,64]))

def points(arch): return sum(row['kernel'] for row in arch.rows)+(arch.network['size']==64)

def labelled(**columns):
    archs = space.sample(60, seed=0)
    table = pd.DataFrame(dict(architecture=archs, points=[float(points(arch)) for arch in archs]))
    return LabelledData.from_frame(space, table.assign(**columns))

@pytest.fixture(scope='module')
def ab():
    data = labelled()
    gaps = [np.nan if i%5==0 else float(len(arch.rows)) for i,arch in enumerate(data.archs)]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', AutoBuildWarning)
        return AutoBuild('points', **quick).fit(labelled(cost=gaps), progress=False)

def test_construct_sees_what_modules_cannot():
    "A feature of the network pays with one width only: whole networks are predicted right, sums of modules are not"
    def truth(arch):
        return 1.5*((arch.network['size']==64)==(arch.stages[1]['width']==16))+sum(
            {8: 0, 16: 1.5}[stage['width']]*u for u,stage in enumerate(arch.stages, 1))
    archs = space.sample(150, seed=0)
    data = LabelledData.from_frame(space, pd.DataFrame(dict(architecture=archs, y=list(map(truth, archs)))))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        built = AutoBuild('y', ensemble=3).fit(data, progress=False).construct(10, progress=False)
    assert min(map(truth, built.archs))==6 # The best there is: 1.5+1.5+3

def test_a_column_with_gaps(ab):
    "A limit on a metric that some networks lack is learned from the others; ask shows what it was held against"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', AutoBuildWarning)
        built = ab.construct(2, where='cost < 4', progress=False)
    assert len(built)==2 and 'cost' in built.table
    assert 'cost' in ab.ask(2, where='cost < 4').table
    with pytest.raises(ValueError, match='sure'): ab.ask(2, sure=2)

def test_no_test_on_what_was_learned(ab):
    with pytest.warns(AutoBuildWarning, match='10 of 10 networks were learned from'): ab.evaluate(ab.train[:10])

def test_mine(ab):
    "Random networks are mined; words that two features share keep the features' names; nothing found is explained"
    found = ab.mine(hop=0, min_count=1)
    assert 'label' not in found and 'act=none pool=none' in ' '.join(found.module)
    with pytest.warns(AutoBuildWarning, match='no module of hop 2 occurs 500 times'): ab.mine(hop=2, min_count=500)

def test_profile_counts_a_network_once(ab):
    profile = ab.block_profile().set_index(['feature', 'choice'])
    large = np.array([arch.network['size']==64 for arch in ab.train.archs])
    assert np.isclose(profile.score['size',64], ab.labels[large].mean()-ab.labels.mean())

@pytest.mark.parametrize('factor', [1e160, 1e21, 1e-200])
def test_labels_out_of_reach(factor):
    data = labelled()
    data = data.with_columns(points=factor*data.table.points)
    with pytest.raises(ValueError, match='give them in another unit'):
        AutoBuild('points', **quick).fit(data, progress=False)

def test_one_network_only():
    arch = space.sample(1)[0]
    data = LabelledData.from_frame(space, pd.DataFrame(dict(architecture=[arch]*5, points=range(5))))
    with pytest.raises(DataError, match='the same network'): AutoBuild('points', **quick).fit(data, progress=False)

@pytest.mark.parametrize('readout', [lambda r: r.y[:,:3], lambda r: r.y.numpy(), lambda r: r.y.mean(0),
                                     lambda r: r.y*np.nan])
def test_wrong_readout(readout, monkeypatch):
    monkeypatch.setitem(readouts, 'mine', readout)
    with pytest.raises(ValueError, match="read-out 'mine' gives"):
        AutoBuild('points', readout='mine', **quick).fit(labelled(), progress=False)

def test_an_operation_never_seen():
    def read(act): return Architecture.from_torch(nn.Sequential(nn.Conv2d(3, 8, 3), act(), nn.Conv2d(8, 4, 1)),
                                                  torch.zeros(1, 3, 8, 8))
    archs = [read(act) for act in (nn.ReLU, nn.GELU, nn.SiLU)]
    table = pd.DataFrame(dict(architecture=archs, points=[1., 2., 3.]))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        ab = AutoBuild('points', **quick).fit(LabelledData.from_frame(operation_space(archs), table), progress=False)
    with pytest.warns(AutoBuildWarning, match='values of op that no labelled network has'): ab.rank([read(nn.Softplus)])

# --- the loop ---

def some_cost(arch): return dict(points=float(points(arch)), **(dict(cost=points(arch)%7) if points(arch)%3 else {}))

def test_improve_without_a_metric(tmp_path):
    "Networks that lack the metric of a limit do not stop a search, and do not keep the limit"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', MeasureWarning) # Where the first of them lacks it
        found = improve(space, some_cost, tmp_path/'log', budget=32, target='points', where='cost < 4', progress=False,
                        **quick)
    kept = found.table.cost<4
    assert len(found)==32 and kept.is_monotonic_decreasing and f'the first {kept.sum()} satisfy' in found.note

def test_improve_says_what_is_missing(tmp_path):
    def two(arch): return dict(points=points(arch), cost=float(points(arch)))
    with pytest.warns(MeasureWarning, match="no 'pionts' .did you mean 'points'"), pytest.raises(ValueError):
        improve(space, two, tmp_path/'log', budget=21, target='pionts', progress=False, **quick)
    with pytest.warns(MeasureWarning, match='20 of 25 networks were measured'):
        improve(space, two, tmp_path/'two', budget=25, target='points', where='cost < -5', progress=False, **quick)

def test_improve_repeats(tmp_path):
    "Each network is measured twice; its rows stand together, the best mean first"
    def noisy(arch, seed=0): return points(arch)+3*np.random.default_rng(seed).normal()
    table = improve(space, noisy, tmp_path/'log', budget=22, repeats=2, progress=False, **quick).table
    means = table.groupby('architecture', sort=False).accuracy.mean()
    assert len(table)==44 and means.is_monotonic_decreasing
    assert (table.architecture[::2].to_numpy()==table.architecture[1::2].to_numpy()).all()

def test_a_log_is_no_other_file(tmp_path):
    (tmp_path/'mine.csv').write_text('architecture,points\n')
    with pytest.raises(DataError, match="is no log of measurements: it begins with 'architecture,points'"):
        improve(space, points, tmp_path/'mine.csv', budget=3, progress=False, **quick)
    assert (tmp_path/'mine.csv').read_text()=='architecture,points\n'

# --- compression ---

class Network(nn.Module):
    "A branch called twice, and one that is subtracted"
    def __init__(self):
        super().__init__()
        self.twice, self.less, self.end = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x):
        x = x+self.twice(x)
        x = x-self.less(x)
        return self.end(x+self.twice(x))

def test_branches_called_twice_or_subtracted():
    net, x = Network().eval(), torch.randn(3, 8)
    _, apply = compression_space(net, x[:1], ['remove'])
    assert [part.path for part in apply.parts]==['twice', 'less'] and not any(part.passes for part in apply.parts)
    def without(path): return apply(apply.network({path: 'remove'}))(x)
    kept = x+net.twice(x)
    torch.testing.assert_close(without('less'), net.end(kept+net.twice(kept)))
    torch.testing.assert_close(without('twice'), net.end(x-net.less(x)))

# --- the shell ---

@pytest.mark.parametrize('words, said', [
    (['construct', 'model', '--where', 'a < 1', '--where', 'b < 1'], "given twice, join conditions by 'and'"),
    (['fit', 'data.csv', '--target', 'a', '--target=b'], '--target is given twice')])
def test_given_twice(words, said, capsys):
    from autobuild.cli import main
    assert main(words)==2 and said in capsys.readouterr().err

def test_a_value_with_a_minus():
    from autobuild.cli import _options
    assert _options('fit', ['data.csv', '--target', '-latency'])['target']=='-latency'

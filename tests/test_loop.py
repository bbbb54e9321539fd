"A search that is stopped, that fails, or whose log is of something else loses nothing, and goes on as it would have."
import json, os, random, signal, subprocess, sys, time, warnings
from pathlib import Path

import numpy as np, pandas as pd, pytest

from autobuild import AutoBuild, LabelledData, Space, improve
from autobuild.asking import differences, neighbours, propose
from autobuild.data import DataError
from autobuild.loop import first_labels
from autobuild.measuring import MeasureWarning, append_record, read_records

root = Path(__file__).resolve().parent.parent
stage = dict(layers=[1, 2], layer=dict(kernel=[3, 5, 7]))
space = Space('small', [stage, stage])
quick = dict(ensemble=2, steps=30, warmup=20, contexts=2, progress=False)

def wide(arch): return float(sum(row['kernel']*row['layer'] for row in arch.rows))

def networks(path): return [record['architecture'] for record in read_records(path)]

script = """
import os, sys, time
from autobuild import Space, improve
stage = dict(layers=[1, 2], layer=dict(kernel=[3, 5, 7]))
space = Space('small', [stage, stage])
def wide(arch):
    time.sleep({seconds})
    return float(sum(row['kernel']*row['layer'] for row in arch.rows))
found = improve(space, wide, 'log.jsonl', budget=25, batch=5, ensemble=2, steps=30, warmup=20, contexts=2)
print(found.table.accuracy[0])
"""

def listen():
    "Ctrl-C is heard, even where the tests run in a shell's background, which is deaf to it"
    signal.signal(signal.SIGINT, signal.SIG_DFL)

def started(folder, seconds):
    "A process that searches in a folder"
    folder.mkdir(exist_ok=True)
    (folder/'script.py').write_text(script.format(seconds=seconds))
    return subprocess.Popen([sys.executable, 'script.py'], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, env=dict(os.environ, PYTHONPATH=str(root)), preexec_fn=listen)

def test_stopped_and_gone_on(tmp_path):
    "Ctrl-C in the middle of a batch; the same networks are measured as without it, and none twice"
    whole, broken = tmp_path/'whole.jsonl', tmp_path/'broken'
    found = improve(space, wide, whole, budget=25, batch=5, **quick)
    process, log = started(broken, .1), broken/'log.jsonl'
    end = time.time()+120
    while len(read_records(log))<first_labels+2 and time.time()<end: time.sleep(.02)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode!=0 and 'KeyboardInterrupt' in error
    before = networks(log)
    assert first_labels+2<=len(before)<25
    process = started(broken, 0)
    out, error = process.communicate(timeout=200)
    assert process.returncode==0 and float(out.split()[-1])==found.table.accuracy[0], error
    after = networks(log)
    assert after[:len(before)]==before and len(set(after))==25
    assert set(after)==set(networks(whole))

troubles = [lambda arch: 1/0, lambda arch: float('nan'), lambda arch: 'good', lambda arch: None, lambda arch: [.5, .6],
            lambda arch: os._exit(3)]

def test_troubles_do_not_stop_it(tmp_path):
    "One network in eight fails, each in another way"
    def fragile(arch):
        number = sum(row['kernel'] for row in arch.rows)+len(arch.rows)
        return troubles[number//8%len(troubles)](arch) if number%8==0 else wide(arch)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', MeasureWarning)
        found = improve(space, fragile, tmp_path/'log.jsonl', budget=24, batch=4, **quick)
    records = read_records(tmp_path/'log.jsonl')
    errors = [record['error'] for record in records if 'error' in record]
    assert len(records)==24 and len(found)+len(errors)==24 and errors
    assert len({record['architecture'] for record in records})==24 # A network that failed is not asked for again

def test_all_fail_then_mended(tmp_path):
    "Where nothing succeeded, everything is tried again when the mistake is mended"
    path = tmp_path/'log.jsonl'
    with pytest.raises(DataError, match='none of 5 measurements succeeded'):
        improve(space, lambda arch: 1/0, path, budget=6, **quick)
    assert len(improve(space, lambda arch: wide(arch), path, budget=6, **quick))==6

def test_other_logs(tmp_path):
    "A log of another space or another function is left alone"
    path = tmp_path/'log.jsonl'
    improve(space, wide, path, budget=4, **quick)
    content = path.read_bytes()
    other = Space('other', [stage])
    with pytest.raises(DataError, match='measurements of another space'): improve(other, wide, path, budget=6, **quick)
    with pytest.raises(DataError, match='measurements of another function'):
        improve(space, networks, path, budget=6, **quick)
    assert path.read_bytes()==content
    (tmp_path/'notes.jsonl').write_text('{"a": 1}\n')
    with pytest.raises(DataError, match="has no 'architecture'"):
        improve(space, wide, tmp_path/'notes.jsonl', budget=6, **quick)

def test_torn_log_and_small_spaces(tmp_path):
    "A torn line is measured again; a space with fewer networks than the budget is measured whole"
    path, tiny = tmp_path/'log.jsonl', Space('tiny', [dict(layers=[1, 2], layer=dict(kernel=[3, 5]))])
    assert len(improve(tiny, wide, path, budget=50, **quick))==6
    path.write_bytes(path.read_bytes()[:-20])
    assert len(improve(tiny, wide, path, budget=50, **quick))==6
    assert len(improve(tiny, lambda arch: 1., tmp_path/'same.jsonl', budget=50, **quick))==6 # Nothing to learn

def test_metrics_that_are_missing(tmp_path):
    "Several metrics need a target; a network without one of them is passed over"
    def some(arch): return dict(speed=wide(arch)) if len(arch.rows)==2 else dict(speed=wide(arch), size=len(arch.rows))
    with pytest.raises(DataError, match='say which to maximise with target'):
        improve(space, some, tmp_path/'log.jsonl', budget=22, **quick)
    found = improve(space, some, tmp_path/'log.jsonl', budget=23, batch=2, target='speed - size', **quick)
    worth = found.table.speed-found.table['size']
    assert worth.notna().all() and worth.is_monotonic_decreasing

def test_quantities_and_conditions(tmp_path):
    "A condition over quantities is kept by the design already"
    nodes = dict(nodes=lambda archs: [len(arch.rows) for arch in archs])
    found = improve(space, wide, tmp_path/'log.jsonl', budget=24, batch=4, where='nodes < 4', quantities=nodes, **quick)
    assert max(len(arch.rows) for arch in found.archs)<4
    with pytest.raises(DataError, match='none of 2,000 networks drawn'):
        improve(space, wide, tmp_path/'none.jsonl', budget=4, where='nodes < 1', quantities=nodes, **quick)

def test_conditions_on_features(tmp_path):
    "A condition on features, words among them, is kept by every network; a wrong one is refused before any measurement"
    worded = Space('worded', [dict(layers=[1, 2], layer=dict(op=['conv', 'pool'], kernel=[3, 5, 7]))]*2)
    path, where = tmp_path/'log.jsonl', 'op[1,1] == "conv" and kernel[2,1] <= 5'
    found = improve(worded, wide, path, budget=23, batch=3, where=where, **quick)
    first = [(arch.stages[0]['layers'][0]['op'], arch.stages[1]['layers'][0]['kernel']) for arch in found.archs]
    assert len(found)==23 and all(op=='conv' and kernel<=5 for op,kernel in first)
    for bad in 'kernal[1,1] == 5', 'kernel[1,1] == 4':
        with pytest.raises(ValueError, match='did you mean|the nearest is'):
            improve(worded, wide, tmp_path/'none.jsonl', budget=23, where=bad, **quick)
    assert not (tmp_path/'none.jsonl').exists()

def test_neighbours_keep_constraints():
    "Neighbours stay in their space; what a constraint ties together changes together"
    tied = Space('tied', [dict(layers=[0, 1, 2], stage=dict(width=[8, 16]), layer=dict(kernel=[3, 5]))]*2,
                 network=dict(size=[32, 64]), constraints=['width[1] == width[2]'])
    parents = tied.sample(10)
    near = neighbours(tied, parents, 100, random.Random(0))
    assert len(near)==100 and all(tied.check(arch)==arch for arch in near)
    apart = [min(differences(parent, arch) for parent in parents) for arch in near]
    assert min(apart)==1 and np.median(apart)<=4
    archs = tied.sample(30)
    assert len(set(propose(np.random.default_rng(0).normal(size=(40, 30)), archs)))==30

def test_ask_and_tell_with_few_labels():
    "Five labels are enough to ask; what is told twice counts once"
    archs = space.sample(12, seed=1)
    data = LabelledData(space, archs, pd.DataFrame(dict(accuracy=list(map(wide, archs)))))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        ab = AutoBuild(ensemble=2, steps=30, warmup=20, contexts=2).fit(data[:5], progress=False)
        assert len({*ab.ask(30).archs}-{*archs[:5]})==30
        ab.tell(data, progress=False)
    assert len(ab.train)==12

"A measurement that is cut off, fails or goes to a cluster loses nothing that was finished."
import json, os, signal, subprocess, sys, time, warnings
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from autobuild import Space
from autobuild.data import DataError
from autobuild.measuring import MeasureWarning, _metrics, append_record, measure, read_measured, read_records
from doors import enter, odd, torn
from test_logs import alive

root = Path(__file__).resolve().parent.parent
stage = dict(layers=[1, 2], layer=dict(kernel=[3, 5]))
space = Space('small', [stage, stage])
archs = space.sample(12, 1)

# A script as a person writes it: nothing around its calls
script = """
import os, sys, time
sys.path.insert(0, {root!r})
{imports}
stage = dict(layers=[1, 2], layer=dict(kernel=[3, 5]))
space = Space('small', [stage, stage])
def f(arch):
    {body}
data = measure(space, space.sample({n}, 1), f, 'log.jsonl', jobs={jobs})
print(len(data))
"""
light = 'from autobuild.spaces import Space; from autobuild.measuring import measure' # Without PyTorch it starts sooner

def listen():
    "Ctrl-C is heard, even where the tests run in a shell's background, which is deaf to it"
    signal.signal(signal.SIGINT, signal.SIG_DFL)

def started(folder, body, n=12, jobs=1, imports=light, **more):
    "A process that measures in a folder"
    text = script.format(root=str(root), body=body, n=n, jobs=jobs, imports=imports)
    (folder/'script.py').write_text(text)
    return subprocess.Popen([sys.executable, 'script.py'], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, preexec_fn=listen, **more)

def wait_for(condition, seconds=60):
    "Wait until something holds"
    end = time.time()+seconds
    while not condition() and time.time()<end: time.sleep(.02)
    assert condition()

marked = """open(f'{time.time()}.started', 'w').close()
    time.sleep(.2)
    open(f'{time.time()}.done', 'w').close()
    return len(arch.rows)"""

def test_killed_again_and_again(tmp_path):
    "kill -9 loses at most what is being measured; what is in the log is never measured again"
    log, kills, jobs = tmp_path/'log.jsonl', 3, 2
    for kill in range(kills):
        before = len(read_records(log))
        process = started(tmp_path, marked, jobs=jobs)
        wait_for(lambda: len(read_records(log))>=before+2)
        time.sleep(.07*kill)
        process.kill()
        process.communicate()
    process = started(tmp_path, marked, jobs=jobs)
    out, error = process.communicate(timeout=120)
    assert out.split()==['12'], error
    keys = [(record['architecture'], record['seed']) for record in read_records(log)]
    assert len(keys)==len(set(keys))==12
    assert len(list(tmp_path.glob('*.done')))<=12+3*kills*jobs # Children notice within half a second

noted = "open(str(os.getpid()), 'w').close(); time.sleep(600)"

@pytest.mark.parametrize('jobs,how', [(2, signal.SIGKILL), (1, signal.SIGINT), (2, signal.SIGINT)])
def test_children_end(tmp_path, jobs, how):
    "After kill -9 and after Ctrl-C nothing goes on"
    process = started(tmp_path, noted, jobs=jobs, start_new_session=True)
    def children(): return [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]
    wait_for(lambda: len(children())==jobs)
    if jobs==2 and how==signal.SIGINT: os.killpg(process.pid, how) # As a terminal does
    else: process.send_signal(how) # As a notebook does
    error = process.communicate(timeout=30)[1]
    assert process.returncode!=0 and (how==signal.SIGKILL or 'KeyboardInterrupt' in error)
    wait_for(lambda: not any(map(alive, children())), 20)
    assert read_records(tmp_path/'log.jsonl')==[] # What was cut off has not failed

writer = """
import sys; sys.path.insert(0, sys.argv[1])
from autobuild.measuring import append_record
for i in range(150): append_record('log.jsonl', number=i, who=sys.argv[2], text='x'*5000)
"""
def test_two_writers(tmp_path):
    "Two processes write to one log at the same time"
    both = [subprocess.Popen([sys.executable, '-c', writer, str(root), who], cwd=tmp_path) for who in 'ab']
    assert [process.wait(120) for process in both]==[0, 0]
    lines = (tmp_path/'log.jsonl').read_text().splitlines()
    found = [(record['who'], record['number']) for record in map(json.loads, lines)]
    assert sorted(found)==[(who, i) for who in 'ab' for i in range(150)]

def test_two_measure_into_one_log(tmp_path):
    public = 'from autobuild import Space, measure'
    both = [started(tmp_path, 'time.sleep(.05); return len(arch.rows)', imports=public) for _ in range(2)]
    assert [process.communicate(timeout=120)[0].split() for process in both]==[['12'], ['12']]
    assert read_measured(tmp_path/'log.jsonl', space).table.architecture.nunique()==12

full = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
""" + script
def test_full_disk(tmp_path, monkeypatch):
    "One sentence, which holds the measurement that could not be written; the rest is there"
    monkeypatch.setitem(globals(), 'script', full)
    process = started(tmp_path, 'return len(arch.rows)')
    errors = [line for line in process.communicate(timeout=60)[1].splitlines() if 'data.DataError:' in line]
    assert process.returncode!=0 and len(errors)==1
    error = errors[0]
    assert 'DataError: file log.jsonl cannot be written: File too large; not kept is {' in error
    kept = read_records(tmp_path/'log.jsonl')
    lost = json.loads(error[error.index('not kept is ')+12:])
    assert len(kept)>1 and lost['architecture'] not in [record['architecture'] for record in kept]
    monkeypatch.undo()
    process = started(tmp_path, 'return len(arch.rows)')
    assert process.communicate(timeout=60)[0].split()==['12']

troubles = {
    "raise KeyError('kernel')": "KeyError: 'kernel' (", 'sys.exit(2)': 'SystemExit: 2',
    'os._exit(3)': 'its process ended', 'os.kill(os.getpid(), 11)': 'its process ended, SIGSEGV',
    'os.abort()': 'its process ended, SIGABRT', 'return': 'accuracy is None', "return 'good'": "accuracy is 'good'",
    "return float('nan')": 'accuracy is nan', 'return [.5, .6]': 'accuracy is [0.5, 0.6]',
    'return {}': 'accuracy is {}', 'return dict(seconds=1)': "cannot be called 'seconds'", 'return time': 'accuracy is',
    'return 1/0': 'ZeroDivisionError', "return dict(a=1, b='x')": "b is 'x'", 'raise Exception': 'Exception'}

def test_every_trouble(tmp_path):
    "Each is recorded as failed, and the networks after it are measured"
    body = '\n    '.join(f"if arch.network['number']=={i}: {act}" for i,act in enumerate(troubles))+'\n    return .5'
    code = script.replace('[stage, stage]', '[stage], dict(number=list(range({n})))')
    code = code.replace('space.sample({n}, 1)', "[f'number={{i}} || kernel=3' for i in range({n})]")
    (tmp_path/'script.py').write_text(code.format(root=str(root), body=body, n=len(troubles)+1, jobs=2, imports=light))
    process = subprocess.run([sys.executable, 'script.py'], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert process.stdout.split()==['1'], process.stderr
    assert f'{len(troubles)} of {len(troubles)+1} measurements failed and are left out' in process.stderr
    said = {record['architecture']: record.get('error', '') for record in read_records(tmp_path/'log.jsonl')}
    for i,part in enumerate(troubles.values()): assert part in said[f'number={i} || kernel=3'], (part, said)
    assert not any('Traceback' in error or len(error)>500 for error in said.values())

def sleeps(arch):
    "A function that starts a process, and both hang"
    code = 'import os, time; open(f"{os.getpid()}.child", "w"); time.sleep(600)'
    subprocess.Popen([sys.executable, '-c', code]).wait()

def test_timeout_ends_all_that_was_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = time.time()
    with pytest.raises(DataError, match='none of 1 measurements succeeded, .* it took more than 2 s'):
        measure(space, archs[:1], sleeps, timeout=2, progress=False)
    assert time.time()-start<30
    wait_for(lambda: not any(alive(int(path.stem)) for path in tmp_path.glob('*.child')), 20)
    assert len(list(tmp_path.glob('*.child')))==1

def test_loading_takes_no_time(tmp_path, monkeypatch):
    "The time in which a process starts and loads libraries is not the network's"
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path/'slow_library.py').write_text('import time\ntime.sleep(2)\ndef f(arch): return 1.')
    from slow_library import f
    assert len(measure(space, archs[:2], f, timeout=1, progress=False))==2
    (tmp_path/'slow_library.py').unlink()
    with pytest.raises(DataError, match="function cannot be unpacked: ModuleNotFoundError: No module named 'slow_lib"):
        measure(space, archs[:3], f, progress=False)

def depth(arch, seed=0): return dict(depth=len(arch.rows), seed_seen=seed)

def check_cluster(folder):
    "Measure with what joblib is configured to; the function travels by value, as that of a script does"
    def depth(arch, seed): return dict(depth=len(arch.rows), seed_seen=seed)
    with warnings.catch_warnings():
        warnings.simplefilter('error', MeasureWarning)
        data = measure(space, archs, depth, folder/'log.jsonl', timeout=60, repeats=2, progress=False)
    assert data.table.depth.tolist()==[len(arch.rows) for arch in archs for _ in range(2)]
    assert data.table.seed_seen.tolist()==data.table.seed.tolist()==[0, 1]*12

@pytest.mark.filterwarnings('ignore')
def test_dask(tmp_path):
    "On a cluster of two processes"
    joblib, distributed = pytest.importorskip('joblib'), pytest.importorskip('distributed')
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        with distributed.Client(cluster), joblib.parallel_config(backend='dask'): check_cluster(tmp_path)

on_ray = """
import joblib, ray
from ray.util.joblib import register_ray
try: ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _node_ip_address='127.0.0.1')
except Exception as e: sys.exit(f'no Ray: {{e}}')
register_ray()
joblib.parallel_config(backend='ray', n_jobs=2)
"""
def test_ray(tmp_path, monkeypatch):
    "On two workers"
    pytest.importorskip('ray')
    before, after = script.split('def f')
    monkeypatch.setitem(globals(), 'script', before+on_ray+'def f'+after)
    process = started(tmp_path, 'return len(arch.rows)', jobs=None)
    out, error = process.communicate(timeout=300)
    if 'no Ray: ' in error: pytest.skip(error[error.index('no Ray: '):])
    assert out.split()==['12'], error
    assert len(read_measured(tmp_path/'log.jsonl', space))==12

def test_idle_child_ends(tmp_path, monkeypatch):
    "A child that has nothing to do ends, and there is a new one when there is something again"
    from autobuild import measuring
    monkeypatch.setattr(measuring, 'idle', .5)
    packed = measuring._packed(lambda arch: os.getpid(), {})
    def pid(): return measuring._attempt(packed, archs[0], {}, 'pid', 5)['pid']
    first = pid()
    assert pid()==first
    wait_for(lambda: not alive(int(first)), 20)
    assert pid()!=first
    measuring._stop()

@given(odd)
def test_measured_values(value): enter('measured value', lambda: _metrics(value, 'accuracy'))

@pytest.fixture(scope='module')
def log(tmp_path_factory):
    "The log of two networks"
    path = tmp_path_factory.mktemp('measured')/'log.jsonl'
    measure(space, archs[:2], depth, path, progress=False)
    return path

names = st.sampled_from('archs f path jobs timeout retries repeats seed metric'.split())

@given(value=odd, name=names)
def test_measure_arguments(log, value, name):
    "Nothing is left to measure, so only arguments are tried"
    if name in ('repeats', 'seed') and isinstance(value, int) and value>2: value = -value
    arguments = dict(dict(archs=archs[:2], f=depth, path=log, progress=False), **{name: value})
    enter('measure', lambda: measure(space, **arguments))

@given(st.data())
@settings(max_examples=100)
def test_damaged_log(log, data):
    path = log.with_name('damaged.jsonl')
    path.write_bytes(data.draw(torn(log.read_bytes())))
    enter('read_measured', lambda: read_measured(path, space))

@given(odd)
def test_design(value):
    few = 2 if isinstance(value, int) and value>10**4 else value
    enter('space.design', lambda: space.design(few))
    enter('space.design', lambda: space.design(2, value))
    enter('space.design', lambda: space.design(2, pool=value))

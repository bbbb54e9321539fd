"Logs and tables of measurements survive being cut off, and a killed measurement leaves no process behind."
import os, signal, subprocess, sys, time
from pathlib import Path

import pandas as pd

benchmarks = Path(__file__).resolve().parent.parent/'benchmarks'
sys.path.insert(0, str(benchmarks))
from logs import append, append_table, done, read, read_table

def test_torn_log(tmp_path):
    "Wherever a log is cut off, what was whole is read, and the next record stands on a line of its own"
    path = tmp_path/'log.jsonl'
    for i in range(3): append(path, number=i, text='ü\n')
    content = path.read_bytes()
    for cut in range(len(content)+1):
        path.write_bytes(content[:cut])
        whole = read(path)
        assert [record['number'] for record in whole]==list(range(len(whole)))
        append(path, number='next')
        assert [record['number'] for record in read(path)]==[*range(len(whole)), 'next']
    path.write_bytes(b'\xff\xfe\n3\n[1]\n'+content)
    assert len(read(path))==3

def test_torn_table(tmp_path):
    "Wherever a table is cut off, also within its head, whole rows are kept, and the next goes in place of the torn one"
    path = tmp_path/'table.csv'
    assert done(path, 'task', 'N')==set() and not len(read_table(path))
    for i in range(3): append_table(path, [dict(task='a, b', N=i, regret=.5+i)])
    content = path.read_bytes()
    for cut in range(len(content)+1):
        path.write_bytes(content[:cut])
        known = done(path, 'task', 'N')
        assert known<={('a, b', i) for i in range(3)}
        append_table(path, [dict(task='next', N=7, regret=.25)])
        assert done(path, 'task', 'N')==known|{('next', 7)}
        assert pd.read_csv(path).regret.tolist()==[.5+i for _,i in sorted(known)]+[.25]

writer = """
import sys; sys.path.insert(0, sys.argv[1])
from logs import append, append_table
for i in range(10**6):
    append(sys.argv[2]+'/log.jsonl', number=i, text='x'*500)
    append_table(sys.argv[2]+'/table.csv', [dict(number=i, text='x'*500)])
"""
def test_killed_writer(tmp_path):
    "A writer that is killed at any time can be started again"
    for _ in range(3):
        process = subprocess.Popen([sys.executable, '-c', writer, str(benchmarks), str(tmp_path)])
        start, size = time.time(), len(read(tmp_path/'log.jsonl'))
        while len(read(tmp_path/'log.jsonl'))<size+20 and time.time()-start<60: time.sleep(.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(read(tmp_path/'log.jsonl'))>=size+20
        assert abs(len(read(tmp_path/'log.jsonl'))-len(read_table(tmp_path/'table.csv', ['number'])))<=3

parent = """
import sys, os, time; sys.path.insert(0, sys.argv[1])
from measure_mnist1d import run_all
def work(folder, i):
    open(f'{folder}/{os.getpid()}', 'w').close()
    time.sleep(600)
if __name__=='__main__': list(run_all(work, [(sys.argv[2], i) for i in range(2)], workers=2))
"""
def test_workers_end_with_parent(tmp_path):
    "Workers of a killed measurement end"
    script, seen = tmp_path/'parent.py', tmp_path/'seen'
    script.write_text(parent)
    seen.mkdir()
    process = subprocess.Popen([sys.executable, str(script), str(benchmarks), str(seen)])
    try:
        start = time.time()
        while len(list(seen.iterdir()))<2 and time.time()-start<120: time.sleep(.1)
        workers = [int(path.name) for path in seen.iterdir()]
        assert len(workers)==2
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    start = time.time()
    while any(map(alive, workers)) and time.time()-start<20: time.sleep(.1)
    assert not any(map(alive, workers))

def alive(pid):
    "Whether a process runs; one that has ended and waits to be collected does not"
    try:
        os.kill(pid, 0)
        state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except ProcessLookupError: return False
    except FileNotFoundError: return not Path('/proc/self').exists()  # without /proc the signal's word must do
    return state!='Z'

"A process that is killed while it saves leaves one whole model."
import os, signal, subprocess, sys, time

import numpy as np

from autobuild import AutoBuild

writer = """
import os, sys
from autobuild import AutoBuild
folder, *paths = sys.argv[1:]
models = [AutoBuild.load(path) for path in paths]
while True: # PyTorch is imported once; each process that is killed is followed by another
    pid = os.fork()
    if not pid:
        while True:
            for model in models: model.save(folder)
    print(pid, flush=True)
    os.waitpid(pid, 0)
"""
def test_killed_save(small_model, small_data, tmp_path):
    "Whenever a process that saves one model over another is killed, one of the two is there, whole"
    other = AutoBuild(ensemble=3, steps=2, warmup=0, contexts=2)
    other._train(small_data[:20], False)
    models, folder = [small_model, other], tmp_path/'model'
    for i,model in enumerate(models): model.save(tmp_path/f'{i}')
    small_model.save(folder)
    process = subprocess.Popen([sys.executable, '-c', writer, folder, tmp_path/'0', tmp_path/'1'],
                               stdout=subprocess.PIPE, text=True, start_new_session=True)
    rng, kills, end, seen = np.random.default_rng(0), 0, time.time()+30, set()
    try:
        while kills<60 and (time.time()<end or kills<5):
            pid = int(process.stdout.readline())
            time.sleep(rng.uniform(0, .08))
            os.kill(pid, signal.SIGKILL)
            kills += 1
            loaded = AutoBuild.load(folder)
            model = next(o for o in models if o.ensemble==loaded.ensemble)
            assert len(loaded.train)==len(model.train)
            np.testing.assert_allclose(loaded.predict(small_data), model.predict(small_data), atol=1e-6)
            seen.add(loaded.ensemble)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    print(f'{kills} kills')
    assert seen=={2, 3}
    other.save(folder)
    assert sorted(o.suffix for o in folder.iterdir())==['.csv', '.json', '.safetensors']

"Settings and models that the tests share."
import os, warnings

import pandas as pd, pytest
from hypothesis import HealthCheck, settings

from doors import outcomes

# The same inputs in every run, whatever the machine's speed
settings.register_profile('doors', max_examples=60, deadline=None, derandomize=True, database=None,
                          suppress_health_check=list(HealthCheck))
settings.load_profile('doors')

def pytest_terminal_summary(terminalreporter):
    "Count the malformed inputs"
    if not outcomes: return
    terminalreporter.section('malformed inputs')
    for door in sorted({door for door,_ in outcomes}):
        counts = ', '.join(f'{outcome} {outcomes[door, outcome]}' for outcome in ('worked', 'refused', 'raw'))
        terminalreporter.write_line(f'{door}: {counts}')
    total = {outcome: sum(n for (_,o),n in outcomes.items() if o==outcome) for outcome in ('worked', 'refused', 'raw')}
    terminalreporter.write_line(f"{sum(total.values())} inputs: {total['worked']} worked, {total['refused']} refused "
                                f"in a sentence, {total['raw']} raw")

@pytest.fixture(scope='session', autouse=True)
def elsewhere(tmp_path_factory):
    "Tests run in a folder of their own, so that a door that writes leaves nothing behind"
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp('elsewhere'))
    yield
    os.chdir(before)

@pytest.fixture(scope='session')
def small_data():
    "36 of the 144 networks of a space of two stages; the kernel, the width and the depth decide the label"
    from autobuild import LabelledData, Quantity, Space
    stage = dict(layers=[1, 2], stage=dict(width=[8, 16]), layer=dict(kernel=[3, 5]))
    space = Space('small', [stage, stage])
    archs = space.sample(36, seed=1)
    accuracy = [sum((r['kernel']==5)+r['width']/32+.1*r['layer'] for r in arch.rows) for arch in archs]
    latency = [sum(r['kernel']*r['width'] for r in arch.rows)/10. for arch in archs]
    params = Quantity(lambda node, source: node['kernel']*node['width'])
    table = pd.DataFrame(dict(accuracy=accuracy, latency=latency))
    return LabelledData(space, archs, table, 'small', dict(params=params))

def fitted(data, device='cpu'):
    "A model that is fitted in a second or two"
    from autobuild import AutoBuild
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return AutoBuild(ensemble=2, steps=60, warmup=20, contexts=2, device=device).fit(data, progress=False)

@pytest.fixture(scope='session')
def small_model(small_data):
    "A model that is fitted in a second"
    return fitted(small_data)

"The same labels give the same model, whatever is around."
import sys, threading, warnings

import numpy as np, pytest, torch

from autobuild import AutoBuild

def fitted(data):
    "A small model"
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return AutoBuild(ensemble=2, steps=40, warmup=10, contexts=2).fit(data, progress=False)

def same(one, other, data):
    "Whether two models predict, explain and build the same"
    np.testing.assert_allclose(one.predict(data), other.predict(data), atol=1e-5)
    np.testing.assert_allclose(one.module_scores(1), other.module_scores(1), atol=1e-5)
    assert one.heldout.round(5).equals(other.heldout.round(5))
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        assert one.construct(5, progress=False).archs==other.construct(5, progress=False).archs
    return True

@pytest.fixture(scope='module')
def model(small_data): return fitted(small_data)

def test_order_of_rows(model, small_data):
    order = np.random.default_rng(1).permutation(len(small_data))
    assert same(model, fitted(small_data[order]), small_data)

def test_random_state(model, small_data):
    "The global random numbers change nothing, and are not used up"
    torch.manual_seed(5), np.random.seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    assert same(model, fitted(small_data), small_data)
    assert (torch.get_rng_state()==before[0]).all() and (np.random.get_state()[1]==before[1]).all()

def test_threads(model, small_data):
    "Four threads at once"
    found = [None]*4
    def work(i): found[i] = AutoBuild(ensemble=2, steps=40, warmup=10, contexts=2); found[i]._train(small_data, False)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    for other in found: np.testing.assert_allclose(model.predict(small_data), other.predict(small_data), atol=1e-5)

def test_without_torchsort(model, small_data, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchsort', None)
    assert same(model, fitted(small_data), small_data)

"What the tools of the site promise, without building it"
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'tools'))
import browser, check, pages

@pytest.mark.parametrize('text', ['the ratio that was wanted', 'one module a stage', '7371 modules a stage.',
                                  'It is seperate', 'to leverage labels', 'a normalized norm'])
def test_banned(text): assert check.banned.search(text)

@pytest.mark.parametrize('text', ['one module per stage', 'each stage has a width', 'which architecture',
                                  'a hop 1 norm', 'a module of two layers'])
def test_allowed(text): assert not check.banned.search(text)

def test_code_is_no_prose():
    "Names in code and targets of links may be spelt as they are"
    text = 'Read `wanted`, [a page](60_normalization.ipynb) and $normalized$'
    assert not check.banned.search(check.not_prose.sub(' ', text))

def test_every_public_name_has_a_page():
    where = pages.addresses()
    assert where['AutoBuild.fit']=='estimator.html#autobuild.fit'
    assert where['read_data'].startswith('data.html#')

def test_an_example_is_a_cell_that_calls():
    cells = [('a.ipynb', 'A', 'x = measure(space)'), ('b.ipynb', 'B', 'remeasure(1)')]
    found = pages.example('measure', cells)
    assert 'x = measure(space)' in found and '[A](a.ipynb)' in found and 'b.ipynb' not in found

def test_complaints():
    "A request that leaves the machine is one, what is at hand is none"
    def request(url): return dict(method='Network.requestWillBeSent', params=dict(request=dict(url=url)))
    assert list(browser.complaints([request('https://fonts.example/a.css'), request('data:text/css,a')]))==[
        'asks the network for https://fonts.example/a.css']

def test_no_browser_is_said(monkeypatch):
    monkeypatch.setattr(browser, 'chromium', lambda: None)
    found, skipped = browser.check()
    assert not found and 'no Chromium' in skipped

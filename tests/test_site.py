"What the tools of the site promise, without building it"
import json, re, sys
from pathlib import Path

import autobuild
import matplotlib.pyplot as plt
import pytest
from autobuild.datasets import dataset_registry

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'tools'))
import browser, check, pages

@pytest.mark.parametrize('text', ['the ratio that was wanted', 'one module a stage', '7371 modules a stage.',
                                  'to leverage labels'])
def test_banned(text): assert check.banned.search(text)

def test_spelling():
    "Slips and American words are found where they stand, British ones are right"
    pieces = [('a page', 'It is seperate, the programme and its colour'), ('a function', 'a normalized\nnorm')]
    found = check.misspelt(pieces)
    assert found==['a page: seperate ==> separate', 'a function: normalized ==> normalised']

@pytest.mark.parametrize('text', ['one module per stage', 'each stage has a width', 'which architecture',
                                  'a hop 1 norm', 'a module of two layers'])
def test_allowed(text): assert not check.banned.search(text)

def test_code_is_no_prose():
    "Names in code and targets of links may be spelt as they are"
    text = 'Read `wanted`, [a page](60_normalization.ipynb) and $normalized$'
    assert not check.banned.search(check.not_prose.sub(' ', text))

def test_every_public_name_has_a_place():
    "In the index of the reference, and every page of it an example"
    assert not pages.without_purpose()
    names = ' '.join(pages.purposes.values()).split()
    assert len(names)==len(set(names)) and all(map(pages.address, names))
    assert set(pages.examples())==set(filter(pages.has_page, names))
    assert pages.places()['AutoBuild.fit'][0]=='estimator.html#autobuild.fit'

def test_a_page_of_the_reference():
    "What to call, a table of parameters, what comes out, an example, what leads on"
    page = pages.reference('read_data', ['read_data', 'LabelledData'])
    assert "read_data(path, space, column='architecture'" in page
    assert "| `column` | `str` | `'architecture'` | The column or field with the architecture |" in page
    assert '**Returns** `LabelledData`: One row per line of the file' in page
    assert '[LabelledData](reference_LabelledData.md)' in page and '[Labelled data](data.html#read_data)' in page
    assert '**Raises** `DataError` where' in pages.reference('measure', [])
    assert '### construct\n' in pages.reference('AutoBuild', [])

fits, small = {}, dict(ensemble=2, contexts=1, steps=10, warmup=5, width=4, hops=2)
class Small(autobuild.AutoBuild):
    "Fits of a moment, made once for all examples that ask for the same"
    def __init__(self, *args, **settings):
        super().__init__(*args, **small|settings)

    def fit(self, data, *options, **more):
        key = str(self.target), self.readout, data.space.name, data.table.to_csv()
        if key not in fits: fits[key] = super().fit(data, *options, **more)
        return fits[key]

def run_code(code, folder, monkeypatch):
    "Run an example as it stands, in a folder of its own, with small fits; what it registers is forgotten"
    monkeypatch.setattr(autobuild, 'AutoBuild', Small)
    monkeypatch.setattr('autobuild.loop.AutoBuild', Small)
    monkeypatch.chdir(folder)
    tables = autobuild.readouts, dataset_registry
    before = list(map(set, tables))
    exec(compile(code, 'example', 'exec'), {'__name__': 'example'})
    plt.close('all')
    for table,known in zip(tables, before):
        for new in set(table)-known: del table[new]

@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', list(pages.examples()))
def test_examples_of_the_reference(name, tmp_path, monkeypatch):
    run_code(pages.examples()[name], tmp_path, monkeypatch)

def printed(page):
    "The Python that the prose of a page prints, each piece for a fresh notebook"
    cells = json.loads((pages.root/'nbs'/page).read_text(encoding='utf-8'))['cells']
    text = '\n'.join(''.join(o['source']) for o in cells if o['cell_type']=='markdown')
    return re.findall(r'^```python\n(.*?)^```', text, re.M|re.S)

@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('page, number', [('index', 0), ('index', 1), ('index', 2), ('04_questions', 0)])
def test_what_pages_print_runs(page, number, tmp_path, monkeypatch):
    run_code(printed(f'{page}.ipynb')[number], tmp_path, monkeypatch)

def test_complaints():
    "A request that leaves the machine is one, what is at hand is none"
    def request(url): return dict(method='Network.requestWillBeSent', params=dict(request=dict(url=url)))
    assert list(browser.complaints([request('https://fonts.example/a.css'), request('data:text/css,a')]))==[
        'asks the network for https://fonts.example/a.css']

def test_no_browser_is_said(monkeypatch):
    monkeypatch.setattr(browser, 'chromium', lambda: None)
    found, skipped = browser.check()
    assert not found and 'no Chromium' in skipped

"Pages that are made while the site is built: a gallery of all pictures, and the reference, one page per public name."
import base64, io, json, re
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import autobuild
from autobuild._modidx import d
from entries import bare, call, row, summary, tables
from readme import join, root

shown_elsewhere = re.compile(r'^#\s*\|\s*(export|include:\s*false|default_exp)|nbdev_export', re.M)
alt_text = re.compile(r'^#\s*\|\s*fig-alt:\s*"?(.+?)"?\s*$', re.M)

# What one wants to do -> names
purposes = {
    'Describe what can be built':
        'Space Space.from_json Space.size Space.sample Architecture Architecture.parse Quantity',
    'Bring labels': 'read_data LabelledData LabelledData.sample LabelledData.target datasets load_dataset',
    'Read networks that have no space': 'Architecture.from_torch Architecture.from_onnx operation_space',
    'Measure': 'Space.design measure',
    'Learn, and see how far to trust it': """AutoBuild AutoBuild.fit AutoBuild.evaluate AutoBuild.diagnose
        AutoBuild.enough AutoBuild.predict AutoBuild.members AutoBuild.rank""",
    'See what matters': """AutoBuild.effects AutoBuild.explained AutoBuild.explain AutoBuild.feature_importance
        AutoBuild.modules AutoBuild.module_scores AutoBuild.node_importance AutoBuild.block_profile AutoBuild.mine
        AutoBuild.fidelity""",
    'Build': 'AutoBuild.construct AutoBuild.construct_front AutoBuild.equations AutoBuild.reduced_space',
    'Go on measuring': 'improve AutoBuild.ask AutoBuild.tell',
    'Make a trained network smaller': 'compression_space replace_one',
    'Draw': """plot_effects plot_features plot_pairs plot_explanation plot_architecture plot_predictions plot_built
        plot_shift report plot_graph graph_html""",
    'Keep': 'AutoBuild.save AutoBuild.load LabelledData.to_csv LabelledData.to_jsonl Space.to_json',
    'Extend': 'readouts register_dataset AutoBuild.predictor AutoBuild.space',
    'When something is refused': """SpaceError DataError DatasetError TargetError StoreError NetworkError
        AutoBuildWarning MeasureWarning"""}

def front(title, about): return f'---\ntitle: {title}\n---\n\n> {about}\n\n'

def title_of(notebook):
    "A notebook's title, from its first cell or its front matter"
    text = '\n'.join(join(cell['source']) for cell in notebook['cells'][:2])
    return re.search(r'^(?:# |title: *)(.+)$', text, re.M)[1].strip('\'"')

def pictures(notebook):
    "(alternative text, PNG) of every picture of a notebook that has words"
    for cell in notebook['cells']:
        words = alt_text.search(join(cell['source']))
        for out in cell.get('outputs', []):
            if words and 'image/png' in out.get('data', {}): yield words[1], join(out['data']['image/png'])

def thumbnail(png, path):
    "Keep a picture, not wider than it is shown"
    from PIL import Image
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert('RGB')
    picture.thumbnail((640, 640))
    picture.save(path, optimize=True)

def gallery(staged):
    "Write `gallery.md`: every picture of the site, each a link to its page"
    folder, parts = staged/'images/gallery', []
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(staged.glob('*.ipynb')):
        notebook = json.loads(source.read_text(encoding='utf-8'))
        found = list(pictures(notebook))
        if found: parts.append(f'## {title_of(notebook)}\n')
        for i,(words,png) in enumerate(found):
            name = f'{source.stem}_{i}.png'
            thumbnail(png, folder/name)
            words = words.translate(str.maketrans('[]', '()')).replace('\\"', "'")
            parts.append(f'[![{words}](images/gallery/{name}){{.thumbnail}}]({source.name})')
        parts.append('')
    about = 'All pictures of these pages; each leads to the page that explains it and has the code that draws it'
    (staged/'gallery.md').write_text(front('Gallery', about)+'\n'.join(parts), encoding='utf-8')

@lru_cache
def places():
    "Name -> (where the site explains it, its module): `AutoBuild.fit` -> (estimator.html#autobuild.fit, ...)"
    pairs = ((module, name, url) for module,names in d['syms'].items() for name,(url,_) in names.items())
    return {name.removeprefix(f'{module}.'): (url, module) for module,name,url in pairs}

@lru_cache
def examples():
    "Name -> its example, which tests/test_site.py runs"
    parts = re.split(r'^#%% (\w+)$', (root/'tools/examples.py').read_text(encoding='utf-8'), flags=re.M)[1:]
    return dict(zip(parts[::2], map(str.strip, parts[1::2])))

@lru_cache
def shown_code():
    "(file, title, code of the cells that it shows and that no module holds) of each notebook"
    found = []
    for source in sorted((root/'nbs').glob('*.ipynb')):
        notebook = json.loads(source.read_text(encoding='utf-8'))
        code = [join(o['source']) for o in notebook['cells'] if o['cell_type']=='code']
        found.append((source.name, title_of(notebook), '\n'.join(o for o in code if not shown_elsewhere.search(o))))
    return found

def users(name):
    "Links to the pages that use a name"
    calls = re.compile(rf'(?<![\w.]){name}(\(|\.[a-z_]+\(|\[)')
    return ', '.join([f'[{title}]({file})' for file,title,code in shown_code() if calls.search(code)][:8])

def home(name):
    "The module to import a name from"
    return 'autobuild' if name in autobuild.__all__ else places()[name][1]

def symbol_of(name):
    "What a name stands for; a method as its class gives it, a property as it is"
    kind, _, last = name.rpartition('.')
    if not kind: return getattr(import_module(home(last)), last)
    found = vars(symbol_of(kind))[last]
    return found if isinstance(found, property) else getattr(symbol_of(kind), last)

@lru_cache
def titles():
    "Page of the site -> title, of the pages that are notebooks"
    return {re.sub(r'^\d+_|[.]ipynb$', '', file)+'.html': title for file,title,_ in shown_code()}

def explained(name):
    "A link to the entry of a name, on the page that explains it"
    url = places()[name][0] if name in places() else f'{name}.html'
    return f"[{titles()[url.partition('#')[0]]}]({url})"

def methods(name):
    "A section per public method of a class: how to call it, its parameters, what comes out, where it is explained"
    parts = []
    for attribute in sorted(vars(symbol_of(name))):
        method = f'{name}.{attribute}'
        if attribute[0]=='_' or method not in places() or not bare(symbol_of(method)).__doc__: continue
        symbol = symbol_of(method)
        code = '' if isinstance(symbol, property) else f'```python\n{call(attribute, symbol)}\n```'
        parts += [f'### {attribute}', f'{summary(symbol)[0]}. Examples: {explained(method)}.', code, tables(symbol)]
    return ['## Methods and properties', *parts] if parts else []

def reference(name, related):
    "The page of one public name"
    value, code = symbol_of(name), f'from {home(name)} import {name}'
    if callable(value): about, code = summary(value)[0], f'{code}\n\n{call(name, value)}'
    else: about = f'A dictionary; its keys are {", ".join(map(str, value))}'
    parts = [f'```python\n{code}\n```', tables(value) if callable(value) else '']
    parts += ['## Example', f'```python\n{examples()[name]}\n```']
    if isinstance(value, type): parts += methods(name)
    others = [f'[{o}]({address(o)})' for o in related if o!=name]
    lines = [f'Explained on: {explained(name)}', 'Related: '+', '.join(others), f'Used on: {users(name)}',
             'All names: [by purpose](names.md)']
    parts += ['## See also', '\n'.join(f'- {line}' for line in lines if not line.endswith(': '))]
    return front(name, about)+'\n\n'.join(filter(None, parts))+'\n'

def has_page(name):
    "Whether a name has a page of its own: a method stands on that of its class, and an error needs none"
    return '.' not in name and not re.search('(Error|Warning)$', name)

def address(name):
    "Where the reference has a name"
    kind, _, method = name.rpartition('.')
    if kind: return f'reference_{kind}.md#{method}'
    return f'reference_{name}.md' if has_page(name) else places()[name][0]

def without_purpose():
    "Public names, and public methods of `AutoBuild`, that no purpose lists"
    driven = {f'AutoBuild.{o}' for o in vars(autobuild.AutoBuild) if o[0]!='_'} & set(places())
    return sorted({*autobuild.__all__, *driven}-{'__version__', *' '.join(purposes.values()).split()})

def names(staged):
    "Write `names.md`, the public names by purpose, and a page for each"
    if missing := without_purpose(): raise ValueError(f"`purposes` in tools/pages.py lacks {', '.join(missing)}")
    parts = []
    for purpose,group in purposes.items():
        parts += [f'## {purpose}\n', row('name', 'what it is'), '|---|---|']
        for name in group.split():
            value = symbol_of(name)
            about = 'The read-outs by name' if isinstance(value, dict) else summary(value)[0]
            parts.append(row(f'[`{name}`]({address(name)})', about))
            if has_page(name):
                (staged/address(name)).write_text(reference(name, group.split()), encoding='utf-8')
        parts.append('')
    about = 'What the package gives, by what you want to do; each name leads to its parameters, an example, its methods'
    (staged/'names.md').write_text(front('Names by purpose', about)+'\n'.join(parts), encoding='utf-8')

def sidebar(staged):
    "Enter the pages in the staged sidebar"
    path = staged/'_quarto.yml'
    text = path.read_text(encoding='utf-8')
    for after,page in (('04_questions.ipynb', 'gallery.md'), ('- architecture.ipynb', 'names.md')):
        added = f'{after}, {page}' if after[0]!='-' else f'- {page}\n          {after}'
        if text.count(after)!=1: raise ValueError(f'_quarto.yml names {after!r} {text.count(after)} times, not once')
        text = text.replace(after, added)
    path.write_text(text, encoding='utf-8')

def write(staged):
    "All pages that are made, in the folder that nbdev prepared"
    staged = Path(staged)
    gallery(staged)
    names(staged)
    sidebar(staged)

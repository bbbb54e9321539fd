"Pages that are made from the others while the site is built: a gallery of all pictures, and an entry per public name."
import base64, io, json, re
from pathlib import Path

import autobuild
from autobuild._modidx import d
from readme import directive, join, root

shown_elsewhere = re.compile(r'^#\s*\|\s*(export|include:\s*false|default_exp)|nbdev_export', re.M)
alt_text = re.compile(r'^#\s*\|\s*fig-alt:\s*"?(.+?)"?\s*$', re.M)

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

def addresses():
    "Where the site explains each name: `AutoBuild.fit` -> estimator.html#autobuild.fit"
    pairs = ((module, name, url) for module,names in d['syms'].items() for name,(url,_) in names.items())
    return {name.removeprefix(f'{module}.'): url for module,name,url in pairs}

def methods(name, kind, where):
    "A table of the public methods of a class that have an entry"
    rows = []
    for attribute,value in sorted(vars(kind).items()):
        url, value = where.get(f'{name}.{attribute}'), getattr(value, '__func__', getattr(value, 'fget', None) or value)
        if attribute[0]=='_' or not url or not value.__doc__: continue
        about = value.__doc__.strip().splitlines()[0].replace('|', r'\|')
        rows.append(f'| [{attribute}]({url}) | {about} |')
    return '\n'.join(['', '| method | what it does |', '|---|---|', *rows, '']) if rows else ''

def code_cells():
    "(file, title, code) of the cells that pages show and that no module holds"
    for source in sorted((root/'nbs').glob('*.ipynb')):
        notebook = json.loads(source.read_text(encoding='utf-8'))
        for cell in notebook['cells']:
            code = join(cell['source'])
            if cell['cell_type']=='code' and not shown_elsewhere.search(code):
                yield source.name, title_of(notebook), directive.sub('', code).strip()

def example(name, cells):
    "A short cell that calls a name, and the pages that do"
    calls = re.compile(rf'(?<![\w.]){name}(\(|\.[a-z_]+\(|\[)')
    found = [(file, title, code) for file,title,code in cells if calls.search(code)]
    plain = [o for o in found if not re.search(r'assert|test_|def |class ', o[2]) and o[2].count('\n')<8]
    links = dict((file, f'[{title}]({file})') for file,title,_ in found)
    if not found: return ''
    pages = f'Used on: {", ".join(list(links.values())[:8])}\n'
    if not plain: return pages
    file, title, code = min(plain, key=lambda o: abs(len(o[2])-160))
    return f'For example, on the page [{title}]({file}):\n\n```python\n{code}\n```\n\n{pages}'

def names(staged, entry):
    "Write `names.md`: an entry per public name, with what leads on; `entry` gives a name's signature"
    where, parts, cells = addresses(), [], list(code_cells())
    for name in sorted(set(autobuild.__all__)-{'__version__'}, key=str.lower):
        value, home = getattr(autobuild, name), where.get(name)
        parts.append(f'## {name}\n')
        if callable(value):
            parts.append(f'{value.__doc__.strip().splitlines()[0]}.\n')
            parts.append(f'```python\nfrom autobuild import {name}\n\n{entry(value).signature()}\n```\n')
        else: parts.append(f'A table, `{", ".join(map(str, value))}`: `from autobuild import {name}`.\n')
        if isinstance(value, type): parts.append(methods(name, value, where))
        home = home or f'{getattr(value, "__name__", name).split(".")[-1]}.html'
        parts += [example(name, cells), f'See also: [how it works]({home})\n']
    about = 'What `from autobuild import ...` gives: signature, parameters, methods, and where each is explained'
    (staged/'names.md').write_text(front('Public names', about)+'\n'.join(parts), encoding='utf-8')

def sidebar(staged):
    "Enter the pages in the staged sidebar"
    path = staged/'_quarto.yml'
    text = path.read_text(encoding='utf-8')
    for after,page in (('04_questions.ipynb', 'gallery.md'), ('- architecture.ipynb', 'names.md')):
        added = f'{after}, {page}' if after[0]!='-' else f'- {page}\n          {after}'
        if text.count(after)!=1: raise ValueError(f'_quarto.yml names {after!r} {text.count(after)} times, not once')
        text = text.replace(after, added)
    path.write_text(text, encoding='utf-8')

def write(staged, entry):
    "All pages that are made, in the folder that nbdev prepared"
    staged = Path(staged)
    gallery(staged)
    names(staged, entry)
    sidebar(staged)

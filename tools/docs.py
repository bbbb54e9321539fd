"""Build the site into `_docs` without Quarto or a network. With `SITE_URL=https://...`, a sitemap is written too.

nbdev prepares the notebooks, smalldocs renders them, math-core sets the maths. What a notebook exports has its entry
(name, signature, comments, docstring) where its cell stands: functions, classes, and each method with `@patch`.
A method written in its class's own cell gets one from a cell with `show_doc(Space.check)`."""
import html, os, re, shutil, sys
from collections import Counter
from importlib import import_module
from pathlib import Path

root = Path(__file__).resolve().parent.parent
if sys.version_info<(3,11): sys.exit('The site is built by smalldocs, which needs Python 3.11 or later.')

import nbdev.serve
from fastcore.basics import AttrDict
from math_core import LatexToMathML
from nbdev.config import get_config
from nbdev.processors import FilterDefaults, exec_show_docs
from nbdev.process import Processor
from smalldocs.config import load
from smalldocs.site import Site

import autobuild, pages
from entries import Entry

tex = re.compile(r'(<span class="math (inline|display)">)\\[(\[](.+?)\\[)\]]</span>', re.S)
fonts = re.compile(r'@import url\(["\']?https?:[^)]*\);')
# nbdev links a name to the function of that name; these names are words of other things far more often
words = 'fit|evaluate|modules|construct|demo|main|candidates|verdict|context'
unlinked = re.compile(rf'<a href="[a-z_]*\.html#(?:_\w+|{words})">(<code>[^<]*</code>)</a>')
expected = re.compile(r'html-math-method is ignored|output-file is not read|filters') # All are done here

class Entries(Processor):
    "Fill the cells with `show_doc` from the modules themselves, so that no cell runs and no type is `__main__.Space`"
    def begin(self):
        home = [o.directives_['default_exp'] for o in self.nb.cells if 'default_exp' in o.directives_]
        self.names = {o: getattr(autobuild, o) for o in autobuild.__all__}
        for o in home: self.names |= vars(import_module(f'autobuild.{o}'))

    def cell(self, cell):
        if cell.cell_type!='code' or not re.search('^show_doc', cell.source, re.M): return
        shown = []
        def show_doc(symbol, **options): shown.append(Entry(symbol, **options)._repr_markdown_())
        exec(cell.source, {**self.names, 'show_doc': show_doc})
        data = AttrDict({'text/markdown': '\n\n'.join(shown)})
        cell.outputs = [AttrDict(output_type='display_data', metadata={}, data=data)]

class Processors(FilterDefaults):
    "nbdev's steps, with our entries in place of its own"
    def base_procs(self): return [Entries if o is exec_show_docs else o for o in super().base_procs()]

class NbdevSite(Site):
    "A site whose pages bear the names that nbdev gives them: 00_spaces.ipynb becomes spaces.html"
    def read(self, src):
        page = super().read(src)
        page.out = page.out.with_name(page.front.get('output-file', page.out.name))
        return page

    def find_page(self, target):
        return super().find_page(target) or next((p for p in self.pages.values() if p.out==target), None)

    def render_page(self, page):
        super().render_page(page)
        page.env['math'] = False # Or else the page would load KaTeX

def typeset(text):
    "Replace each formula of a page by MathML, which browsers draw by themselves"
    conv = LatexToMathML()
    def mathml(m):
        drawn = conv.convert_with_local_state(html.unescape(m[3]), displaystyle=m[2]=='display')
        return f'{m[1]}{drawn}</span>'
    return tex.sub(mathml, text)

def lead(text):
    "Entries before the first section of a page become sections, so that no level of headings is left out"
    head, main, body = text.partition('<main')
    until = body.find('<h2')
    first, rest = (body, '') if until<0 else (body[:until], body[until:])
    return head+main+re.sub(r'<(/?)h3\b', r'<\1h2', first)+rest

def rewrite(files, f):
    for p in files: p.write_text(f(p.read_text(encoding='utf-8')), encoding='utf-8')

def build():
    "Prepare, render, set the maths, and put the result in place"
    os.chdir(root)
    nbdev.serve.FilterDefaults = Processors
    staged = nbdev.serve.proc_nbs(n_workers=0, force=True)
    pages.write(staged)
    project = load(staged)
    if address := os.environ.get('SITE_URL'): project.website['site-url'] = address # A sitemap needs it
    site = NbdevSite(project, quiet=True)
    site.build()
    names = Counter(str(p.out) for p in site.pages.values())
    twice = [o for o,n in names.items() if n>1]
    if twice: sys.exit(f"{', '.join(twice)}: two notebooks make this page, since a page's name leaves out the number")
    rewrite(site.out.rglob('*.html'), lambda text: unlinked.sub(r'\1', lead(typeset(text))))
    rewrite(site.out.rglob('*.css'), lambda t: fonts.sub('', t))
    index = (site.out/'search.json').read_text(encoding='utf-8') # In the script, or else search would need a web server
    fetch, found = 'await fetch(offset + "search.json")', f'{{json: () => {index}}}'
    rewrite([site.out/'site_libs/smalldocs.js'], lambda t: t.replace(fetch, found))
    dest = get_config().doc_path
    shutil.rmtree(dest, ignore_errors=True)
    shutil.move(site.out, dest)
    for o in site.warnings:
        if not expected.search(o): print('warning:', o, file=sys.stderr)
    print(f'{len(site.pages)} pages in {dest.relative_to(root)}')

if __name__=='__main__': build()

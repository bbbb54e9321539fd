"Build the site into `_docs` without Quarto or a network: nbdev prepares the notebooks, smalldocs renders them, math-core sets the maths."
import html, os, re, shutil, sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
if sys.version_info<(3,11): sys.exit('The site is built by smalldocs, which needs Python 3.11 or later.')

from math_core import LatexToMathML
from nbdev.config import get_config
from nbdev.serve import proc_nbs
from smalldocs.config import load
from smalldocs.site import Site

tex = re.compile(r'(<span class="math (inline|display)">)\\[(\[](.+?)\\[)\]]</span>', re.S)
fonts = re.compile(r'@import url\(["\']?https?:[^)]*\);')
source = re.compile(r'\[source\]\(/blob/[^)]*\)(\{[^}]*\})?') # Leads nowhere while the project has no public address
expected = re.compile(r'html-math-method is ignored|output-file is not read') # Both are done here

class NbdevSite(Site):
    "A site whose pages bear the names that nbdev gives them: 00_spaces.ipynb becomes spaces.html"
    def read(self, src):
        page = super().read(src)
        page.out = page.out.with_name(page.front.get('output-file', page.out.name))
        page.body = source.sub('', page.body)
        return page

    def find_page(self, target):
        return super().find_page(target) or next((p for p in self.pages.values() if p.out==target), None)

    def render_page(self, page):
        super().render_page(page)
        page.env['math'] = False # Or else the page would load KaTeX

def typeset(text):
    "Replace each formula of a page by MathML, which browsers draw by themselves"
    conv = LatexToMathML()
    def mathml(m): return m[1]+conv.convert_with_local_state(html.unescape(m[3]), displaystyle=m[2]=='display')+'</span>'
    return tex.sub(mathml, text)

def rewrite(files, f):
    for p in files: p.write_text(f(p.read_text(encoding='utf-8')), encoding='utf-8')

def build():
    "Prepare, render, set the maths, and put the result in place"
    os.chdir(root)
    staged = proc_nbs(n_workers=2, force=True)
    site = NbdevSite(load(staged), quiet=True)
    site.build()
    rewrite(site.out.rglob('*.html'), typeset)
    rewrite(site.out.rglob('*.css'), lambda t: fonts.sub('', t))
    index = (site.out/'search.json').read_text(encoding='utf-8') # In the script, or else search would need a web server
    rewrite([site.out/'site_libs/smalldocs.js'], lambda t: t.replace('await fetch(offset + "search.json")', f'{{json: () => {index}}}'))
    dest = get_config().doc_path
    shutil.rmtree(dest, ignore_errors=True)
    shutil.move(site.out, dest)
    for o in site.warnings:
        if not expected.search(o): print('warning:', o, file=sys.stderr)
    print(f'{len(site.pages)} pages in {dest.relative_to(root)}')

if __name__=='__main__': build()

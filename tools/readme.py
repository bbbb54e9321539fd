"Make README.md from nbs/index.ipynb: its prose, its code and the text of its outputs."
import json, re
from pathlib import Path

root = Path(__file__).resolve().parent.parent
hidden = re.compile(r'^#\s*\|\s*(hide\b|include:\s*false|export)', re.M)
directive = re.compile(r'^#\s*\|.*\n?', re.M)
# a link or an image whose target is neither an address, nor an anchor, nor absolute
local = re.compile(r'(\]\(|src="|href=")(?![a-z]+:|#|/)')

def join(lines): return lines if isinstance(lines, str) else ''.join(lines)

def fence(text, lang=''): return f'```{lang}\n{text.rstrip()}\n```'

def output(out):
    "The text of one output; pictures have none"
    data = out.get('data', {})
    if 'text/markdown' in data: return join(data['text/markdown']).strip()
    text = join(out.get('text') or data.get('text/plain', ''))
    return fence(text.strip('\n')) if text.strip() and not any(k.startswith('image/') for k in data) else ''

def markdown(cell):
    "One cell as Markdown, or nothing when it is hidden"
    src = join(cell['source'])
    if cell['cell_type']=='markdown': return local.sub(r'\1nbs/', src).strip()
    if cell['cell_type']!='code' or hidden.search(src): return ''
    code = '' if re.search(r'echo:\s*false', src) else directive.sub('', src)
    return '\n\n'.join(filter(None, [code.strip() and fence(code.strip(), 'python'), *map(output, cell['outputs'])]))

def readme():
    "The whole text of README.md"
    cells = json.loads((root/'nbs/index.ipynb').read_text(encoding='utf-8'))['cells']
    return '\n\n'.join(filter(None, map(markdown, cells))) + '\n'

if __name__=='__main__': (root/'README.md').write_text(readme(), encoding='utf-8')

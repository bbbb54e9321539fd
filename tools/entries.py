"What the site says of a function, class, method or property: its signature, and tables of what goes in and comes out."
import inspect, re
from fastcore.docments import MarkdownRenderer, docments, empty

# Signatures name types as the code does: `pd.DataFrame`, `nn.Module`, `Path`; and no type that nobody wrote
plain = [(r'(?<=\w)\._\w+(?=\.)', ''), (r'\bpandas\.(\w+\.)*(?=[A-Z])', 'pd.'),
         (r'\btorch\.nn\.(\w+\.)*(?=[A-Z])', 'nn.'), (r'\bnumpy\.', 'np.'),
         (r'(?<![\w.])(?!pd\.|nn\.|np\.)([a-z_]\w*\.)+(?=[A-Z])', ''), (r':(NoneType|function)(?==)', '')]

def shortened(code):
    "Code with its types as one would write them"
    for long,short in plain: code = re.sub(long, short, code)
    return code

def name_types(f):
    "Let types in quotes (their library is imported late) stand as they are written, since nothing can evaluate them"
    types = getattr(f, '__annotations__', {})
    types |= {k: type(o, (), dict(__module__='builtins')) for k,o in types.items() if isinstance(o, str)}

def bare(symbol):
    "The function in a property, or in a method of a class"
    return getattr(symbol, '__func__', getattr(symbol, 'fget', None) or symbol)

class Entry(MarkdownRenderer):
    "What a page shows of a function, class, method or property where its cell stands"
    def __init__(self, symbol, **options):
        for o in symbol, getattr(symbol, '__init__', None), getattr(symbol, 'fget', None): name_types(o)
        super().__init__(symbol, **options)
        self.symbol = symbol

    def signature(self):
        "The signature as Python, with the comments of its parameters; private parameters left out"
        lines = [o.partition(' # ') for o in str(self.dm).splitlines() if not o.startswith('    _')]
        text = '\n'.join(''.join([shortened(code), *comment]) for code,*comment in lines)
        if isinstance(self.symbol, type): text = re.sub('^def ', 'class ', text).replace(')->None:', '):')
        if isinstance(self.symbol, property): text = f'@property\n{text}'
        if isinstance(getattr(self.symbol, '__self__', None), type): text = f'@classmethod\n{text}'
        return text

    def _repr_markdown_(self):
        title = self.nm.replace('_', r'\_') # Or else the name of `__len__` would be bold
        words = f'\n\n*{self.docs}*' if self.docs and '\n' not in self.docs else f'\n\n{self.docs}'
        return f"---\n\n{'#'*self.title_level} {title}\n\n```python\n{self.signature()}\n```{words}"

def summary(symbol):
    "(what it does, what it raises) from the first line of a docstring"
    line = bare(symbol).__doc__.strip().splitlines()[0]
    about, *raises = re.split(r'(?:^|; )[Rr]aises ', line)
    return about, ''.join(raises)

def call(name, symbol):
    "How to call it: names and defaults; their types stand in the table"
    if isinstance(symbol, property): return name
    signature = inspect.signature(symbol)
    shown = [o.replace(annotation=o.empty) for o in signature.parameters.values()
             if o.name not in ('self', 'cls') and o.name[0]!='_']
    return name+shortened(str(signature.replace(parameters=shown, return_annotation=signature.empty)))

def type_text(kind):
    "A type as the code names it; nothing where nobody wrote one"
    if kind in (empty, None, type(None), type(call)): return ''
    if not isinstance(kind, type) or hasattr(kind, '__args__'): return shortened(str(kind))
    return shortened(kind.__name__ if kind.__module__=='builtins' else f'{kind.__module__}.{kind.__name__}')

def row(*cells): return '| '+' | '.join(str(o).replace('|', r'\|') for o in cells)+' |'

def coded(text): return f'`{text}`' if text else ''

def tables(symbol):
    "Markdown on what goes in, what comes out, and what is raised"
    name_types(bare(symbol))
    found = docments(symbol if callable(symbol) else bare(symbol), full=True, args_kwargs=True)
    out = found.pop('return')
    stars = {inspect.Parameter.VAR_POSITIONAL: '*', inspect.Parameter.VAR_KEYWORD: '**'}
    rows = [row(coded(stars.get(o.kind, '')+name), coded(type_text(o.anno)), default(o), o.docment or '')
            for name,o in found.items() if name not in ('self', 'cls') and name[0]!='_']
    parts = ['\n'.join([row('parameter', 'type', 'default', 'what it is'), '|---|---|---|---|', *rows])] if rows else []
    gives = [coded(type_text(out.anno)), out.docment]
    if any(gives): parts.append(f"**Returns** {': '.join(filter(None, gives))}")
    if raises := summary(symbol)[1]: parts.append(f'**Raises** {raises}')
    return '\n\n'.join(parts)

def default(parameter):
    "The value that a parameter has when it is left out"
    if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD): return ''
    return 'required' if parameter.default is inspect.Parameter.empty else coded(shortened(repr(parameter.default)))

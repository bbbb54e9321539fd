"""Look at every page of the site in headless Chromium: no error, no request to the network, nothing cut, axe's rules.

Needs Chromium (Debian: `apt-get install chromium`) and the package websocket-client, which JupyterLab brings. The
rules for people who cannot see or use a mouse are those of axe-core: `npm install --no-save axe-core` in the project's
folder. What is missing is skipped with a sentence. `python tools/browser.py gnn` looks at the pages whose names contain
gnn; a page that fails leaves a picture in `_failed`."""
import base64, json, os, shutil, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import Request, urlopen

root = Path(__file__).resolve().parent.parent
axe_file = root/'node_modules/axe-core/axe.min.js'
views = [(1440, 'light'), (1440, 'dark'), (390, 'light')] # Width of the window, theme

# What is wider than its place. What scrolls in a box of its own, reached by keyboard too, is fine, unless it is code.
find_cut = r"""(() => {
  const cut = [...document.querySelectorAll('main pre')].filter(o => o.scrollWidth>o.clientWidth+1 && o.clientWidth)
  const code = cut.filter(o => o.closest('.sourceCode'))
  const boxes = [...document.querySelectorAll('main *')].filter(o => o.clientWidth && o.scrollWidth>o.clientWidth+1
    && /auto|scroll|hidden/.test(getComputedStyle(o).overflowX) && o.tabIndex<0 && !o.closest('svg, math'))
  const wide = document.documentElement.scrollWidth-document.documentElement.clientWidth
  return {code: code.length, blocks: document.querySelectorAll('main pre').length, wide,
          unreached: boxes.map(o => o.tagName+'.'+o.className+' '+o.textContent.trim().slice(0, 40))}
})()"""
rules = {(1440, 'light'): ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'], (1440, 'dark'): ['color-contrast'],
         (390, 'light'): ['scrollable-region-focusable', 'color-contrast']} # In what views differ; all takes minutes
run_axe = """axe.run({runOnly: RULES, resultTypes: ['violations']}).then(found =>
  found.violations.filter(o => ['serious', 'critical'].includes(o.impact) || o.id=='heading-order').map(o =>
    o.id+' ('+o.nodes.length+'): '+o.nodes[0].target.join(' ')+' '+(o.nodes[0].any[0]||{message: ''}).message))"""

def chromium(): return next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)

class Browser:
    "One tab of headless Chromium, spoken to through its DevTools protocol"
    def __init__(self, program):
        import websocket
        self.folder = tempfile.mkdtemp()
        flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0', '--no-first-run',
                 '--disable-background-networking', '--remote-allow-origins=*', f'--user-data-dir={self.folder}']
        self.process = subprocess.Popen([program, *flags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port_file = Path(self.folder)/'DevToolsActivePort'
        until = time.time()+60
        while not (port_file.exists() and port_file.read_text()):
            if time.time()>until: raise RuntimeError('Chromium did not start within a minute')
            time.sleep(.1)
        host = f'127.0.0.1:{port_file.read_text().split()[0]}'
        tab = json.load(urlopen(Request(f'http://{host}/json/new', method='PUT')))
        self.socket = websocket.create_connection(tab['webSocketDebuggerUrl'], timeout=120)
        self.sent, self.events = 0, []
        for domain in 'Page', 'Runtime', 'Network', 'Log': self.send(f'{domain}.enable')

    def send(self, method, **params):
        "The result of one command; events that come before it are kept"
        self.sent += 1
        self.socket.send(json.dumps(dict(id=self.sent, method=method, params=params)))
        while True:
            message = json.loads(self.socket.recv())
            if message.get('id')==self.sent: return message.get('result', message)
            self.events.append(message)

    def value(self, script):
        "What a piece of JavaScript says"
        found = self.send('Runtime.evaluate', expression=script, awaitPromise=True, returnByValue=True)
        if 'exceptionDetails' in found: raise RuntimeError(str(found['exceptionDetails'])[:300])
        return found['result'].get('value')

    def open(self, page, width, theme):
        "Load a page in a window of some width"
        metrics = dict(width=width, height=900, deviceScaleFactor=1, mobile=width<600)
        self.send('Emulation.setDeviceMetricsOverride', **metrics)
        self.send('Emulation.setEmulatedMedia', features=[dict(name='prefers-color-scheme', value=theme)])
        self.events = []
        self.send('Page.navigate', url=page.as_uri())
        while not any(o.get('method')=='Page.loadEventFired' for o in self.events):
            self.events.append(json.loads(self.socket.recv()))
        self.value('new Promise(done => setTimeout(done, 120))') # The theme is marked a moment after loading

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

def complaints(events):
    "Errors of the console, and requests that leave the machine"
    for event in events:
        name, said = event.get('method'), event.get('params', {})
        if name=='Runtime.exceptionThrown': yield f"script error: {said['exceptionDetails'].get('text', '')}"
        if name=='Log.entryAdded' and said['entry']['level']=='error': yield f"error: {said['entry']['text']}"
        if name=='Runtime.consoleAPICalled' and said['type']=='error': yield f"console error: {said['args'][:1]}"
        if name=='Network.requestWillBeSent' and said['request']['url'].startswith('http'):
            yield f"asks the network for {said['request']['url']}"

def looked_at(browser, page, width, theme, axe):
    "(what is wrong with a page in one view, how many blocks of code are cut, how many blocks there are)"
    browser.open(page, width, theme)
    bad, shape = list(complaints(browser.events)), browser.value(find_cut)
    if shape['wide']>1: bad.append(f"wider than the window by {shape['wide']} pixels")
    bad += [f'scrolls but cannot be reached by keyboard: {o}' for o in shape['unreached'][:3]]
    if width>1000 and shape['code']: bad.append(f"{shape['code']} blocks of code are cut")
    if axe:
        browser.value(axe)
        bad += browser.value(run_axe.replace('RULES', json.dumps(rules[width, theme])))
    return bad, shape['code'], shape['blocks']

def keep_picture(browser, name):
    (root/'_failed').mkdir(exist_ok=True)
    picture = browser.send('Page.captureScreenshot', format='png', captureBeyondViewport=False)
    (root/'_failed'/f'{name}.png').write_bytes(base64.b64decode(picture['data']))

def look(program, axe, pages):
    "(what is wrong, how many blocks of code are cut at the narrow width, how many there are), in a browser of its own"
    bad, cut, blocks, browser = [], 0, 0, Browser(program)
    try:
        for page in pages:
            for width,theme in views:
                found, code, total = looked_at(browser, page, width, theme, axe)
                if width<1000: cut, blocks = cut+code, blocks+total
                bad += [f'{page.name} at {width} px, {theme}: {o}' for o in found]
                if found: keep_picture(browser, f'{page.stem}-{width}-{theme}')
    finally: browser.close()
    return bad, cut, blocks

def check(site=root/'_docs', only=''):
    "(what is wrong, what was not checked and why), over all pages; two browsers share them"
    program = chromium()
    if not program: return [], 'no Chromium here: pages were not looked at'
    try: import websocket
    except ImportError: return [], 'no websocket-client here: pages were not looked at'
    axe = axe_file.read_text(encoding='utf-8') if axe_file.exists() else ''
    pages = [page for page in sorted(site.glob('*.html')) if only in page.name]
    with ThreadPoolExecutor(2) as pool:
        shares = pool.map(lambda share: look(program, axe, share), [pages[::2], pages[1::2]])
    bad, cut, blocks = (sum(part, start) for part,start in zip(zip(*shares), ([], 0, 0)))
    if blocks and cut>blocks/20: bad.append(f'{cut} of {blocks} blocks of code are cut at 390 px; one in twenty may be')
    return sorted(bad), '' if axe else 'no axe-core here (npm install --no-save axe-core): its rules were not checked'

if __name__=='__main__':
    start = time.time()
    bad, skipped = check(only=sys.argv[1] if len(sys.argv)>1 else '')
    print(*bad, *filter(None, [skipped]), f'{len(bad)} findings, {time.time()-start:.0f}s', sep='\n')
    sys.exit(bool(bad))

"Append-only logs of long measurements: one JSON object a line, written as soon as it is measured."
import json

def read(path):
    "Every whole line of a log; a line torn by a crash is left out"
    out = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try: out.append(json.loads(line))
        except json.JSONDecodeError: pass
    return out

def append(path, **record):
    "Add one line"
    with open(path, 'a') as f: f.write(json.dumps(record)+'\n')

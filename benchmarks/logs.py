"Records of long measurements, JSON lines and CSV tables: written as soon as measured, and readable after any crash."
import csv, io
from pathlib import Path

import pandas as pd

from autobuild.measuring import append_record as append, read_records as read # Of logs, as `measure` has them

def read_table(path, columns=()):
    "The whole rows of a CSV table, or none under these columns; a row without its line break may be torn: left out"
    content = Path(path).read_bytes() if Path(path).exists() else b''
    whole = content[:content.rfind(b'\n')+1].decode(errors='replace')
    rows = [row for row in csv.reader(io.StringIO(whole)) if row]
    if not rows: return pd.DataFrame(columns=list(columns))
    text = io.StringIO()
    csv.writer(text).writerows(row for row in rows if len(row)==len(rows[0]))
    text.seek(0)
    return pd.read_csv(text)

def done(path, *keys):
    "What a table has rows of already, as a set of tuples"
    return set(read_table(path, keys)[list(keys)].itertuples(index=False, name=None))

def append_table(path, rows, digits=6):
    "Add rows, a list of dictionaries, to a CSV table in place of a torn last line; an empty table gets its head first"
    with open(path, 'a+b') as file: # what is written goes to the end, wherever the file was read
        file.seek(0)
        whole = file.read().rfind(b'\n')+1
        file.truncate(whole)
        file.write(pd.DataFrame(rows).round(digits).to_csv(header=not whole, index=False, lineterminator='\n').encode())

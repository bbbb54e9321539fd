"Malformed tables of labelled architectures."
import json

import pandas as pd
from hypothesis import given, settings, strategies as st

from autobuild.data import LabelledData, read_data
from autobuild.spaces import Space
from doors import damaged, enter, json_values, objects, odd, texts, torn

space = Space('data', [dict(layers=[1, 2], layer=dict(kernel=[3, 5], op=['conv', 'a,"b"'])), dict(layers=[0, 1])])
archs = space.sample(6, seed=1)
frame = pd.DataFrame(dict(architecture=[str(arch) for arch in archs], accuracy=[.1, .2, .3, .4, .5, .6],
                          params=range(6), note=list('abcdef')))
table = frame.to_csv(index=False)
lines = frame.to_json(orient='records', lines=True)

def use(data):
    "What a user does with data first"
    assert len(data)==len(data.archs)==len(data.table)
    repr(data), data._repr_html_(), data.repeats(), data.metrics
    data[0], data[:2], data.sample(1)
    if 'accuracy' in data.table: enter('data.target', lambda: data.target('accuracy'))

def read(tmp, content):
    (tmp/'file').write_bytes(content if isinstance(content, bytes) else content.encode('utf-8', 'surrogatepass'))
    use(read_data(tmp/'file', space))

@given(st.one_of(torn(table, (*texts, ',', '"', ';', '\t', '\r', '0,5', '71 %', '10**400')), torn(table.encode())))
@settings(max_examples=150)
def test_csv(tmp_path_factory, content): enter('CSV', lambda: read(tmp_path_factory.getbasetemp(), content))

@given(st.one_of(torn(lines, (*texts, '{', '}', ':', ',', 'null', 'NaN', '1e999', '[')), torn(lines.encode())))
@settings(max_examples=150)
def test_jsonl(tmp_path_factory, content): enter('JSONL', lambda: read(tmp_path_factory.getbasetemp(), content))

@given(damaged([dict(zip(frame, row)) for row in frame.values.tolist()]))
def test_json_rows(tmp_path_factory, rows):
    if not isinstance(rows, list): rows = [rows]
    enter('JSONL', lambda: read(tmp_path_factory.getbasetemp(), '\n'.join(map(json.dumps, rows))))

@given(odd)
def test_sources(value):
    enter('read_data', lambda: read_data(value, space))
    enter('read_data', lambda: read_data(frame, value))
    enter('read_data', lambda: read_data(frame, space, value))
    enter('read_data', lambda: use(read_data(frame, space, quantities=value)))
    enter('DataFrame', lambda: LabelledData.from_frame(space, value))
    enter('LabelledData', lambda: use(LabelledData(space, archs, value)))
    enter('LabelledData', lambda: use(LabelledData(space, value, frame)))

cells = st.one_of(odd, st.sampled_from(objects), st.sampled_from(archs), st.sampled_from([a.config for a in archs]))

@given(st.sampled_from([*frame]), st.lists(cells, min_size=6, max_size=6), st.integers(0, 6))
@settings(max_examples=150)
def test_frame(column, values, kept):
    "A column is replaced from some row on"
    values = [*frame[column][:kept], *values[kept:]]
    changed = frame.assign(**{column: pd.Series(values, dtype=object)})
    data = enter('DataFrame', lambda: LabelledData.from_frame(space, changed))
    if data is not None: enter('DataFrame', lambda: use(data))

@given(st.sampled_from([*objects, *texts]), st.sampled_from(range(4)))
def test_frame_names(name, number):
    names = [*frame]
    names[number] = name
    changed = frame.set_axis(pd.Index(names, dtype=object), axis=1)
    enter('DataFrame', lambda: use(LabelledData.from_frame(space, changed)))

data = LabelledData(space, archs, frame)

@given(odd)
def test_methods(value):
    enter('data[...]', lambda: data[value])
    enter('data.sample', lambda: data.sample(value))
    enter('data.sample', lambda: data.sample(2, value))
    enter('data.target', lambda: data.target(value))
    enter('data.with_columns', lambda: use(data.with_columns(accuracy=value)))
    enter('data.to_csv', lambda: data.to_csv(value) if not isinstance(value, str) else None)

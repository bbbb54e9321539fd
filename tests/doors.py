"What every door of the package promises, and malformed inputs to hold it to that."
import copy, linecache, math, resource, signal, sys, time, warnings
from collections import Counter
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np, pandas as pd, torch
from hypothesis import strategies as st

seconds, gigabytes = 20, 2 # What one input may take
outcomes = Counter() # (door, outcome) -> number of inputs
refusal = object() # What a call gives that has seen the refusal itself

def enter(door, call):
    "Give a door one input: `call` works, or is refused in a sentence of ours; gives what it returns, or None"
    before, start = peak(), time.time()
    try: result, outcome = within_limits(call), 'worked'
    except Exception as error:
        result, outcome, complaint = None, 'refused', complaint_about(error)
        if complaint:
            outcomes[door, 'raw'] += 1
            raise AssertionError(f'{door}: {complaint}') from error
    if result is refusal: result, outcome = None, 'refused'
    outcomes[door, outcome] += 1
    assert time.time()-start<seconds, f'{door}: it took {time.time()-start:.0f} s'
    assert peak()-before<gigabytes, f'{door}: it took {peak()-before:.1f} GB'
    return result

def complaint_about(error):
    "What is wrong with an error that a user sees; None if nothing is"
    if not isinstance(error, ValueError): return f'{type(error).__name__} is no ValueError'
    place = error.__traceback__
    while place.tb_next: place = place.tb_next
    frame = place.tb_frame
    module, line = frame.f_globals['__name__'], linecache.getline(frame.f_code.co_filename, place.tb_lineno)
    if not module.startswith('autobuild.'): return f'it is raised in {module}'
    if 'raise ' not in line: return f'Python raises it, in {module}: {line.strip()}'
    text = str(error)
    if len(text.split())<3 or len(text)>3000 or 'Traceback' in text: return f'{text[:200]!r} is no sentence'

def peak():
    "The largest amount of memory that this process had, in GB"
    unit = 2**30 if sys.platform=='darwin' else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/unit

def within_limits(call):
    "What `call` returns; TimeoutError after `seconds`, and an error for every warning that is not ours"
    from autobuild.estimator import AutoBuildWarning
    def ring(*_): raise TimeoutError(f'not done after {seconds} s')
    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            warnings.simplefilter('ignore', AutoBuildWarning)
            return call()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)

numbers = [0, 1, -1, 2, 3, 7, .5, -.5, 1e-320, 1e308, -1e308, 10**9, 10**19, 10**400,
    math.nan, math.inf, -math.inf, True, False]
texts = ['', ' ', 'a', 'layers', 'stage', 'kernel', '-', '1', 'nan', 'ü', '\0', '\ud800', '1e999', 'a'*500, '(',
    '"', '\n']
plain = st.one_of(st.none(), st.sampled_from(numbers), st.sampled_from(texts), st.text(max_size=5), st.integers(-9, 99))
# What JSON can hold
names = st.one_of(st.sampled_from(texts), st.text(max_size=3))
def nested(part): return st.one_of(st.lists(part, max_size=3), st.dictionaries(names, part, max_size=3))
json_values = st.recursive(plain, nested, max_leaves=5)
# What only Python has
objects = [
    np.int64(2), np.float32(.5), np.nan, np.bool_(True), np.array(3), np.array([1, 2]), np.zeros((2, 2)),
    np.array(['a']), np.array([None]), torch.tensor(2), torch.zeros(2), pd.NA, pd.NaT, pd.Series([1, 2]),
    pd.DataFrame(dict(a=[1])), Decimal('NaN'), Decimal(2), Fraction(1, 2), 1j, b'a', bytearray(b'a'), {1},
    frozenset('a'), range(3), (0., .5), (1, 2), object(), int, len, lambda *_: 0, iter([1]), Path('a'), slice(1),
    Ellipsis, {1: 2}, {None: None}, [[]], [{}], [None]]
odd = st.one_of(json_values, st.sampled_from(objects).map(copy.deepcopy)) # Some of them change when they are used

@st.composite
def damaged(draw, value, values=json_values):
    "A copy of nested lists and dictionaries in which some part is changed, renamed, repeated or left out"
    out = copy.deepcopy(value)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        places = list(slots(out))
        if not places: return draw(values)
        holder, key = draw(st.sampled_from(places))
        act = draw(st.sampled_from(['set', 'set', 'delete', 'other']))
        if act=='set': holder[key] = draw(values)
        elif act=='delete': del holder[key]
        elif isinstance(holder, dict): holder[draw(st.sampled_from(texts))] = holder.pop(key)
        else: holder.append(holder[key])
    return out

def slots(value):
    "(holder, key) of every part of nested lists and dictionaries"
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from slots(value[key])

@st.composite
def torn(draw, text, pieces=tuple(texts)):
    "Text or bytes that are cut, mixed up, or hold what does not belong there"
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        start, end = sorted(draw(st.tuples(*[st.integers(0, len(text))]*2)))
        piece = draw(st.sampled_from(pieces)) if isinstance(text, str) else draw(st.binary(max_size=4))
        act = draw(st.sampled_from(['cut', 'insert', 'replace', 'repeat', 'end', 'one']))
        if act=='cut': text = text[:start]+text[end:]
        elif act=='insert': text = text[:start]+piece+text[start:]
        elif act=='replace': text = text[:start]+piece+text[end:]
        elif act=='repeat': text = text[:end]+text[start:]
        elif act=='end': text = text[:start]
        else: text = text[:start]+piece+text[start+1:]
    return text

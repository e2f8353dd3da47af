"""Damaged and odd JSON: what is mended, by how much it may differ from the sound text, and what is said about it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from profkit.errors import InputError
from profkit.trace.events import Trace
from profkit.trace.options import Detail, ReadOptions
from profkit.trace.reading import mending
from profkit.trace.reading.mend_errors import mend_at_errors
from profkit.trace.reading.mend_text import BrokenError, Mender, UnfinishedError
from profkit.trace.reading.reader import parse, read, write_mended
from tests.conftest import ROOT, event, trace_json

DAMAGED = ROOT / "tests/data/damaged"
FIRST = '{"ph":"X","cat":"cpu_op","name":"a","pid":1,"tid":1,"ts":1,"dur":2}'
LEFT_OUT = "value that is not a number, left out"
TEXT = "text instead of a number"
Counts = dict[str, int]


def with_field(name: str, value: str) -> bytes:
    """A trace of which the second span has this JSON in one of its fields."""
    fields = {
        "ph": '"X"',
        "cat": '"cpu_op"',
        "name": '"b"',
        "pid": "1",
        "tid": "1",
        "ts": "20",
        "dur": "5",
        name: value,
    }
    record = ",".join(f'"{key}":{text}' for key, text in fields.items())
    return f'{{"traceEvents":[{FIRST},{{{record}}}]}}'.encode()


def with_argument(name: str, value: str) -> bytes:
    return with_field("args", f'{{"{name}":{value}}}')


def times(trace: Trace) -> list[tuple[int, int]]:
    return list(zip(trace.events.start_ns.tolist(), trace.events.duration_ns.tolist(), strict=True))


def same(one: Trace, other: Trace) -> bool:
    """Whether two traces have the same spans with the same names, tracks and times."""

    def rows(trace: Trace) -> list[object]:
        e = trace.events
        names = [
            (trace.names[n], trace.categories[c], trace.tracks[t])
            for n, c, t in zip(e.name, e.category, e.track, strict=True)
        ]
        return [*zip(names, times(trace), e.index.tolist(), strict=True)]

    return rows(one) == rows(other) and one.other_events == other.other_events


@pytest.mark.parametrize("name", ["ts", "dur"])
@pytest.mark.parametrize(
    ("value", "ns", "repairs"),
    [
        ("1e3", 1_000_000, {}),
        ("12.3456789", 12_346, {}),
        ("0.0004", 0, {}),
        ("-0.0", 0, {}),
        ('"123.4"', 123_400, {TEXT: 1}),
        ('"1e3"', 1_000_000, {TEXT: 1}),
        ('" 7 "', 7_000, {TEXT: 1}),
        ('"1778574212345678.123"', 1_778_574_212_345_678_123, {TEXT: 1}),
        ('"12.0000000000000000000000000000000000000001"', 12_000, {TEXT: 1}),
        ("1e-99999999999", 0, {}),
        ("NaN", None, {"value that is not JSON, such as inf or nan": 1}),
        ('"nan"', None, {LEFT_OUT: 1}),
        ('"inf"', None, {LEFT_OUT: 1}),
        ('"1_000"', None, {LEFT_OUT: 1}),
        ('"0x10"', None, {LEFT_OUT: 1}),
        ('""', None, {LEFT_OUT: 1}),
        ("1e400", None, {LEFT_OUT: 1}),
        ("1e99999999999", None, {LEFT_OUT: 1}),
        ('"1e99999999999999999999999999"', None, {LEFT_OUT: 1}),
        ("true", None, {LEFT_OUT: 1}),
        ("[]", None, {LEFT_OUT: 1}),
        ("{}", None, {LEFT_OUT: 1}),
        ("9" * 5_000, None, {"integer beyond 64 bits": 1}),
        ("-" + "9" * 5_000, None, {"integer beyond 64 bits": 1}),
        ("9" * 5_000 + ".5", None, {LEFT_OUT: 1}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_times_of_any_kind(name: str, value: str, ns: int | None, repairs: Counts) -> None:
    trace = parse(with_field(name, value), "t")
    assert trace.repairs == repairs
    if ns is None:
        assert times(trace) == [(1_000, 2_000)]
        assert trace.anomalies == {{"ts": "no_start", "dur": "no_duration"}[name]: 1}
    else:
        place = {"ts": 0, "dur": 1}[name]
        assert times(trace)[1][place] == (ns if name == "ts" else min(ns, 365 * 86_400 * 10**9))


@pytest.mark.parametrize(
    ("name", "value", "track", "repairs"),
    [
        ("tid", "7.0", (1, 7), {"id of another type": 1}),
        ("tid", "1e3", (1, 1_000), {"id of another type": 1}),
        ("tid", "7.5", (1, "7.5"), {"id of another type": 1}),
        ("tid", "null", (1, 0), {"id of another type": 1}),
        ("tid", "[1]", (1, "[1]"), {"id of another type": 1}),
        ("pid", "true", ("true", 1), {"id of another type": 1}),
        ("pid", "1e99999999999", ("1e99999999999", 1), {"id of another type": 1}),
        ("pid", '"python"', ("python", 1), {}),
        ("pid", "9" * 25, ("9" * 25, 1), {}),
        ("pid", "9" * 5_000, ("9" * 5_000, 1), {"id of another type": 1}),
    ],
    ids=lambda value: str(value)[:20],
)
def test_ids_of_any_kind(name: str, value: str, track: tuple[object, object], repairs: Counts) -> None:
    trace = parse(with_field(name, value), "t")
    assert trace.tracks[-1] == track
    assert trace.repairs == repairs
    assert times(trace) == [(1_000, 2_000), (20_000, 5_000)]


@pytest.mark.parametrize(
    ("text", "repairs"),
    [
        (with_field("name", "5"), {"number instead of a text": 1}),
        (with_field("name", "null"), {"value that is not a text": 1}),
        (with_field("name", '"\\ud800"'), {"half of a surrogate pair in a string": 1}),
        (with_field("args", "null"), {}),
        (with_field("args", "[]"), {"args that are not an object, left out": 1}),
        (with_field("args", '"x"'), {"args that are not an object, left out": 1}),
        (with_field("args", '{"a":{"b":[1]}}'), {}),
        (with_argument("Ev Idx", "null"), {}),
        (with_argument("Ev Idx", '"5"'), {TEXT: 1}),
        (with_argument("Ev Idx", "1.5"), {"fraction instead of a whole number": 1}),
        (with_argument("Ev Idx", "9" * 5_000), {"integer beyond 64 bits": 1}),
        (with_argument("correlation", "1e99999999999"), {LEFT_OUT: 1}),
        (with_argument("External id", '"x"'), {LEFT_OUT: 1}),
        (with_argument("Input Dims", "5"), {}),
        (with_argument("Call stack", "5"), {"value that is not a text, left out": 1}),
        (with_argument("other", "9" * 5_000), {}),
        (with_argument("\\u0045v Idx", "5"), {}),
    ],
    ids=lambda value: str(value)[-60:],
)
def test_other_fields_of_any_kind(text: bytes, repairs: Counts) -> None:
    trace = parse(text, "t")
    assert trace.repairs == repairs
    assert times(trace) == [(1_000, 2_000), (20_000, 5_000)]


@pytest.mark.parametrize("record", ["null", "5", '"x"', "true", "[]", f"[{FIRST}]"])
def test_a_record_that_is_no_event(record: str) -> None:
    trace = parse(f'{{"traceEvents":[{FIRST},{record},{FIRST}]}}'.encode(), "t")
    assert times(trace) == [(1_000, 2_000)] * 2
    assert trace.repairs == {"record that is not an event, left out": 1}


OTHER = FIRST.replace('"a"', '"b"')
SECOND = "second list of events, ignored"
IGNORED = "byte after the end of the trace, ignored"


@pytest.mark.parametrize(
    ("text", "repairs"),
    [
        (f'{{"traceEvents":[{FIRST}],"traceEvents":[{OTHER}]}}', {SECOND: 1}),
        (f'{{"traceEvents":[{FIRST}],"tr\\u0061ceEvents":[{OTHER}]}}', {SECOND: 1}),
        (f'{{"traceEvents":[{FIRST},{{"traceEvents":[{OTHER}]}}]}}', {SECOND: 1}),
        (f'{{"traceEvents":[{FIRST}]}}{{"traceEvents":[{OTHER}]}}', {SECOND: 1, IGNORED: 85}),
        (f'{{"traceEvents":[{FIRST}]}}\n{{"traceEvents":[{OTHER}]}}\n', {SECOND: 1, IGNORED: 85}),
        (f"[{FIRST}]\n[{OTHER}]", {IGNORED: 69}),
        (f'{{"traceEvents":[{FIRST}]}}]}}}}]', {IGNORED: 4}),
        (f'{{"a":{{"traceEvents":[{OTHER}]}},"traceEvents":[{FIRST}]}}', {}),
        (f'{{"a":{{"traceEvents":null}},"traceEvents":[{FIRST}]}}', {}),
        (f'{{"a":[{{"traceEvents":[{FIRST}]}}]}}', {"list of events inside another object": 1, IGNORED: 2}),
    ],
)
def test_the_list_of_events_is_the_first_one_of_the_file(text: str, repairs: Counts) -> None:
    trace = parse(text.encode(), "t")
    assert trace.names == ("a",)
    assert times(trace) == [(1_000, 2_000)]
    assert trace.repairs == repairs


@pytest.mark.parametrize(
    "key", ["tr\\u0061ceEvents", "\\u0074raceEvent\\u0073", "traceEvents" + '"' + " " * 5_000 + ':"']
)
def test_any_spelling_of_the_name_of_the_list(key: str, tmp_path: Path) -> None:
    """It is one key in JSON."""
    text = f'{{"{key}": [{FIRST}]}}'.replace(':"": ', ": ")
    path = tmp_path / "a.json"
    path.write_text(text)
    assert json.loads(text)["traceEvents"]
    trace = read(path)
    assert times(trace) == [(1_000, 2_000)]
    assert trace.repairs == {}


@pytest.mark.parametrize(
    "text", ["5", "null", '"x"', "{}", f"{FIRST}\n{FIRST}\n", '{"traceEvents":5}', '{"traceEvents":{}}']
)
def test_json_that_is_no_trace_is_refused_in_words(text: str) -> None:
    with pytest.raises(InputError, match="not a PyTorch trace"):
        parse(text.encode(), "t")


HUGE = "9" * 5_000
DEEP = "[" * 3_000 + "]" * 3_000


@pytest.mark.parametrize("name", ["profkit", "deviceProperties", "distributedInfo", "host_name", "baseTimeNanoseconds"])
@pytest.mark.parametrize("value", [HUGE, f'{{"a":{HUGE}}}', f"[{HUGE}]", "[1e400]", DEEP, '{"a":inf}'])
@pytest.mark.parametrize("form", ['{{{0},"traceEvents":[{1}]}}', '{{"traceEvents":[{1}],{0}}}'])
def test_damaged_members_beside_the_events(name: str, value: str, form: str) -> None:
    trace = parse(form.format(f'"{name}":{value}', FIRST).encode(), "t")
    assert times(trace) == [(1_000, 2_000)]
    assert trace.repairs


# the same content, whatever is damaged beside it


@st.composite
def exact_events(draw: st.DrawFn) -> list[str]:
    """The JSON of spans at epoch times with up to three decimals, as PyTorch writes them."""
    records = []
    for number in range(draw(st.integers(1, 12))):
        start = draw(st.integers(1_778_574_212_000_000_000, 1_778_574_219_000_000_000))
        duration = draw(st.integers(0, 10**9))
        time = {"ts": f"{start // 1000}.{start % 1000:03}", "dur": f"{duration // 1000}.{duration % 1000:03}"}
        name = draw(st.sampled_from(["aten::mm", "a\\\\b", "é", "x" * 40]))
        records.append(
            f'{{"ph": "X", "cat": "cpu_op", "name": "{name}", "pid": 1, "tid": {draw(st.integers(1, 2))}, '
            f'"ts": {time["ts"]}, "dur": {time["dur"]}, "args": {{"Ev Idx": {number}}}}}'
        )
    return records


def quoted(record: str, field: str) -> str:
    before, after = record.split(f'"{field}": ', 1)
    value, rest = after.split(",", 1)
    return f'{before}"{field}": "{value}",{rest}'


DAMAGES: dict[str, Callable[[str], str]] = {
    "a start as text": lambda record: quoted(record, "ts"),
    "a duration as text": lambda record: quoted(record, "dur"),
    "a float tid": lambda record: record.replace(', "ts"', '.0, "ts"'),
    "an index as text": lambda record: record.replace('"Ev Idx": ', '"External id": "5", "Ev Idx": '),
    "a bare inf": lambda record: record.replace('"args": {', '"args": {"speed": inf, '),
    "a trailing comma": lambda record: record.replace("}}", "},}"),
    "a raw tab": lambda record: record.replace('"args": {', '"args": {"note": "a\tb", '),
    "a raw newline": lambda record: record.replace('"args": {', '"args": {"note": "a\nb", '),
    "a backslash": lambda record: record.replace('"args": {', '"args": {"path": "C:\\data", '),
    "a quote": lambda record: record.replace('"args": {', '"args": {"note": "say "this" now", '),
    "a huge integer": lambda record: record.replace('"args": {', '"args": {"correlation": ' + "9" * 30 + ", "),
}


@pytest.mark.parametrize("damage", DAMAGES)
@given(records=exact_events(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_one_damaged_event_changes_no_number(damage: str, records: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(records) - 1))
    broken = [*records[:place], DAMAGES[damage](records[place]), *records[place + 1 :]]
    assert broken != records
    texts = [('{"traceEvents": [' + ", ".join(part) + "]}").encode() for part in (records, broken)]
    sound, mended = (parse(text, "t") for text in texts)
    assert sound.repairs == {}
    assert sum(mended.repairs.values()) >= 1
    assert same(sound, mended)


def test_one_value_of_another_type_leaves_every_time_exact() -> None:
    one, other = (read(DAMAGED / name) for name in ("epoch-times-and-a-float-tid.json", "epoch-times.json"))
    assert times(one) == times(other)
    assert times(one)[0] == (1_778_574_212_345_678_123, 100_511)


def test_the_size_of_the_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bracket behind the end: all events go the mending way, in pieces of a few, and are those of the strict way."""
    source = sorted((ROOT / "traces").glob("2.0/resnet50/*.json.gz"))[0]
    text = gzip.decompress(source.read_bytes())
    strict = parse(text, "t")
    for size in (1 << 11, 1 << 14):
        monkeypatch.setattr(mending, "_PIECE_BYTES", size)
        mended = parse(text + b"}", "t")
        assert mended.repairs == {IGNORED: 1}
        assert same(strict, mended)


@st.composite
def damaged_values(draw: st.DrawFn) -> bytes:
    """One event as JSON, with a few bytes put in, replaced or taken out."""
    text = bytearray(draw(exact_events())[0].encode())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text) - 1))
        new = draw(
            st.sampled_from([b"", b'"', b"\\", b",", b"inf", b"\n", b"\t", b"nul", b"\\u", b"[1, nan]", b"{", b"}"])
        )
        text[at : at + draw(st.integers(0, 2))] = new
    return bytes(text)


@given(damaged_values())
@settings(max_examples=400, deadline=None)
def test_the_fast_way_to_mend_and_the_slow_one_agree(text: bytes) -> None:
    fast = mend_at_errors(text)
    assume(fast is not None and text.startswith(b"{"))
    assert fast is not None
    mender = Mender(text, 0, ended=True)
    try:
        slow = mender.value()
    except (BrokenError, UnfinishedError):
        return  # it is more careful: what looks like an unclosed string is not guessed at
    if mender.at < len(text):
        return
    assert slow == fast[0]
    assert dict(mender.defects) == {name: fast[1].count(name) for name in fast[1]}


@given(
    st.lists(
        st.sampled_from(
            ["1", "-2.5e3", "true", "null", " 7 ", "inf", "nan", " -inf ", "x", "01", "", "1 2", '"s"', "[inf]"]
        )
    )
)
@settings(max_examples=500, deadline=None)
def test_long_lists_are_mended_as_short_ones(elements: list[str]) -> None:
    """Many at a time or one at a time: the same text, and the same count."""
    text = f"[{','.join(elements)}]".encode()

    def mended(limit: int) -> object:
        mender = Mender(text, 0, ended=True)
        mender._tried = limit
        try:
            return mender.value(), dict(mender.defects)
        except (BrokenError, UnfinishedError) as error:  # a word behind a string may belong to it
            return type(error)

    assert mended(0) == mended(len(text))


def test_an_event_at_the_limit_of_nesting_takes_no_other_with_it() -> None:
    """However deep: each of the others is read; that one is read, or left out and counted."""
    for depth in range(100, 1_300):
        deep = FIRST.replace('"a"', '"deep"')[:-1] + ',"args":{"x":' + "[" * depth + "]" * depth + ",}}"
        trace = parse(f'{{"traceEvents":[{FIRST},{FIRST},{deep},{FIRST}]}}'.encode(), "t")
        left_out = trace.repairs.get("unreadable event, left out", 0)
        assert len(trace.events) == 4 - left_out


# memory


def tiny(path: Path, count: int, record: bytes) -> Path:
    with gzip.open(path, "wb", 1) as stream:
        stream.write(b'{"traceEvents":[' + b",".join([record] * count) + b"]}")
    return path


@pytest.mark.parametrize("damaged", [False, True])
def test_the_memory_limit_counts_events_not_bytes(damaged: bool, tmp_path: Path) -> None:
    """Tiny events pack well and take the memory of large ones."""
    record = b'{"ph":"X","ts":1,"dur":1%b}' % (b"," if damaged else b"")
    path = tiny(tmp_path / "a.json.gz", 100_000, record)
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="would take more than 16 MiB"):
        read(path, detail=Detail.NONE, options=ReadOptions(memory_limit=16 << 20))
    assert len(read(path, detail=Detail.NONE, options=ReadOptions(memory_limit=64 << 20)).events) == 100_000


def test_a_long_event_within_the_limit_is_mended_and_a_longer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    long = ", ".join(["1", "inf"] * 600_000)
    path.write_bytes(
        trace_json([event("a", 1, 2), event("b", 3, 4)]).replace(b'"args": {}', b'"args": [%b]' % long.encode(), 1)
    )
    trace = read(path, options=ReadOptions(use_cache=False, memory_limit=1 << 30))
    assert times(trace) == [(1_000, 2_000), (3_000, 4_000)]
    assert trace.repairs["value that is not JSON, such as inf or nan"] == 600_000
    assert path.stat().st_size > 4 << 20
    with pytest.raises(InputError, match="would take more than 16 MiB"):
        read(path, options=ReadOptions(use_cache=False, memory_limit=16 << 20))


@pytest.mark.timeout(60)
def test_a_long_name_and_many_unclosed_strings_take_linear_work(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    name = "x" * 20_000_000
    path.write_bytes(b'{"traceEvents":[' + FIRST.replace('"a"', f'"{name}"').encode() + b",]}")
    trace = read(path)
    assert trace.names == (name,)
    assert trace.repairs == {"trailing comma": 1}
    path.write_bytes(b'{"traceEvents":[' + b'{"ph":"X","name":"a,\n' * 200_000 + FIRST.encode() + b"]}")
    assert len(read(path).events) <= 1


def test_mended_text_is_written_in_pieces(tmp_path: Path) -> None:
    """The result is read strictly, with the same spans, and what was ignored is gone."""
    records = [event(f"aten::{k % 7}", k, 0.5, k) for k in range(20_000)]
    path, target = tmp_path / "a.json", tmp_path / "b.json"
    path.write_bytes(trace_json(records, schemaVersion=1) + b"]}")
    assert write_mended(path, target).repairs == {IGNORED: 2}
    assert json.loads(target.read_bytes()) == {"schemaVersion": 1, "traceEvents": records}
    assert same(read(path), read(target))
    assert np.array_equal(read(target).events.start_ns, np.arange(20_000) * 1_000)


def test_the_list_s_name_inside_a_text_is_no_list() -> None:
    """Mending may leave such a key: with a quote behind a backslash it is part of a text."""
    text = f'{{"a\\u0002: \\"x\\", \\"traceEvents":[],"traceEvents":[{FIRST}]}}'.encode()
    assert json.loads(text)["traceEvents"]
    found = parse(text, "x")
    assert (times(found), found.repairs) == ([(1000, 2000)], {})

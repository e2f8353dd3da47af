"""Every way in which real files are broken: read right, mended and reported, or refused in one clear paragraph."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from profkit.errors import InputError
from profkit.trace.operators import sum_operators
from profkit.trace.options import Detail, ReadOptions
from profkit.trace.reading.reader import parse, read, write_mended
from tests.conftest import ROOT

DAMAGED = ROOT / "tests/data/damaged"
LIMIT = 96 << 20
LIMITED = ReadOptions(memory_limit=LIMIT)
A, B, C = ("aten::conv2d", 1, 17), ("aten::empty", 1, 3), ("aten::relu", 1, 5)
REAL = sorted((ROOT / "traces").glob("*-frozen/*/*.json.gz"))[0]
Row = tuple[str, int, int]
# of the files whose times have decimals
LINEAR, ADDMM, RELU = ("aten::linear", 1, 20), ("aten::addmm", 1, 80), ("aten::relu", 1, 20)
IGNORED = "byte after the end of the trace, ignored"

READ: dict[str, tuple[list[Row], dict[str, int], dict[str, int]]] = {
    # file: (operator, calls, self µs), repairs, anomalies
    "bare-inf.json": ([A, B, C], {"value that is not JSON, such as inf or nan": 3}, {}),
    "byte-order-mark.json": ([A, B, C], {"byte order mark": 1}, {}),
    "control-byte-in-string.json": ([A, B, ("aten::re\x01lu", 1, 5)], {"control byte in a string": 1}, {}),
    "duplicate-keys-in-args.json": ([A, B, C], {}, {}),
    "duration-of-centuries.json": ([A, B, ("aten::relu", 1, 365 * 86_400 * 10**6)], {}, {"implausible": 1}),
    "ends-after-an-event.json": ([A, B, C], {"file ends in mid-event": 1}, {}),
    "ends-before-it-starts.json": (
        [("aten::conv2d", 1, 20), ("aten::empty", 1, 0), C],
        {},
        {"negative": 1},
    ),
    "ends-in-mid-event.json": ([A, B], {"file ends in mid-event": 1}, {}),
    "ends-in-mid-string.json": ([A, B], {"file ends in mid-event": 1}, {}),
    "float-that-lost-its-digits.json": ([("aten::conv2d", 1, 20), C], {}, {}),
    "frame-that-never-ends.json": ([A, B, C], {}, {}),
    "gzip-named-json.json": ([A, B, C], {}, {}),
    "id-beyond-int64.json": ([A, B, C], {"integer beyond 64 bits": 1}, {}),
    "invalid-utf8.json": ([A, B, ("aten::re\ufffdlu", 1, 5)], {"invalid UTF-8": 1}, {}),
    "json-named-gzip.json.gz": ([A, B, C], {}, {}),
    "negative-duration.json": (
        [("aten::conv2d", 1, 20), ("aten::empty", 1, 0), C],
        {},
        {"negative": 1},
    ),
    "negative-tid.json": ([A, B, C], {}, {}),
    "number-for-text.json": ([A, B, ("17", 1, 5)], {"number instead of a text": 1}, {}),
    "raw-newline-in-string.json": ([A, B, ("aten::relu\nsecond line", 1, 5)], {"raw newline in a string": 1}, {}),
    "sub-microsecond-overlap.json": ([A, B, C], {}, {"crossing": 1}),
    "text-for-number.json": ([A, B, C], {"text instead of a number": 2}, {}),
    "top-level-array-cut.json": ([("conv2d", 1, 17), ("empty", 1, 3)], {"file ends in mid-event": 1}, {}),
    "top-level-array.json": ([("conv2d", 1, 17), ("empty", 1, 3), ("relu", 1, 5)], {}, {}),
    "trailing-commas.json": ([A, B, C], {"trailing comma": 2}, {}),
    "unescaped-quote-and-comma.json": ([A, B, ('f("a", "b")', 1, 5)], {"unescaped quote in a string": 4}, {}),
    "unescaped-quote-in-name.json": ([A, B, ('aten::"re"lu', 1, 5)], {"unescaped quote in a string": 2}, {}),
    "windows-path-unescaped.json": ([A, B, C], {"unescaped backslash in a string": 4}, {}),
    "duration-absent.json": ([LINEAR, ADDMM, RELU], {}, {"no_duration": 1}),
    "duration-null.json": ([LINEAR, ADDMM, RELU], {}, {"no_duration": 1}),
    "durations-whose-sum-overflows.json": ([("aten::a", 5, 5 * 365 * 86_400 * 10**6)], {}, {"implausible": 5}),
    "end-of-the-file-twice.json": ([LINEAR, ADDMM, RELU], {IGNORED: 2}, {}),
    "epoch-times-and-a-float-tid.json": ([LINEAR, ADDMM, RELU], {"id of another type": 1}, {}),
    "epoch-times.json": ([LINEAR, ADDMM, RELU], {}, {}),
    "extra-closing-brace.json": ([LINEAR, ADDMM, RELU], {IGNORED: 1}, {}),
    "integer-of-5000-digits.json": ([("aten::a", 1, 1)], {"integer beyond 64 bits": 1}, {"no_start": 1}),
    "list-of-events-inside-an-object.json": ([LINEAR, ADDMM, RELU], {"list of events inside another object": 1}, {}),
    "rest-of-a-longer-file-behind-the-end.json": ([LINEAR, ADDMM, RELU], {IGNORED: 726}, {}),
    "spans-as-begin-and-end.json": ([LINEAR, ADDMM], {}, {}),
    "start-absent.json": ([LINEAR, ADDMM, RELU], {}, {"no_start": 1}),
    "start-null.json": ([LINEAR, ADDMM, RELU], {}, {"no_start": 1}),
}
REFUSED = {
    "blank.json": "is empty",
    "empty.json": "is empty",
    "execution-trace.json": "it has no traceEvents",
    "gzip-cut-in-header.json.gz": "cut short before its first event",
    "no-event-left.json": "is not a PyTorch trace",
    "not-json.json": "is not valid JSON",
    "zeros-behind-a-small-gzip.json.gz": "would take more than 96 MiB",
}


def test_no_file_is_without_an_expectation() -> None:
    assert {p.name for p in DAMAGED.iterdir()} == {*READ, *REFUSED, "gzip-cut-short.json.gz"}


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("detail", [Detail.NONE, Detail.ALL])
def test_read_or_mended(name: str, detail: Detail) -> None:
    trace = read(DAMAGED / name, options=LIMITED, detail=detail)
    samples = sum_operators(trace)
    rows = [
        (key[0], int(calls), int(self_ns) // 1000)
        for key, calls, self_ns in zip(samples.keys, samples.calls[0], samples.self_ns[0], strict=True)
    ]
    operators, repairs, anomalies = READ[name]
    assert rows == operators
    if detail == Detail.ALL:  # what is not asked for need not be mended
        assert trace.repairs == repairs
    assert {k: n for k, n in samples.anomalies.items() if n} == anomalies


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_paragraph(name: str) -> None:
    with pytest.raises(InputError, match=REFUSED[name]) as caught:
        read(DAMAGED / name, options=LIMITED)
    assert len(str(caught.value)) < 500


def test_a_gzip_cut_short_gives_everything_before_the_cut() -> None:
    trace = read(DAMAGED / "gzip-cut-short.json.gz")
    assert 50 < len(trace.operator_events) < 200
    assert trace.repairs == {"gzip cut short": 1, "file ends in mid-event": 1}


def test_a_gzip_with_wrong_bits_is_refused_not_guessed_at(tmp_path: Path) -> None:
    """A wrong bit gives wrong text for long before it is noticed, if it is before the checksum."""
    good = REAL.read_bytes()
    for name, at in (("middle", len(good) // 2), ("checksum", len(good) - 6)):
        damaged = bytearray(good)
        damaged[at] ^= 0x55
        path = tmp_path / f"{name}.json.gz"
        path.write_bytes(damaged)
        for attempt in (lambda p: read(p), lambda p: write_mended(p, tmp_path / "out.json")):
            with pytest.raises(InputError, match="the gzip is damaged"):
                attempt(path)


def test_what_follows_a_gzip_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "trailing.json.gz"
    path.write_bytes(REAL.read_bytes() + b"trailing bytes")
    trace = read(path)
    assert len(trace.events) == len(read(REAL).events)
    assert trace.repairs == {}


def test_nested_too_deeply(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text('{"traceEvents": [{"ph": "X", "args": ' + '{"a":' * 5000 + "1" + "}" * 5000 + "}]}")
    for attempt in (lambda p: read(p), lambda p: write_mended(p, tmp_path / "out.json")):
        with pytest.raises(InputError, match="nested too deeply"):
            attempt(path)


def test_a_flow_with_an_odd_id_is_read() -> None:
    flow = b'{"ph": "s", "id": null, "ts": 1}'
    text = b'{"traceEvents": [%b, {"ph": "X", "cat": "cpu_op", "name": "a", "ts": 1, "dur": 1}]}' % flow
    trace = parse(text, "t")
    assert len(trace.operator_events) == 1
    assert trace.repairs == {"id of another type": 1}


def test_every_cut_of_a_trace_gives_the_events_before_it() -> None:
    whole = (DAMAGED / "json-named-gzip.json.gz").read_bytes()
    ends = [i for i in range(len(whole)) if whole[i : i + 4] == b"\n  }"]
    for cut in range(ends[0] + 5, len(whole)):
        expected = sum(end + 4 <= cut for end in ends)
        assert len(parse(whole[:cut], "t").operator_events) == expected, cut


WORDS = [b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\x00", b"\xff", b"inf", b"-", b"1e999", b"null", b"\n"]


@pytest.mark.parametrize("seed", range(60))
def test_mutated_real_traces_end_in_an_answer_or_a_refusal(seed: int) -> None:
    """Seeded and bounded: bytes changed, cut out, doubled and put in; never an exception of another kind."""
    chance = random.Random(seed)
    text = bytearray(gzip.decompress(REAL.read_bytes())[: chance.choice([4_000, 20_000, 60_000])])
    for _ in range(chance.choice([1, 1, 2, 5, 30])):
        at = chance.randrange(len(text))
        match chance.randrange(5):
            case 0:
                text[at] = chance.randrange(256)
            case 1:
                del text[at : at + chance.randrange(1, 200)]
            case 2:
                text[at:at] = text[at : at + chance.randrange(1, 300)]
            case 3:
                text[at:at] = chance.choice(WORDS)
            case _:
                number = str(chance.choice([-1, 2**63, 2**64, 10**30, 1e308, 0.1])).encode()
                text[at:at] = number
    try:
        trace = parse(bytes(text), "t")
    except InputError:
        return
    samples = sum_operators(trace)
    # whatever was lost, what is left adds up: each call is counted once, and no time is negative or counted twice
    assert samples.calls.sum() == len(trace.operator_events)
    assert samples.self_ns.min(initial=0) >= 0
    assert (samples.self_ns <= samples.total_ns).all()
    assert all(count > 0 for count in trace.repairs.values())


def test_damage_costs_no_more_than_its_events() -> None:
    """A trace of many events with one broken in the middle: the others are all there."""
    text = gzip.decompress(REAL.read_bytes())
    middle = text.index(b"\n  },\n  {", len(text) // 2) + 10
    broken = text[:middle] + b'"oops": ],' + text[middle:]
    whole, mended = parse(text, "t"), parse(broken, "t")
    assert len(mended.events) + sum(mended.other_events.values()) == (
        len(whole.events) + sum(whole.other_events.values()) - 1
    )
    assert mended.repairs == {"unreadable event, left out": 1}


def test_a_mended_file_reads_strictly(tmp_path: Path) -> None:
    for name in READ:
        target = tmp_path / "mended.json.gz"
        found = write_mended(DAMAGED / name, target, memory_limit=LIMIT)
        assert found.repairs == READ[name][1]
        again = read(target)
        assert again.repairs == {}
        assert len(again.operator_events) == len(read(DAMAGED / name).operator_events)

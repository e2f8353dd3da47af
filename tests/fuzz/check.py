"""What must hold for every outcome of a command, whatever its input was. Each function returns what does not."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, NamedTuple

from tests.fuzz.hostile import MARK
from tests.fuzz.invoke import Outcome, traceback_origin

LONGEST_MESSAGE = 2_000  # characters of an error
STATUSES = (0, 2, 3, 5)  # of commands without a gate: done, usage, input, output
ROUNDING = 1e-6  # relative; files have 12 digits

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# with a unit anywhere, or alone in a cell; not in prose, such as the name of a repair
_NOT_FINITE = re.compile(
    r"(?<![\w:./'\"-])[-+]?(?:nan|inf)(?:x\b|%|(?= (?:ns|µs|ms|s)\b))"
    r"|(?:^|  |[|>\[] ?)[-+]?(?:nan|inf)(?=$|  | ?[|<\],])",
    re.MULTILINE,
)
_SHARE = re.compile(r"(?<![\w.+-])(\d+(?:\.\d+)?)%(?=\s|$)")
_PYTHON_WARNING = re.compile(r"^(?:\S*?/(?=profkit/))?([\w/.-]+\.py):\d+: (\w*Warning): (.*)$", re.MULTILINE)
_TEMPLATE_TAGS = frozenset(
    "html head meta link title style body header h1 h2 h3 p button nav a main section figure figcaption div table "
    "thead tbody tr th td span strong pre script code ul li svg rect circle line path text".split()
)
_DRAWN = frozenset("svg rect circle line path text".split())
_PLACES = frozenset("x y x1 y1 x2 y2 cx cy r d width height viewbox".split())


class Fault(NamedTuple):
    """Something that must not happen. ``sort`` groups faults of one cause; ``what`` tells this one."""

    sort: str
    what: str


def check_contract(found: Outcome) -> Iterator[Fault]:
    """Check what every command promises: no traceback, a known status, a short message without control characters."""
    if found.status is None:
        yield Fault(f"exception: {found.origin}", found.error)
        return
    if "Traceback (most recent call last)" in found.err:
        yield Fault(f"exception: {traceback_origin(found.err)}", found.err[-3_000:])
        return
    for path, kind, text in _PYTHON_WARNING.findall(found.err):
        yield Fault(f"Python warning on standard error: {kind} in {path}", text[:300])
    if found.status not in STATUSES:
        yield Fault(f"status {found.status}", found.err[:300])
    if found.status != 0:
        if not found.err.strip():
            yield Fault("refused without a message", f"status {found.status}")
        if len(found.err) > LONGEST_MESSAGE:
            yield Fault("message too long", f"{len(found.err)} characters: {found.err[:200]}")
    if match := _CONTROL.search(found.err):
        yield Fault("control character on standard error", around(found.err, match))


def check_output(found: Outcome, *, computed: bool) -> Iterator[Fault]:
    """Check the output of a command that succeeded, by its format.

    ``computed``: the numbers are profkit's own, so that no time may be negative and no share above 100%. Numbers that a
    saved result brings along may be anything that its schema allows.
    """
    match found.form:
        case "json":
            yield from check_json(found.out, computed=computed)
        case "html":
            yield from check_html(found.out)
        case "csv":
            yield from check_csv(found.out)
        case _:
            yield from check_text(found.out, shares=computed and found.words[0] in ("ops", "onednn"))
            if found.form == "markdown" and f"<{MARK}" in found.out:
                yield Fault(
                    "markup not escaped in Markdown", found.out[max(0, found.out.index(f"<{MARK}") - 80) :][:200]
                )


def check_text(text: str, *, shares: bool = False) -> Iterator[Fault]:
    """Check a text for people: no control characters, no NaN; with ``shares`` no percentage above 100."""
    if match := _CONTROL.search(text):
        yield Fault("control character in text", around(text, match))
    if match := _NOT_FINITE.search(text):
        yield Fault("NaN or infinity shown", around(text, match))
    for match in _SHARE.finditer(text) if shares else ():
        if float(match[1]) > 100.05:
            yield Fault("share above 100%", around(text, match))
            return


def check_csv(text: str) -> Iterator[Fault]:
    """Check that the rows are even, that no field is a formula, and that nothing is NaN."""
    usual = csv.field_size_limit(len(text) + 1)  # of the whole process
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    finally:
        csv.field_size_limit(usual)
    if len({len(row) for row in rows}) > 1:
        yield Fault("rows of different lengths in CSV", text[:300])
    for field in (field for row in rows for field in row):
        if field[:1] in ("=", "+", "-", "@", "\t", "\r") and not is_number(field):
            yield Fault("formula in CSV", field[:100])
            return
        if field.lower() in ("nan", "inf", "-inf") and field != "NaN":
            yield Fault("NaN or infinity shown", f"CSV: {field}")
            return
        if match := _CONTROL.search(field):
            yield Fault("control character in CSV", around(field, match))
            return


def is_number(text: str) -> bool:
    """Whether a field is a plain number, which a spreadsheet does not take for a formula."""
    return re.fullmatch(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", text) is not None


def check_json(text: str, *, computed: bool = True) -> Iterator[Fault]:
    """Check that the text is one strict JSON document which its own schema accepts; ``computed`` as above."""
    try:
        document = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        yield Fault("not JSON", f"{error}: {text[:200]}")
        return
    schema = document.get("schema") if isinstance(document, dict) else None
    if faults := list(_check_schema(text, schema)):
        yield from faults
        return
    for path, value in numbers(document):
        if isinstance(value, float) and abs(value) == float("inf"):
            yield Fault("NaN or infinity in JSON", path)
            return
    if isinstance(schema, str) and computed:
        check = _BY_SCHEMA.get(schema.partition("/")[0])
        yield from check(document) if check is not None else ()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _check_schema(text: str, schema: object) -> Iterator[Fault]:
    import msgspec

    from profkit.report.kinds import kind_of_schema

    kind = kind_of_schema(schema) if isinstance(schema, str) else None
    if kind is None:
        yield Fault("output without a known schema", repr(schema)[:100])
        return
    try:
        msgspec.json.decode(text.encode(), type=kind.record())
    except (msgspec.DecodeError, UnicodeError) as error:
        yield Fault("output that its schema refuses", str(error)[:300])


def numbers(value: Any, path: str = "$") -> Iterator[tuple[str, float]]:
    """Yield the numbers in a decoded document with their paths."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(item, f"{path}.{key}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from numbers(item, f"{path}[{position}]")


def _check_operators(document: dict[str, Any]) -> Iterator[Fault]:
    found = document["forwards"]
    if found["count"] != len(found["wall_ns"]):
        yield Fault("sums do not add up: forwards", f"{found['count']} forwards, {len(found['wall_ns'])} times")
    crossing = any(document["anomalies"].values())  # the parts of spans that cross may be more than the whole
    for row in document["operators"]:
        if row["calls"] < (0 if document["per_forward"] else 1):  # the median over forwards may be none
            yield Fault("an operator without calls", str(row)[:300])
        for kind in ("host", "device"):
            if not crossing and row[f"self_{kind}_ns"] > row[f"total_{kind}_ns"] * (1 + ROUNDING):
                yield Fault(f"self {kind} time above total", str(row)[:300])
                return
    yield from _check_counts(document["anomalies"])


def _check_information(document: dict[str, Any]) -> Iterator[Fault]:
    for trace in document["traces"]:
        if sum(trace["categories"].values()) != trace["spans"]:
            yield Fault("sums do not add up: spans by category", str(trace)[:300])
        if trace["operators"] > trace["spans"]:
            yield Fault("more operators than spans", str(trace)[:300])
        for counts in (trace["anomalies"], trace["repairs"], trace["other_events"], trace["categories"]):
            yield from _check_counts(counts)


def _check_counts(counts: dict[str, int]) -> Iterator[Fault]:
    if any(count < 0 for count in counts.values()):
        yield Fault("negative count", str(counts)[:300])


def _check_primitives(document: dict[str, Any]) -> Iterator[Fault]:
    for row in document["primitives"]:
        if min(row["calls"], row["cache_hits"], row["cache_misses"], document["skipped_lines"]) < 0:
            yield Fault("negative count", str(row)[:300])
    if (document["matched"] or 0) > (document["warm_records"] or 0):
        yield Fault("more records matched than there are", f"{document['matched']} of {document['warm_records']}")


def _check_diff(document: dict[str, Any]) -> Iterator[Fault]:
    yield from _check_judged(document["geomean_speedup"])
    for workload in document["workloads"]:
        parts = workload["attribution"]
        if sum(o["delta_ns"] for o in parts["operators"]) + parts["outside_operators_ns"] != parts["forward_delta_ns"]:
            yield Fault("sums do not add up: attribution", str(parts)[:300])
        if any(call["parent"] >= position for position, call in enumerate(workload["calls"])):
            yield Fault("a call before its caller", workload["name"])
        judged = [workload["forward"], workload["latency"], *workload["resources"], *workload["operators"]]
        for value in filter(None, judged):
            yield from _check_judged(value)


def _check_compare(document: dict[str, Any]) -> Iterator[Fault]:
    for run in document["runs"]:
        for value in (run["geomean_speedup"], *run["entries"]):
            yield from _check_judged(value)


def _check_cost(document: dict[str, Any]) -> Iterator[Fault]:
    for run in document["runs"]:
        for entry in run["entries"]:
            for value in filter(None, (entry["cost"], entry["p90"])):
                yield from _check_relative(value)
            for name, bounds in (("amount", entry["amount"]), ("throughput", entry["throughput"])):
                known = [bounds[key] for key in ("low", "usd", "per_second", "high") if bounds.get(key) is not None]
                if any(a > b * (1 + ROUNDING) for a, b in itertools.pairwise(known)) or min(known, default=0) < 0:
                    yield Fault(f"a value outside its interval: {name}", str(bounds)[:300])
        yield from _check_relative(run["mean"])


def _check_relative(value: dict[str, Any]) -> Iterator[Fault]:
    names = {"cheaper": "faster", "more expensive": "slower", "the same": "same"}
    verdict = names.get(value["verdict"], value["verdict"])
    yield from _check_judged({**value, "speedup": value["relative"], "verdict": verdict})


def _check_judged(value: dict[str, Any]) -> Iterator[Fault]:
    low, speedup, high = value["low"], value["speedup"], value["high"]
    known = [number for number in (low, speedup, high) if number is not None]
    if any(a > b * (1 + ROUNDING) for a, b in itertools.pairwise(known)) or min(known, default=1) <= 0:
        yield Fault("a speedup outside its interval", f"{low}, {speedup}, {high}")
    if None in (low, high) and value["verdict"] in ("faster", "slower", "same"):
        yield Fault("a verdict without an interval", str(value)[:300])


_BY_SCHEMA = {
    "operators": _check_operators,
    "info": _check_information,
    "primitives": _check_primitives,
    "diff": _check_diff,
    "compare": _check_compare,
    "cost": _check_cost,
}


class _Page(HTMLParser):
    """Notes every tag and attribute that is not the template's own, and the data of the page's script."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.strange: list[str] = []
        self.data = ""
        self._in_data = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attributes]
        if tag not in _TEMPLATE_TAGS or any(name.startswith("on") or MARK in name for name in names):
            self.strange.append(f"<{tag} {' '.join(names)}>")
        if any(name in ("href", "src") and MARK in (value or "") for name, value in attributes):
            self.strange.append(f"<{tag} with an address of the input's>")
        if tag in _DRAWN and any(re.search("nan|inf", value or "") for name, value in attributes if name in _PLACES):
            self.strange.append(f"<{tag} at a place that is no number>")
        self._in_data = tag == "script" and ("id", "data") in attributes

    def handle_comment(self, data: str) -> None:
        self.strange.append(f"<!--{data[:40]}")

    def handle_data(self, data: str) -> None:
        if self._in_data:
            self.data += data


def check_html(text: str) -> Iterator[Fault]:
    """Check that nothing of the input became markup, neither in the page nor in its pictures."""
    page = _Page()
    page.feed(text)
    page.close()
    if page.strange:
        yield Fault("markup not escaped in HTML", ", ".join(page.strange[:5]))
    visible = text.partition('<script type="application/json"')[0]
    if match := _CONTROL.search(visible):
        yield Fault("control character in HTML", around(visible, match))
    if match := _NOT_FINITE.search(re.sub(r"<style>.*?</style>|<[^>]*>", "|", visible, flags=re.DOTALL)):
        yield Fault("NaN or infinity shown", f"HTML: {match[0]}")
    try:
        json.loads(page.data, parse_constant=_refuse)
    except ValueError as error:
        yield Fault("not JSON", f"the page's data: {error}")


def around(text: str, match: re.Match[str]) -> str:
    """Return the neighbourhood of a match, printable."""
    return repr(text[max(0, match.start() - 60) : match.end() + 30])

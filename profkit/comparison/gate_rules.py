"""The language of gate rules: ``latency > 3%``, ``latency > 30ms``, ``aten::conv*.self > +1ms``.

A rule is a subject, a comparison and a limit. The limit of a time says what is tested: a percentage the relative change
(``3%`` and ``+3%`` are the same), a time without a sign the candidate's time, a time with a sign the change of the
time. So ``latency > 2ms`` and ``latency > +2ms`` differ as "is now" and "became slower by".
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from profkit.errors import UsageError

Quantity = Literal["ratio", "time", "change", "value"]
"""What a rule tests: the relative change of a time (0.03 is 3% slower), the candidate's time (ns), the change of the
time, candidate - baseline (ns), or the value itself (of outputs)."""

WALL_TIMES = ("latency", "forward", "profiled", "p50", "p90", "p99")
GEOMEAN = "geomean"
NAN = "outputs.nan"
OUTPUTS = {
    "outputs.cosine": "cosine_similarity",
    "outputs.error": "max_abs_error",
    "outputs.top1": "top1_agreement",
    NAN: "candidate_nan",
}
"""Subjects that are fields or properties of OutputsChange."""
HINT = (
    "Examples of rules: 'latency > 3%', 'latency > 30ms', 'latency > +2ms', 'p90 > 5%', 'aten::conv2d.self > 10%', "
    "'aten::conv*.total > +1ms', 'geomean > 2%', 'outputs.cosine < 0.999', 'outputs.nan > 0'."
)
_RULE = re.compile(
    r"\s*(?P<subject>.*?[^\s<>=!])\s*(?P<sign>[<>]=?)"
    r"\s*(?P<limit>[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?)\s*(?P<unit>%|[^\W\d_]*)\s*",
    re.DOTALL,
)
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
# the micro sign and the Greek letter look alike, and keyboards have either
_NANOSECONDS = {"ns": 1.0, "us": 1e3, "\u00b5s": 1e3, "\u03bcs": 1e3, "ms": 1e6, "s": 1e9}
_UNITS = "%, ns, us, ms or s"
_LONGEST = 200  # characters of a rule that an error quotes: errors stay one short paragraph


class Rule(msgspec.Struct, frozen=True):
    """One rule. It fails if the ``quantity`` of ``subject`` is beyond ``limit`` in the direction of ``sign``.

    ``limit`` is in the unit of ``quantity``: a fraction, ns, or the value itself. ``text`` is the rule as given.
    """

    text: str
    subject: str
    sign: str
    limit: float
    quantity: Quantity

    def is_beyond(self, value: float) -> bool:
        """Whether ``value`` is beyond the limit."""
        return _SIGNS[self.sign](value, self.limit)

    @property
    def outputs_field(self) -> str | None:
        """The field of OutputsChange that the rule tests; None for a time."""
        return OUTPUTS.get(self.subject)

    @property
    def operator(self) -> str | None:
        """The name or the wildcard pattern of the operators that the rule tests; None for other subjects."""
        if self.subject in (*WALL_TIMES, GEOMEAN, *OUTPUTS):
            return None
        return self._operator_and_time[0]

    def matches(self, name: str) -> bool:
        """Whether the rule is about the operator ``name``: by its name, or by a wildcard pattern."""
        wanted = self.operator or ""
        return name == wanted or fnmatchcase(name, wanted)

    @property
    def time(self) -> str | None:
        """The host time of operators that the rule tests, self or total; None for the one that a row is judged on."""
        return self._operator_and_time[1]

    @property
    def _operator_and_time(self) -> tuple[str, str | None]:
        name, _, time = self.subject.rpartition(".")
        return (name, time) if time in ("self", "total") and name else (self.subject, None)


def parse_rule(text: str) -> Rule:
    """Parse one rule; raises UsageError, with examples, if it is not valid."""
    text = text.strip()
    quoted = repr(text if len(text) <= _LONGEST else text[:_LONGEST] + "…")
    match = _RULE.fullmatch(text)
    if match is None:
        raise UsageError(f"{quoted} is not a gate rule: it needs a subject, one of > >= < <=, and a limit", hint=HINT)
    subject, limit, unit = match["subject"], match["limit"], match["unit"]
    problem = _problem(subject, unit)
    quantity, scale = _quantity(subject, limit, unit)
    if problem is None and not math.isfinite(float(limit) * scale):
        problem = "the limit is too large"
    if problem is None and quantity == "time" and float(limit) == 0:
        problem = f"a time is never below 0; for a change, write the limit with a sign: +0{unit}"
    if problem is not None:
        raise UsageError(f"{quoted}: {problem}", hint=HINT)
    return Rule(text, subject, match["sign"], float(limit) * scale, quantity)


def _problem(subject: str, unit: str) -> str | None:
    """Return in words why a limit of this unit does not suit the subject; None if it does."""
    if subject in OUTPUTS:
        return f"the limit of {subject} is a number without a unit" if unit else None
    if not unit:
        return f"the limit of {subject[:_LONGEST]} needs a unit: {_UNITS}"
    if unit != "%" and unit not in _NANOSECONDS:
        return f"{unit!r} is not a unit; use {_UNITS}"
    if subject == GEOMEAN and unit != "%":
        return f"{GEOMEAN} is a ratio over all workloads, not a time: its limit is a percentage"
    return None


def _quantity(subject: str, limit: str, unit: str) -> tuple[Quantity, float]:
    """Return what the limit limits, and the factor from its unit to that of the quantity."""
    if subject in OUTPUTS:
        return "value", 1.0
    if unit == "%":
        return "ratio", 0.01
    return "change" if limit[0] in "+-" else "time", _NANOSECONDS.get(unit, 1.0)

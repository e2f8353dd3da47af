"""The search for the version at which a figure changed (schema ``bisect/1``)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from profkit.comparison.records.parts import Record
from profkit.comparison.records.sweep import SweepStep
from profkit.quantities import Change, Count, Share

Outcome = Literal["found", "nothing", "not monotonic", "undecided"]
"""``nothing``: the two ends do not differ. ``not monotonic``: a step was found, but a version between the ends is
beyond them, or the step itself is not shown, so there are several changes. ``undecided``: the budget was not enough."""
Unit = Literal["ratio", "value", "status"]
"""``ratio``: relative changes from the good version (0.05 is 5% more). ``value``: differences of outputs from those of
the good version. ``status``: a command that succeeds or fails."""


class BisectTest(Record, frozen=True, kw_only=True):
    """One version that was tested against the good one."""

    label: Annotated[str, Meta(description="label of the version")]
    decision: Annotated[
        Literal["good", "bad", "undecided", "skipped"], Meta(description="skipped: it cannot be tested")
    ]
    rounds: Annotated[Count, Meta(description="rounds (processes) a side that it took")] = 0
    value: Annotated[Change | None, Meta(description="the figure's change from the good version; null if unknown")] = (
        None
    )
    low: Annotated[Change | None, Meta(description="lower bound of its interval; null without one")] = None
    high: Annotated[Change | None, Meta(description="upper bound of its interval; null without one")] = None
    reason: Annotated[str | None, Meta(description="why it cannot be tested, or how a command ended")] = None


class BisectResult(Record, frozen=True, kw_only=True):
    """At which version a figure changed, and what changed in it."""

    schema: Annotated[Literal["bisect/1"], Meta(description="schema of this document")] = "bisect/1"
    subject: Annotated[str, Meta(description="name of the workload, or the command")]
    figure: Annotated[str, Meta(description="what was watched: latency, an operator's time, outputs, an exit status")]
    unit: Annotated[Unit, Meta(description="unit of the changes")]
    versions: Annotated[list[str], Meta(description="labels of the versions of the range, in order")]
    boundary: Annotated[
        Change | None, Meta(description="change from which on a version counts as bad; null if it was not settled")
    ] = None
    confidence: Annotated[Share, Meta(description="of the intervals, so that the error of the whole search is bounded")]
    error: Annotated[Share, Meta(description="bound on the probability that the search reports a wrong version")]
    tests: Annotated[list[BisectTest], Meta(description="the tests, in order; the first is of the bad end")]
    outcome: Annotated[Outcome, Meta(description="what the search found")]
    last_good: Annotated[str | None, Meta(description="last version known to be good; null if the ends do not differ")]
    first_bad: Annotated[str | None, Meta(description="first version known to be bad; null if the ends do not differ")]
    between: Annotated[list[str], Meta(description="versions between those two that were not decided")] = []
    step: Annotated[
        SweepStep | None,
        Meta(description="the latency's change from the last good to the first bad; null if not captured"),
    ] = None
    warnings: Annotated[list[str], Meta(description="what to know before relying on the result")] = []

    def __post_init__(self) -> None:
        """Raise ValueError if there are no versions, or a test is of another one."""
        if not self.versions or (self.outcome == "undecided" and not self.tests):
            raise ValueError("versions and tests need an entry")
        if unknown := {test.label for test in self.tests} - {*self.versions}:
            raise ValueError(f"tests are of versions that are not there: {', '.join(sorted(unknown))}")

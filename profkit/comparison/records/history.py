"""A series of days per workload, its steps, and whether the newest day fits (schema ``history/1``); times in ns."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from profkit.comparison.records.diff import GateResult
from profkit.comparison.records.many import WallKind
from profkit.comparison.records.parts import Judged, Record
from profkit.quantities import Amount, Change, Count, Share


class HistoryPoint(Record, frozen=True, kw_only=True):
    """One day."""

    date: Annotated[str, Meta(description="the day (YYYY-MM-DD)")]
    wall_ns: Annotated[Amount, Meta(description="geometric mean over its rounds of their median forward (ns)")]
    rounds: Annotated[Count, Meta(description="number of rounds")]
    versions: Annotated[list[str], Meta(description="what ran: PyTorch versions, or labels where they are unknown")]


class HistoryPart(Judged, frozen=True, kw_only=True):
    """An operator's part of a step."""

    name: Annotated[str, Meta(description="operator name")]
    before_ns: Annotated[Amount, Meta(description="mean over days of its self host time per forward before (ns)")]
    delta_ns: Annotated[Change, Meta(description="later - earlier (ns)")]


class HistoryStep(Judged, frozen=True, kw_only=True):
    """A change of the level: between the days before it, back to the previous step, and those from it on."""

    date: Annotated[str, Meta(description="first day of the new level")]
    earliest: Annotated[str, Meta(description="earliest day that it may be (95% confidence)")]
    latest: Annotated[str, Meta(description="latest day that it may be (95% confidence)")]
    chance: Annotated[Share, Meta(description="bound on the probability of so large a step without a change")]
    before_ns: Annotated[Amount, Meta(description="geometric mean of the days before (ns)")]
    after_ns: Annotated[Amount, Meta(description="geometric mean of the days from it on (ns)")]
    operators: Annotated[list[HistoryPart], Meta(description="its largest parts, under the profiler")] = []
    changed: Annotated[list[str], Meta(description="what else differs between the two levels, in words")] = []


class HistoryOperator(Record, frozen=True, kw_only=True):
    """The series of one operator: its self host time per forward."""

    name: Annotated[str, Meta(description="operator name")]
    wall_ns: Annotated[list[Amount], Meta(description="one time per day of the workload's points (ns)")]
    steps: Annotated[list[HistoryStep], Meta(description="its own steps")] = []
    level_ns: Annotated[Amount | None, Meta(description="the level that the newest day is judged by (ns)")] = None
    newest: Annotated[Judged, Meta(description="the newest day against that level")] = Judged()


class HistorySeries(Record, frozen=True, kw_only=True):
    """One workload, of one label or machine where they are told apart."""

    workload: Annotated[str, Meta(description="workload name")]
    group: Annotated[str | None, Meta(description="label or machine; null where all are one series")] = None
    kind: Annotated[WallKind, Meta(description="which wall times these are")]
    points: Annotated[list[HistoryPoint], Meta(description="the days, in order")]
    steps: Annotated[list[HistoryStep], Meta(description="where the level changes, in order")]
    spread: Annotated[
        Share | None, Meta(description="how far single days scatter around their level (relative); null if unknown")
    ] = None
    level_ns: Annotated[Amount | None, Meta(description="the level that the newest day is judged by (ns)")] = None
    newest: Annotated[Judged, Meta(description="the newest day against that level, by the scatter of its days")] = (
        Judged()
    )
    operators: Annotated[list[HistoryOperator], Meta(description="operators of 1% of the forward or more")] = []

    @property
    def name(self) -> str:
        """The workload, and the group if there are several."""
        return " ".join(filter(None, (self.workload, self.group)))


class HistoryResult(Record, frozen=True, kw_only=True):
    """How workloads went from day to day."""

    schema: Annotated[Literal["history/1"], Meta(description="schema of this document")] = "history/1"
    index: Annotated[str, Meta(description="folder or URL of the index")]
    margin: Annotated[Share, Meta(description="relative change that counts as the same")] = 0.02
    series: Annotated[list[HistorySeries], Meta(description="the series")]
    gates: Annotated[list[GateResult], Meta(description="outcomes of the rules, about the newest day")] = []
    warnings: Annotated[list[str], Meta(description="what to know before relying on the figures")] = []

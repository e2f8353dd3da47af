"""Runs a bisection: each version is captured by turns with the good one, until it is decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from profkit.capture.plan import Configuration
from profkit.capture.preview import counted
from profkit.capture.stopping import judge_latency
from profkit.comparison.records.bisect import BisectResult, BisectTest, Outcome
from profkit.comparison.records.sweep import SweepStep
from profkit.errors import CaptureError, InputError
from profkit.experiments.bisect.captures import Captures, NotCapturedError, rounds_compared
from profkit.experiments.bisect.decisions import ERROR, LOOKS, Seen, level_of, next_look, seen
from profkit.experiments.bisect.figures import Figure, shown_value
from profkit.experiments.bisect.judging import Boundary, Ends
from profkit.experiments.bisect.search import Decision, Search, most_tests
from profkit.stats.judged import MARGIN
from profkit.trace.options import ReadOptions
from profkit.views.steps import explained_step

ROUNDING = 1e-9  # outputs that differ by less are the same, but for rounding
EXACT_LOOKS = (1,)  # of a figure that every round has alike
_Decide = Callable[[Seen], Decision | None]


class BisectPlan(msgspec.Struct, frozen=True):
    """What a bisection searches: ``versions`` in order, the first good and the last one bad.

    ``threshold`` is the change from the first version at which one counts as bad, in the terms of ``figure``; None
    stands for half of the change between the ends. No test goes on after ``most_s`` seconds.
    """

    versions: Sequence[Configuration]
    figure: Figure
    threshold: float | None
    most_s: float
    reading: ReadOptions


@dataclass(slots=True)
class Bisection:
    """A bisection under way."""

    plan: BisectPlan
    captures: Captures
    _tests: list[BisectTest] = field(default_factory=list, init=False)
    _began: float = field(default_factory=time.monotonic, init=False)

    @property
    def looks(self) -> Sequence[int]:
        """The rounds after which a test looks at its interval."""
        return LOOKS if self.plan.figure.is_ratio else EXACT_LOOKS

    @property
    def level(self) -> float:
        """The level of each look."""
        return level_of(len(self.plan.versions), len(self.looks))

    def describe(self) -> str:
        """Say how many versions there are, and how many tests they take."""
        count = len(self.plan.versions)
        return f"{counted(count, 'version')}, at most {counted(most_tests(count) + 1, 'test')}"

    def run(self) -> BisectResult:
        """Search, and return what was found. Raises CaptureError if one of the two ends cannot be captured."""
        search = Search(len(self.plan.versions))
        smallest = MARGIN if self.plan.figure.is_ratio else ROUNDING
        given = self.plan.threshold
        ends = Ends(smallest if given is None else given, is_boundary=given is not None)
        decision, look = self._test(0, search.bad, ends.decide)
        if decision == "skipped":
            raise CaptureError(f"{self._tests[-1].label} cannot be tested: {self._tests[-1].reason}")
        if look is None or decision != "bad":
            return self._result("nothing" if decision == "good" else "undecided", None, None)
        boundary, beyond = ends.boundary(look), False
        while (position := search.next()) is not None:
            decision, look = self._test(0, position, boundary.decide)
            search.record(position, decision)
            if decision == "undecided":
                return self._result("undecided", search, boundary)
            beyond |= look is not None and self.plan.figure.is_ratio and boundary.is_beyond_ends(look)
        is_shown, step = self._step(search, boundary)
        return self._result("found" if is_shown and not beyond else "not monotonic", search, boundary, step)

    def _test(self, first: int, position: int, decide: _Decide) -> tuple[Decision, Seen | None]:
        """Test a version against ``first``, and keep the test; return its decision and last look, if there was one."""
        label = self.plan.versions[position].label
        try:
            rounds, look, decision = self._decide(first, position, decide)
        except (NotCapturedError, InputError) as error:
            self._tests.append(BisectTest(label=label, decision="skipped", reason=str(error)))
            self.captures.listener.result(f"{label}: skipped: {error}")
            return "skipped", None
        bounds = [shown_value(self.plan.figure, b) if b is not None else None for b in (look.low, look.high)]
        value = shown_value(self.plan.figure, look.value)
        low, high = sorted(bound for bound in bounds if bound is not None) or (None, None)
        self._tests.append(BisectTest(label=label, decision=decision, rounds=rounds, value=value, low=low, high=high))
        self.captures.listener.result(f"{label}: {decision}, {counted(rounds, 'round')}")
        return decision, look

    def _decide(self, first: int, position: int, decide: _Decide) -> tuple[int, Seen, Decision]:
        """Look, and capture more rounds until it is decided or the budget is used up.

        Return the rounds, the last look, and the decision. Raises NotCapturedError or InputError if the version has no
        such figure, CaptureError if ``first`` cannot be captured.
        """
        sides = (self.plan.versions[first], self.plan.versions[position])
        while True:
            runs = self.captures.together(*sides)
            rounds = rounds_compared(runs)
            wanted = next_look(rounds, self.looks)
            if runs is not None and (rounds >= self.looks[0] or self._is_over()):
                look = seen(self.plan.figure.measure(*runs), self.level)
                decision = decide(look) if rounds >= self.looks[0] else None
                if decision is not None or wanted is None or self._is_over():
                    return rounds, look, decision or "undecided"
            assert wanted is not None
            self.captures.listener.message(
                f"{sides[1].label} against {sides[0].label}: {counted(wanted - rounds, 'round')} by turns"
            )
            self.captures.add(*sides, wanted - rounds)

    def _is_over(self) -> bool:
        return time.monotonic() - self._began >= self.plan.most_s

    def _step(self, search: Search, boundary: Boundary) -> tuple[bool, SweepStep | None]:
        """Return whether the step that was found is shown, and the step of the latency.

        If the good end is not its earlier version, both are captured by turns first.
        """
        sides = (self.plan.versions[search.good], self.plan.versions[search.bad])
        is_shown = True
        if search.good:
            try:
                is_shown = self._decide(search.good, search.bad, boundary.confirm)[2] == "bad"
            except (NotCapturedError, InputError) as error:
                self.captures.listener.message(f"{sides[1].label}: {error}")
        runs = self.captures.together(*sides)
        if runs is None or runs[0].manifest is None or runs[1].manifest is None:
            return is_shown, None
        judged = judge_latency(runs[0].manifest, runs[1].manifest, MARGIN)
        step = None if judged is None else explained_step(runs[0], runs[1], judged, self.plan.reading)
        return is_shown, step

    def _result(
        self, outcome: Outcome, search: Search | None, boundary: Boundary | None, step: SweepStep | None = None
    ) -> BisectResult:
        labels = [configuration.label for configuration in self.plan.versions]
        figure = self.plan.figure
        return BisectResult(
            subject=self.plan.versions[0].workload.name,
            figure=figure.name,
            unit="ratio" if figure.is_ratio else "value",
            versions=labels,
            boundary=None if boundary is None else shown_value(figure, boundary.value),
            confidence=1 - self.level,
            error=ERROR,
            tests=self._tests,
            outcome=outcome,
            last_good=None if search is None else labels[search.good],
            first_bad=None if search is None else labels[search.bad],
            between=[] if search is None else [labels[position] for position in search.between],
            step=step,
        )

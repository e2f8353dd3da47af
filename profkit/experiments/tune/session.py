"""Runs the two stages of an experiment over settings, and chooses what to recommend."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from profkit.capture.environments.environments import Environments
from profkit.capture.plan import Configuration
from profkit.capture.preview import counted
from profkit.capture.stopping import latency_ratio
from profkit.capture.task import Listener
from profkit.comparison.many import judge_as_one_table
from profkit.comparison.records.load import LoadPoint
from profkit.comparison.records.parts import Judged
from profkit.comparison.records.sweep import SweepPoint
from profkit.comparison.records.tune import Part, Recipe, Tried, TuneResult
from profkit.errors import CaptureError
from profkit.experiments.sweep.session import Sweep, SweepPlan
from profkit.experiments.tune.candidates import BASELINE, Candidate, combined, options_of
from profkit.experiments.tune.serving import measure_processes
from profkit.runs.manifest import Host, Manifest
from profkit.runs.settings import Settings
from profkit.runs.store import read_manifest
from profkit.trace.options import ReadOptions
from profkit.views.sweep import view_sweep


class TunePlan(msgspec.Struct, frozen=True):
    """What an experiment measures. ``configure`` returns the configuration of a candidate.

    ``command`` is the command that captures the baseline, to which the options of a candidate are added.
    Outputs may differ from those of the baseline down to a cosine similarity of ``least_cosine``. ``processes``: find
    out, too, how many processes serve the recipe best.
    """

    configure: Callable[[Candidate], Configuration]
    candidates: Sequence[Candidate]
    command: str
    options: Settings
    logdir: Path
    disk_bytes: int
    least_cosine: float
    margin: float
    reading: ReadOptions
    processes: bool = False


@dataclass(slots=True)
class Tuning:
    """An experiment under way."""

    plan: TunePlan
    environments: Environments
    listener: Listener
    host: Host
    _failures: dict[tuple[str, str], str] = field(default_factory=dict, init=False)
    _warnings: list[str] = field(default_factory=list, init=False)

    def describe(self) -> str:
        """Say how many candidates there are, of how many factors."""
        factors = {candidate.factor for candidate in self.plan.candidates}
        return f"{counted(len(self.plan.candidates), 'candidate')} of {counted(len(factors), 'factor')}, each alone"

    def run(self) -> TuneResult:
        """Measure, and return what pays. Raises CaptureError if the baseline cannot be captured."""
        points = self._measure(self.plan.candidates)
        baseline = points[0]
        tried = [self._tried(c, point) for c, point in zip(self.plan.candidates, points[1:], strict=True)]
        best = _best_of_factors(self.plan.candidates, tried)
        if len(best) < 2:
            point = next((t.point for t in tried if t.name in {candidate.name for candidate in best}), baseline)
            return self._result(baseline, tried, best, point)
        self.listener.message(f"together: {combined(best).name}")
        together, *without = self._measure([combined(best), *_each_left_out(best)])[1:]
        parts = self._parts(best, tried, together, without)
        chosen, point = self._choose(best, tried, parts, together)
        alone = [part.alone.speedup for part in parts if part.alone.speedup is not None]
        found = self._result(baseline, tried, chosen, point)
        return msgspec.structs.replace(found, parts=parts, product=math.prod(alone), together=together)

    def _measure(self, chosen: Sequence[Candidate]) -> list[SweepPoint]:
        """Capture the baseline and candidates by turns; return their points, the baseline's first."""
        plan = self.plan
        configurations = [plan.configure(candidate) for candidate in (BASELINE, *chosen)]
        steps = [[configuration] for configuration in configurations]
        sweep = Sweep(
            SweepPlan(steps, plan.options, plan.logdir, discard=False, disk_bytes=plan.disk_bytes),
            self.environments,
            self.listener,
            self.host,
        )
        sweep.run()
        self._failures.update(sweep.failures)
        labels = [configuration.label for configuration in configurations]
        name = configurations[0].workload.name
        reason = self._failures.get((labels[0], name))
        if reason is not None:
            raise CaptureError(f"{labels[0]} cannot be captured: {reason}")
        seen = view_sweep(plan.logdir, labels, [name], self._failures, plan.reading, plan.margin)
        self._warnings += [text for text in seen.warnings if text not in self._warnings]
        return seen.workloads[0].points

    def _tried(self, candidate: Candidate, point: SweepPoint) -> Tried:
        kept = self._keeps_outputs(point)
        return Tried(
            factor=candidate.factor,
            name=candidate.name,
            source=candidate.source,
            options=options_of(candidate),
            point=point,
            outputs_kept=kept,
            is_promising=point.over_first.verdict == "faster" and kept is not False,
        )

    def _keeps_outputs(self, point: SweepPoint) -> bool | None:
        """Whether the outputs are within the limit; False if they cannot be compared, None if none were kept."""
        if point.outputs is None:
            return None
        cosine = point.outputs.cosine_similarity
        return cosine is not None and cosine >= self.plan.least_cosine

    def _parts(
        self, best: Sequence[Candidate], tried: Sequence[Tried], together: SweepPoint, without: Sequence[SweepPoint]
    ) -> list[Part]:
        """Return what each factor adds to the combination, judged as one table."""
        whole = self._manifest(together)
        ratios = {}
        for candidate, point in zip(best, without, strict=True):
            run = self._manifest(point)
            ratios[candidate.factor] = None if run is None or whole is None else latency_ratio(run, whole)
        beside = judge_as_one_table(ratios, self.plan.margin)
        alone = {t.factor: t.point.over_first for t in tried if t.name in {c.name for c in best}}
        return [
            Part(name=c.name, factor=c.factor, alone=alone[c.factor], beside=beside.get(c.factor, Judged()))
            for c in best
        ]

    def _choose(
        self, best: Sequence[Candidate], tried: Sequence[Tried], parts: Sequence[Part], together: SweepPoint
    ) -> tuple[list[Candidate], SweepPoint]:
        """Return the candidates that pay together, and what was measured with them.

        Those that add nothing shown are left out, if what is left is shown to be faster; if no one adds anything shown,
        all stay. If the combination itself is not faster, it is the best candidate alone.
        """
        if self._is_good(together):
            adding = [c for c, part in zip(best, parts, strict=True) if part.beside.verdict == "faster"]
            if len(adding) == len(best) or not adding:
                return list(best), together
            point = self._measure([combined(adding)])[1]
            if self._is_good(point):
                return adding, point
            return list(best), together
        single = max((t for t in tried if t.is_promising), key=lambda t: t.point.over_first.speedup or 0.0)
        return [c for c in best if c.name == single.name], single.point

    def _is_good(self, point: SweepPoint) -> bool:
        return point.over_first.verdict == "faster" and self._keeps_outputs(point) is not False

    def _manifest(self, point: SweepPoint) -> Manifest | None:
        return None if point.path is None else read_manifest(Path(point.path))

    def _serving(self, chosen: Candidate) -> list[LoadPoint]:
        plan = self.plan
        if not plan.processes:
            return []
        self.listener.message("how many processes: a load test")
        try:
            return measure_processes(plan.configure(chosen), plan.options, self.environments, self.listener)
        except CaptureError as error:  # the rest of the answer stands
            self._warnings.append(f"the number of processes was not measured: {error}")
            return []

    def _result(
        self, baseline: SweepPoint, tried: list[Tried], chosen: Sequence[Candidate], point: SweepPoint
    ) -> TuneResult:
        whole = combined(chosen)
        return TuneResult(
            workload=self.plan.configure(BASELINE).workload.name,
            baseline=baseline,
            least_cosine=self.plan.least_cosine,
            tried=tried,
            recipe=Recipe(
                names=[candidate.name for candidate in chosen],
                command=f"{self.plan.command} {options_of(whole)}".strip(),
                settings={name: str(value) for name, value in whole.settings.items()},
                variables=dict(whole.variables),
                point=point,
            ),
            serving=self._serving(whole),
            warnings=self._warnings,
        )


def _best_of_factors(candidates: Sequence[Candidate], tried: Sequence[Tried]) -> list[Candidate]:
    """Return the promising candidate of each factor with the largest speedup, in the order of the factors."""
    best: dict[str, tuple[float, Candidate]] = {}
    for candidate, found in zip(candidates, tried, strict=True):
        gain = found.point.over_first.speedup or 0.0
        if found.is_promising and gain > best.get(candidate.factor, (0.0, candidate))[0]:
            best[candidate.factor] = gain, candidate
    return [candidate for _, candidate in best.values()]


def _each_left_out(best: Sequence[Candidate]) -> list[Candidate]:
    return [combined([other for other in best if other is not candidate]) for candidate in best]

"""Runs an operator alone under two versions, by turns, and compares that with its calls in the model."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from profkit import children, units
from profkit.arrays import Integers
from profkit.capture.environments.environments import Environments
from profkit.capture.task import Listener
from profkit.capture.variables import worker_environment
from profkit.comparison.records.parts import Judged
from profkit.comparison.records.repro import Outcome, ReproResult, ReproSide
from profkit.errors import CaptureError, InputError
from profkit.experiments.repro.calls import Call, calls_of, choose_call, shape_text
from profkit.experiments.repro.primitives import commands_of
from profkit.experiments.repro.script import script_of
from profkit.runs.manifest import Host, Manifest
from profkit.runs.measurement import measure
from profkit.runs.pairing import pair_rounds
from profkit.runs.store import Run
from profkit.shortening import LONGEST_QUOTED, shorten
from profkit.stats.inference import compare_samples, one_row, typical
from profkit.stats.judged import Design
from profkit.trace.options import ReadOptions

SCRIPT_NAME = "operator_alone.py"
_GRACE_S = 5


class _Timing(msgspec.Struct, frozen=True):
    """What the script prints."""

    ns: float
    calls: int


class ReproPlan(msgspec.Struct, frozen=True):
    """Which operator of which two runs is timed, how often, and where the script is written."""

    runs: tuple[Run, Run]
    operator: str
    shape: str | None
    rounds: int
    folder: Path
    most_s: float
    margin: float
    reading: ReadOptions


@dataclass(slots=True)
class Reproduction:
    """A reproduction under way. ``environ`` are the variables of this process."""

    plan: ReproPlan
    environments: Environments
    listener: Listener
    host: Host
    environ: Mapping[str, str]
    _times: list[list[Integers]] = field(default_factory=lambda: [[], []], init=False)

    def run(self) -> ReproResult:
        """Write the script, run it, and return the result.

        Raises InputError if the runs do not record the call, CaptureError if the script fails.
        """
        plan = self.plan
        manifests = [_manifest(run) for run in plan.runs]
        calls = [calls_of(run, plan.operator, plan.reading) for run in plan.runs]
        context = _Context.of(plan)
        call = choose_call(calls, context.cost_ns, plan.shape)
        threads = manifests[1].settings.threads
        path = plan.folder / SCRIPT_NAME
        path.write_text(script_of(call, threads), encoding="utf-8")
        self._time(path, manifests)
        design = Design(plan.margin, paired=True)
        (alone,) = compare_samples(*(one_row(side) for side in self._times), design=design)
        found = context.judged(call.shape)
        return ReproResult(
            operator=plan.operator,
            shape=call.shape,
            types=call.types,
            values=call.values or [],
            threads=threads,
            host=f"{self.host.cpu}, {self.host.cores} cores",
            rounds=plan.rounds,
            sides=[self._side(number, manifests[number], context, call) for number in (0, 1)],
            context=found,
            alone=alone,
            outcome=outcome_of(found, alone),
            script=str(path),
        )

    def _time(self, path: Path, manifests: Sequence[Manifest]) -> None:
        """Run the script in fresh processes of both versions, in an order that alternates."""
        pythons = [self.environments.ensure(_version(manifest)).python for manifest in manifests]
        for number in range(self.plan.rounds):
            self.listener.started(f"{self.plan.operator}, round {number + 1} of {self.plan.rounds}", "")
            order = (0, 1) if number % 2 == 0 else (1, 0)
            took = {side: self._once(pythons[side], path, manifests[side]) for side in order}
            for side in (0, 1):
                self._times[side].append(np.array([round(took[side].ns)], dtype=np.int64))
            shown = " and ".join(f"{manifests[side].label} {units.duration(took[side].ns)}" for side in (0, 1))
            self.listener.result(f"round {number + 1}: {shown}")

    def _once(self, python: Path, path: Path, manifest: Manifest) -> _Timing:
        environment = worker_environment(self.environ, manifest.environment)
        process = children.start(
            [python, "-I", path], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            printed, said = process.communicate(timeout=self.plan.most_s)
        except subprocess.TimeoutExpired:
            raise CaptureError(f"the script took longer than {self.plan.most_s:g} s", where=path) from None
        finally:
            children.end(process, 0, _GRACE_S)
        try:
            return msgspec.json.decode(printed, type=_Timing)
        except msgspec.DecodeError:
            reason = shorten((said or printed).strip().splitlines()[-1] if said or printed else "", LONGEST_QUOTED)
            raise CaptureError(f"the script failed under {manifest.label}: {reason}", where=path) from None

    def _side(self, number: int, manifest: Manifest, context: _Context, call: Call) -> ReproSide:
        torch = manifest.torch
        assert torch is not None
        return ReproSide(
            label=manifest.label,
            torch=torch.version,
            onednn=torch.onednn,
            context_ns=context.time_ns(number, call.shape),
            alone_ns=float(typical(one_row(self._times[number]))[0]),
            variables=dict(manifest.environment),
            benchdnn=commands_of(
                self.plan.runs[number], self.plan.operator, context.dims[call.shape], self.plan.reading
            ),
        )


class _Context(msgspec.Struct, frozen=True):
    """The calls in the model: time per call of each shape and side (ns), one array of the shape (forwards,) a round."""

    rounds: tuple[Mapping[str, Sequence[Integers]], Mapping[str, Sequence[Integers]]]
    cost_ns: dict[str, float]
    dims: dict[str, str]
    design: Design

    @classmethod
    def of(cls, plan: ReproPlan) -> _Context:
        sides: list[dict[str, Sequence[Integers]]] = []
        cost: dict[str, float] = {}
        texts: dict[str, str] = {}
        pairing = pair_rounds(*(_manifest(run) for run in plan.runs))
        for run, chosen in zip(plan.runs, (pairing.baseline, pairing.candidate), strict=True):
            measured = measure(run, ("shape",), plan.reading).select(chosen)
            table = measured.tables["shape"]
            found: dict[str, Sequence[Integers]] = {}
            for key in table.keys:
                if key[0] == plan.operator:
                    shape = shape_text(json.loads(key[1] or "[]"))
                    texts[shape] = key[1] or "[]"
                    calls, total = (table.rounds(name, [key]) for name in ("calls", "total_ns"))
                    found[shape] = [t[0] // np.maximum(1, c[0]) for t, c in zip(total, calls, strict=True)]
                    cost[shape] = cost.get(shape, 0.0) + float(np.median(np.concatenate([t[0] for t in total])))
            sides.append(found)
        return cls((sides[0], sides[1]), cost, texts, pairing.design(plan.margin))

    def judged(self, shape: str) -> Judged:
        before, after = (side.get(shape) for side in self.rounds)
        if before is None or after is None:
            return Judged()
        return compare_samples(one_row(before), one_row(after), design=self.design)[0]

    def time_ns(self, number: int, shape: str) -> float | None:
        rounds = self.rounds[number].get(shape)
        return None if rounds is None else float(typical(one_row(rounds))[0])


def outcome_of(context: Judged, alone: Judged) -> Outcome:
    """Return what the operator in the model and the operator alone say together."""
    if alone.is_shown and context.verdict == alone.verdict:
        return "reproduces"
    if context.is_shown and (alone.verdict == "same" or alone.is_shown):
        return "only in context"
    if context.verdict == "same" and alone.verdict == "same":
        return "no change"
    return "inconclusive"


def _manifest(run: Run) -> Manifest:
    if run.manifest is None or run.manifest.torch is None:
        raise InputError(
            "has no manifest that names its PyTorch", where=run.path, hint="Use a run that profkit captured."
        )
    return run.manifest


def _version(manifest: Manifest) -> str:
    assert manifest.torch is not None
    return manifest.torch.version.partition("+")[0]

"""Warnings about the runs of a comparison: few samples, instability, damage, failed captures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from profkit import units
from profkit.arrays import Integers
from profkit.runs.measurement import Measurement
from profkit.runs.pairing import Pairing, how_apart, rounds_for_interval
from profkit.shortening import listed
from profkit.stats.judged import ROUNDS_NEEDED
from profkit.stats.stability import check_stability

_OF_A_ROUND = re.compile(r"round (\d+): (.*)", re.S)


def cautions(baseline: Measurement, candidate: Measurement, pairing: Pairing) -> Iterator[str]:
    """Yield the warnings about one workload's comparison."""
    workload = baseline.run.workload
    if baseline.rule != candidate.rule:
        yield (
            f"{workload}: the forwards were found by different rules ({baseline.rule}, {candidate.rule}), so their "
            "wall times include different things."
        )
    for side in (baseline, candidate):
        if not any(table.keys for table in side.tables.values()):
            yield f"{workload}: no operator starts in a forward of {side.run.label}, so there is none to compare."
    if baseline.run.path.resolve() == candidate.run.path.resolve():
        yield f"{workload}: both sides are the same run."
        yield from _about(baseline)
        return
    yield from _about_pairing(baseline, candidate, pairing)
    for side in (baseline, candidate):
        yield from _about(side)


def _about_pairing(baseline: Measurement, candidate: Measurement, pairing: Pairing) -> Iterator[str]:
    workload = baseline.run.workload
    apart = how_apart(baseline.run.manifest, candidate.run.manifest, pairing)
    if apart is not None:
        yield (
            f"{workload}: the two sides were {apart}, so what changed on the machine in between is part of the "
            "difference. Capture both in one command: their rounds are then compared pairwise."
        )
    if any(pairing.left_out):
        count = max(pairing.left_out)
        yield f"{workload}: {count} round{'s' * (count != 1)} left out because other work disturbed the capture."


def _about(side: Measurement) -> Iterator[str]:
    manifest = side.run.manifest
    who = side.run.title
    yield from (f"{who}: {text}" for text in side.warnings)
    for text in stability_warnings(side.latency_ns or side.forward_ns, rounds_for_interval(side.data.chosen_rounds)):
        yield f"{who}: {text}"
    if any(side.anomalies.values()):
        odd = ", ".join(f"{n} {name}" for name, n in side.anomalies.items() if n)
        yield f"{who}: anomalies in the trace: {odd}."
    if side.repairs:
        repaired = ", ".join(f"{n} × {defect}" for defect, n in side.repairs.items())
        yield f"{who}: the trace was damaged and has been repaired: {repaired}."
    if side.calls.others:
        whole = side.calls.others + len(side.calls.total_ns)
        yield (
            f"{who}: {side.calls.others} of {whole} forwards call other operators than the rest; calls are aligned "
            "by the most frequent call tree."
        )
    if manifest is not None:
        if manifest.status != "complete":
            yield f"{who}: the capture did not finish: {manifest.reason}"
        yield from (f"{who}: round {f.round}: {f.reason}; {f.instead}." for f in manifest.fallbacks)
        yield from (f"{who}: {text}" for text in _by_round(manifest.warnings))


def _by_round(warnings: Sequence[str]) -> Iterator[str]:
    """Yield the warnings of a manifest; one that several rounds have is said once, with their numbers."""
    rounds: dict[str, list[str]] = {}
    for text in warnings:
        found = _OF_A_ROUND.fullmatch(text)
        rounds.setdefault(found[2] if found else text, []).extend([found[1]] if found else [])
    for text, numbers in rounds.items():
        if not numbers:
            yield text
        else:
            yield f"round{'s' * (len(numbers) > 1)} {listed(numbers)}: {text}"


def stability_warnings(rounds: Sequence[Integers], needed: int = ROUNDS_NEEDED) -> Iterator[str]:
    """Yield what makes wall times (ns, one array per round) weak evidence, each with what to do about it.

    An interval takes ``needed`` rounds: more than two if other work disturbed some.
    """
    if len(rounds) < ROUNDS_NEEDED:
        what = "a single forward" if sum(map(len, rounds)) == 1 else "a single round"
        yield (
            f"{what}: how much processes differ is unknown, so there is no interval and no verdict. Capture more "
            "rounds with profkit capture --rounds 5."
        )
        return
    if len(rounds) < needed:
        yield (
            f"other work disturbed rounds, and with fewer than {needed} rounds all may be far off, so there is no "
            "interval and no verdict. Stop other work (profkit machine names it), and add rounds with profkit capture "
            f"--rounds {needed}."
        )
    elif len(rounds) == ROUNDS_NEEDED:
        yield "only two rounds, so the intervals are wide. Add rounds with profkit capture --rounds 5."
    found = check_stability(rounds)
    if found.drift is not None:
        yield (
            f"forwards get {_change(found.drift)} within each round: measuring began before the model was warm, or the "
            "machine throttles. Capture with a longer --warmup, on a machine that has cooled down."
        )
    elif found.trend is not None:
        yield (
            f"later rounds are {_change(found.trend)}: the machine throttles or is shared. Set the CPU governor to "
            "performance, stop other work, and capture again."
        )
    elif (modes := found.modes) is not None:
        yield (
            f"the wall times have two modes, {units.duration(modes.low_ns)} and {units.duration(modes.high_ns)} "
            f"({units.share(modes.upper_share)} of the forwards). More rounds (--rounds 6) show how often each occurs."
        )


def _change(relative: float) -> str:
    return f"{units.share(abs(relative))} {'slower' if relative > 0 else 'faster'}"

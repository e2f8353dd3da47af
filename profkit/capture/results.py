"""What a capture knows so far, in words: each configuration's latency, and its ratio to the first one."""

from __future__ import annotations

from collections.abc import Sequence

from profkit import units
from profkit.capture.stopping import judge_latency
from profkit.capture.task import Task
from profkit.runs.contents import typical_ns
from profkit.runs.manifest import Manifest
from profkit.stats.judged import MARGIN


def describe_block(name: str, first: Task, captured: Sequence[Task]) -> str:
    """Return the latencies of a block (medians of its rounds) and the ratios to ``first`` over all rounds.

    ``captured`` are the tasks that have a round in it. There is no verdict before the capture has ended: one that is
    looked at again and again is right less often.
    """
    parts = []
    for task in captured:
        rounds = task.manifest.rounds
        latency = typical_ns([rounds[-1].latency_ns])
        text = f"{task.configuration.label} {units.duration(latency)}" if latency is not None else "no latency"
        judged = judge_latency(first.manifest, task.manifest, MARGIN) if task is not first else None
        if judged is not None and judged.speedup is not None:
            interval = "" if judged.low is None else f" [{judged.low:.3f}, {judged.high:.3f}]"
            text += f" ({judged.speedup:.3f}x{interval})"
        if rounds[-1].disturbed:
            text += f" (disturbed: {rounds[-1].disturbed})"
        parts.append(text)
    return f"{name}: {', '.join(parts)}"


def describe_run(first: Manifest | None, manifest: Manifest) -> str:
    """Return the latency of a run over its rounds, and its ratio to the run of the first configuration, if another."""
    latency = typical_ns([r.latency_ns for r in manifest.rounds])
    disturbed = sum(bool(r.disturbed) for r in manifest.rounds)
    count = len(manifest.rounds)
    text = f"{count} round{'s' * (count != 1)}" + (f" ({disturbed} disturbed)" if disturbed else "")
    if latency is not None:
        text = f"{units.duration(latency)}, {text}"
    if first is not None and first is not manifest:
        text += f": {describe_ratio(first, manifest)}"
    return text


def describe_ratio(first: Manifest, manifest: Manifest) -> str:
    """Return the speedup of a run over that of the first configuration, with the verdict that a comparison gives."""
    judged = judge_latency(first, manifest, MARGIN)
    if judged is None or judged.speedup is None:
        return "no ratio"
    if judged.low is None:
        return f"{units.ratio(judged.speedup)} of {first.label}, no verdict: {judged.why_no_interval}"
    verdict = {"faster": "faster than", "slower": "slower than", "same": "the same as"}.get(judged.verdict or "")
    interval = f"{judged.speedup:.3f}x [{judged.low:.3f}, {judged.high:.3f}]"
    return f"{interval}, {verdict or 'inconclusive against'} {first.label}"

"""Lists the contents of a manifest as text, for the reports that describe a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from profkit import units
from profkit.report.document import Cell, Column, Table, plural

if TYPE_CHECKING:
    from profkit.runs.manifest import Manifest


def median(values: Sequence[int]) -> float | None:
    """Return the median; None for an empty sequence."""
    import numpy as np

    return float(np.median(values)) if len(values) else None


def facts_table(title: str, facts: Sequence[tuple[str, str]]) -> Table:
    """Return a table of two columns, names and values."""
    pair = [Column("", right=False), Column("", right=False, flexible=True)]
    return Table(title, pair, [[Cell(name), Cell(text)] for name, text in facts])


def manifest_facts(manifest: Manifest) -> list[tuple[str, str]]:
    """Return the contents of a manifest as (name, text) rows."""
    from profkit.runs.configuration import own_variables
    from profkit.runs.contents import typical_ns

    torch, host = manifest.torch, manifest.host
    inputs = ", ".join(f"{i.dtype}{i.shape}" for i in manifest.workload.inputs)
    off = typical_ns([r.latency_ns for r in manifest.rounds])
    on = typical_ns([r.profiled_ns for r in manifest.rounds])
    facts = [
        ("status", manifest.status if manifest.reason is None else f"{manifest.status}: {manifest.reason}"),
        ("workload", f"{manifest.workload.name} ({manifest.workload.source}), {inputs}"),
        ("weights SHA-256", (manifest.workload.weights_sha256 or units.NOTHING)[:12]),
        *manifest.settings.rows(),
        *((name, manifest.environment[name]) for name in sorted(own_variables(manifest))),
        ("rounds", str(len(manifest.rounds))),
        (
            "host",
            ", ".join(
                filter(
                    None, [host.cpu, plural(host.cores, "core") if host.cores else None, host.instance_type, host.os]
                )
            ),
        ),
    ]
    if torch is not None:
        version = torch.version + (f"+{torch.wheel}" if torch.wheel else "")
        threads = [plural(torch.threads, "thread")] if torch.threads is not None else []
        facts.insert(2, ("PyTorch", ", ".join([version, f"oneDNN {torch.onednn or 'none'}", *threads])))
        facts.insert(3, ("CPU capability", torch.cpu_capability or units.NOTHING))
    if manifest.python is not None:
        facts.append(("Python", manifest.python.version))
    if off and on:
        facts.append(("latency p50", f"{units.duration(off)} with the profiler off"))
        facts.append(("observer effect", f"{units.ratio(on / off)} (profiled {units.duration(on)})"))
    facts += _counted(manifest)
    if manifest.primitives is not None:
        facts.append(
            ("oneDNN log", f"{manifest.primitives.log}, with a trace of {manifest.primitives.steps} warm forwards")
        )
    facts += [("fallback", f"round {f.round}: {f.reason}; {f.instead}") for f in manifest.fallbacks]
    facts += [("warning", text) for text in manifest.warnings]
    return facts


def _counted(manifest: Manifest) -> list[tuple[str, str]]:
    """Return what the operating system counted, per latency forward of all rounds."""
    rounds = manifest.rounds
    cpu_ns = median([ns for r in rounds for ns in r.counters.cpu_ns])
    if cpu_ns is None:
        return []
    faults = median([n for r in rounds for n in r.counters.minor_faults])
    switches = median([n for r in rounds for n in r.counters.involuntary_switches])
    found = [
        ("CPU time per forward", units.duration(cpu_ns)),
        ("page faults per forward", units.count(faults)),
        ("involuntary context switches per forward", units.count(switches)),
    ]
    peaks = [r.peak_memory_bytes for r in rounds if r.peak_memory_bytes is not None]
    loads = [r.load.one_minute for r in rounds if r.load.one_minute is not None]
    steals = [r.load.steal_share for r in rounds if r.load.steal_share is not None]
    found += [("peak memory", units.size(max(peaks)))] if peaks else []
    found += [("load average per round", ", ".join(f"{load:.1f}" for load in loads))] if loads else []
    found += [("CPU time stolen per round", ", ".join(units.share(steal) for steal in steals))] if steals else []
    others = [r.load.other_share for r in rounds if r.load.other_share is not None]
    found += [("CPU time of other processes per round", ", ".join(map(units.share, others)))] if others else []
    found += [("disturbed", f"round {r.index}: {r.disturbed}") for r in rounds if r.disturbed]
    return found

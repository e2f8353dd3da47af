"""Ranks of distributed jobs side by side: how far they spread, which is the slowest, and by which operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from profkit.comparison.records.ranks import RankEntry, RankJob, RanksResult, Straggler
from profkit.errors import UsageError
from profkit.fleet.sql import Tables
from profkit.stats.quantiles import median

_RANKS = """
SELECT run, any_value(workload), any_value(label), min(date), max(world_size), rank,
  CASE WHEN count(DISTINCT host) = 1 THEN min(host) END, count(*), exp(avg(ln(profiled_ns)))
FROM rounds WHERE ({where}) AND rank IS NOT NULL AND profiled_ns > 0 GROUP BY run, rank ORDER BY run, rank
"""
# of the slowest rank of each job: each operator, less the median of all ranks; a rank without the operator has zero
_EXTRA = """
WITH chosen AS (SELECT batch, trace FROM rounds WHERE ({where}) AND rank IS NOT NULL),
  slowest AS (SELECT unnest(?::VARCHAR[]) AS run, unnest(?::BIGINT[]) AS rank, unnest(?::BIGINT[]) AS ranks),
  each AS (SELECT o.run, o.rank, o.name, avg(o.self_ns) AS ns FROM operators o SEMI JOIN chosen USING (batch, trace)
    WHERE o.rank IS NOT NULL AND o.forwards > 0 GROUP BY ALL),
  typical AS (SELECT run, name, list(ns) AS known FROM each GROUP BY ALL)
SELECT s.run, e.name, e.ns, t.known, s.ranks FROM slowest s JOIN each e ON e.run = s.run AND e.rank = s.rank
JOIN typical t ON t.run = s.run AND t.name = e.name
"""


def side_by_side(tables: Tables, index: str, where: str = "true") -> RanksResult:
    """Return the jobs with traces of two ranks or more, the largest spread first.

    Raises UsageError if the condition ``where`` is wrong, or no trace that meets it names a rank.
    """
    jobs: dict[str, list[tuple[Any, ...]]] = {}
    for row in tables.ask(_RANKS.format(where=where)).rows:
        jobs.setdefault(row[0], []).append(row)
    several = [rows for rows in jobs.values() if len(rows) > 1]
    if not several:
        hint = "PyTorch writes the rank into traces if torch.distributed is initialised while it profiles."
        raise UsageError("no two traces of a folder name different ranks", where=index, hint=hint)
    found = _explained(tables, where, [_job(rows) for rows in several])
    found.sort(key=lambda job: (-job.spread, job.run))
    return RanksResult(index=index, jobs=found, stragglers=_stragglers(found))


def _job(rows: Sequence[tuple[Any, ...]]) -> RankJob:
    run, workload, label, date, world_size, *_ = rows[0]
    ranks = [RankEntry(rank=rank, host=host, traces=count, wall_ns=ns) for *_, rank, host, count, ns in rows]
    slowest = max(ranks, key=lambda entry: entry.wall_ns)
    middle = float(median(np.array([entry.wall_ns for entry in ranks])))
    return RankJob(
        run=run,
        workload=workload,
        label=label,
        date=date,
        world_size=world_size,
        ranks=ranks,
        spread=slowest.wall_ns / middle,
        slowest=slowest.rank,
    )


def _explained(tables: Tables, where: str, jobs: Sequence[RankJob]) -> list[RankJob]:
    """Return the jobs with the operator that makes the slowest rank slow."""
    runs, slowest = [job.run for job in jobs], [job.slowest for job in jobs]
    answer = tables.ask(_EXTRA.format(where=where), [runs, slowest, [len(job.ranks) for job in jobs]])
    largest: dict[str, tuple[float, str]] = {}
    for run, name, ns, known, ranks in answer.rows:
        extra = ns - float(median(np.array([*known, *[0.0] * (ranks - len(known))])))
        if extra > 0:
            largest[run] = max(largest.get(run, (0.0, "")), (extra, name))
    return [
        replace(job, operator=largest[job.run][1], extra_ns=largest[job.run][0]) if job.run in largest else job
        for job in jobs
    ]


def _stragglers(jobs: Sequence[RankJob]) -> list[Straggler]:
    took_part: Counter[str] = Counter()
    slowest: Counter[str] = Counter()
    for job in jobs:
        took_part.update({entry.host for entry in job.ranks if entry.host is not None})
        slowest.update(entry.host for entry in job.ranks if entry.rank == job.slowest and entry.host is not None)
    rows = [Straggler(host=host, jobs=took_part[host], slowest=count) for host, count in slowest.items()]
    return sorted(rows, key=lambda row: (-row.slowest, row.host))

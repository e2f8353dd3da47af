"""``profkit diff``: compare a candidate with a baseline."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from profkit.cli.index_options import asked_of, by_name_or_shape, chosen, index_options
from profkit.cli.options import (
    Output,
    by_option,
    forward_option,
    margin_option,
    output_options,
    read_options,
    selection_options,
)
from profkit.cli.run_argument import RUN, RUN_OR_INDEX, Place
from profkit.cli.show import show
from profkit.errors import UsageError
from profkit.report.kinds.diff import KIND
from profkit.report.rendering import FORMATS

if TYPE_CHECKING:
    from profkit.comparison.records.diff import Comparison
    from profkit.fleet.selection import Asked
    from profkit.trace.options import By, ReadOptions

EPILOG = """\b
Examples:
  profkit diff logs/1.13 logs/2.0
  profkit diff logs/1.13 logs/2.0 --by shape --filter conv --top 10
  profkit diff before.pt.trace.json.gz after.pt.trace.json.gz --sort self
  profkit diff logs/1.13 logs/2.0 --output diff.json      (profkit render shows it again)
  profkit diff logs/1.13 logs/2.0 --output diff.html      (one page with pictures)
  profkit diff logs/1.13 logs/2.0 --plot waterfall --output waterfall.png
  profkit diff logs/main logs/change --fail-if 'latency > 3%' --fail-if 'outputs.cosine < 0.999'

\b
Rules of --fail-if: SUBJECT, one of > >= < <=, LIMIT.
  latency > 3%            the latency grew by more than 3% (+3% means the same)
  latency > +2ms          the latency grew by more than 2 ms: a time with a sign is a change
  latency > 30ms          the candidate's latency is above 30 ms: a time without a sign
  aten::conv2d.self > 5%  self host time of an operator per forward; .total for its total
  aten::conv*.self > 5%   each operator that matches (*, ?, [...]; upper and lower case differ)
  outputs.cosine < 0.999  a number, also for outputs.error
Subjects: latency (profiler off, median), p50, p90 (from 100 forwards a side), p99 (from 1,000), profiled (forward under
the profiler), forward (latency; profiled if there is none), geomean (percentage only), OPERATOR.self,
OPERATOR.total, outputs.cosine, outputs.error. Units: %, ns, us, ms, s.

\b
A rule fails if the whole 95% interval is beyond the limit, passes if the whole interval is within it,
and is inconclusive otherwise or without an interval. Rules that did not pass are listed on standard error.
Rules can also be set in pyproject.toml: [tool.profkit] fail-if = ["latency > 3%"]
"""


@click.command("diff", epilog=EPILOG)
@click.argument("baseline", type=RUN_OR_INDEX, metavar="BASELINE|INDEX")
@click.argument("candidate", type=RUN, required=False)
@click.option(
    "--fail-if",
    "rules",
    multiple=True,
    metavar="RULE",
    help="Exit with status 1 if the whole 95% interval is beyond this limit. Repeatable; overrides pyproject.toml.",
)
@index_options
@margin_option
@click.option("--fail-inconclusive", is_flag=True, help="Also exit with status 1 if a rule is inconclusive.")
@by_option
@selection_options(KIND)
@read_options
@forward_option
@output_options(*FORMATS, plots=tuple(KIND.pictures))
def command(
    baseline: Place,
    candidate: Path | None,
    choice: tuple[str | None, str | None],
    rules: tuple[str, ...],
    fail_inconclusive: bool,
    margin: float,
    by: By,
    sort: str,
    top: int | None,
    pattern: str | None,
    reading: ReadOptions,
    output: Output,
) -> int:
    """Show what changed from BASELINE to CANDIDATE, by how much, and with what confidence.

    Each side is a folder of runs, one run, or one trace file. All workloads that both folders have are compared. A
    speedup is baseline / candidate: above 1, the candidate is faster. The verdict is "same" if the whole 95% interval
    is within 2% of 1, "inconclusive" if the data cannot decide, and "unresolved" if the change is smaller than the
    clock resolution.

    With one INDEX of profkit index instead, the two groups that --where chooses are compared, by what the index knows:
    medians per round, without calls, primitives and outputs.
    """
    from profkit.cli.configuration import configured_rules
    from profkit.comparison.gate_rules import parse_rule
    from profkit.views.diff import PendingComparison

    gates = [parse_rule(rule) for rule in rules or configured_rules(Path.cwd())]
    is_page = output.format == "html" and output.plot is None
    asked = asked_of(baseline, choice)
    if asked is not None:
        found = _of_index(asked, candidate, by, margin / 100)
    else:
        assert isinstance(baseline, Path)
        if candidate is None:
            raise UsageError(
                "there is no candidate", hint="Name a baseline and a candidate, or one index of profkit index."
            )
        with PendingComparison.of(baseline, candidate, by, reading, for_page=is_page) as pending:
            if is_page:  # imported while other processes read the traces
                import_module("profkit.report.formats.html.render").page_template()
            found = pending.result(margin / 100)
    from profkit.comparison.gate import judge
    from profkit.report.escape import plain

    comparison = judge(found.pop(by), gates)
    others: dict[str, Comparison] = {str(kind): other for kind, other in found.items()}
    show(KIND, comparison, output, pattern, sort, top, others)
    for outcome in ("inconclusive", "failed"):  # failures last: a log is read from its end
        for gate in comparison.gates:
            if gate.outcome == outcome:
                click.echo(plain(f"gate {gate.outcome}: {gate.rule}: {gate.found}"), err=True)
    failing = ("failed", "inconclusive") if fail_inconclusive else ("failed",)
    return 1 if any(gate.outcome in failing for gate in comparison.gates) else 0


def _of_index(asked: Asked, candidate: Path | None, by: By, margin: float) -> dict[By, Comparison]:
    """Compare the two groups that are asked for; raises UsageError if there are not two."""
    if candidate is not None:
        raise UsageError("an index is named alone", hint="--group-by and --where say what is compared in it.")
    grouping = by_name_or_shape(by)
    from profkit.fleet.comparing import compare_groups

    with chosen(asked) as rounds:
        return compare_groups(rounds, grouping, margin)

"""``profkit history``: how workloads went from day to day."""

from __future__ import annotations

import click

from profkit.cli.options import Output, margin_option, output_options, selection_options
from profkit.cli.run_argument import RUN_OR_INDEX, Place
from profkit.cli.show import show
from profkit.report.kinds.history import KIND
from profkit.report.rendering import FORMATS

EPILOG = """\b
Examples:
  profkit history index
  profkit history index --where "workload = 'resnet50' AND date >= '2026-09-01'" -o history.html
  profkit history index --group-by host
  profkit history index --fail-if 'latency > 3%' --fail-if 'aten::conv*.self > 10%'

\b
A nightly job: capture, index, and ask whether the newest day fits.
  profkit capture resnet50 --rounds 5 --label nightly --logdir runs/$(date -I)
  profkit index runs --to index
  profkit history index --fail-if 'latency > 3%'

\b
Rules of --fail-if are those of profkit diff, for latency (forward and profiled mean the same here) and OPERATOR.self:
the newest day against the level before it. The interval covers how single days scatter, so a rule fails only if the
newest day is beyond the limit by more than that.
"""


@click.command("history", epilog=EPILOG)
@click.argument("index", type=RUN_OR_INDEX)
@click.option(
    "--where", metavar="CONDITION", default="true", help="Only rounds that meet this, in SQL: \"date >= '2026-11-01'\"."
)
@click.option(
    "--group-by",
    type=click.Choice(["label", "host"]),
    help="One series per label or machine.  [default: per label where a day has several, else all together]",
)
@click.option(
    "--fail-if",
    "rules",
    multiple=True,
    metavar="RULE",
    help="Exit with status 1 if the newest day is beyond this limit, with its whole 95% interval. Repeatable.",
)
@click.option("--fail-inconclusive", is_flag=True, help="Also exit with status 1 if a rule is inconclusive.")
@margin_option
@selection_options(KIND)
@output_options(*FORMATS, plots=tuple(KIND.pictures))
def command(
    index: Place,
    where: str,
    group_by: str | None,
    rules: tuple[str, ...],
    fail_inconclusive: bool,
    margin: float,
    sort: str,
    top: int | None,
    pattern: str | None,
    output: Output,
) -> int:
    """Show how each workload in INDEX went from day to day: where its level changed, by how much, and what did it.

    The day is the unit of evidence. A step has to stand out from the scatter of the days around it, and comes with the
    interval of its place, the operators that changed with it, and what else differs (versions, labels, machines). The
    newest day is judged by the scatter of the days before it.
    """
    from profkit.comparison.gate_rules import parse_rule
    from profkit.fleet.dataset import Dataset
    from profkit.fleet.history import follow
    from profkit.fleet.sql import Tables
    from profkit.report.escape import plain

    gates = [parse_rule(rule) for rule in rules]
    dataset = Dataset(str(index))
    dataset.require()
    with Tables(dataset) as tables:
        result = follow(tables, str(dataset.storage), where, group_by, margin / 100, gates)  # type: ignore[arg-type]  # click has checked it
    show(KIND, result, output, pattern, sort, top)
    for outcome in ("inconclusive", "failed"):  # failures last: a log is read from its end
        for gate in result.gates:
            if gate.outcome == outcome:
                click.echo(plain(f"gate {gate.outcome}: {gate.rule}: {gate.found}"), err=True)
    failing = ("failed", "inconclusive") if fail_inconclusive else ("failed",)
    return 1 if any(gate.outcome in failing for gate in result.gates) else 0

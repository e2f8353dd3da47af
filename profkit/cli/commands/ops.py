"""``profkit ops``: show the operators of one run or trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from profkit.cli.index_options import asked_of, by_name_or_shape, chosen, index_options
from profkit.cli.one_run import one_run, start_reading
from profkit.cli.options import Output, by_option, forward_option, output_options, read_options, selection_options
from profkit.cli.run_argument import RUN_OR_INDEX, Place
from profkit.cli.show import show
from profkit.errors import UsageError
from profkit.report.kinds.operators import KIND
from profkit.report.rendering import FORMATS

if TYPE_CHECKING:
    from profkit.trace.options import By, ReadOptions

EPILOG = """\b
Examples:
  profkit ops logs/2.0/resnet50
  profkit ops logs/2.0/resnet50 --per-forward --by shape --filter conv
  profkit ops logs/2.0-frozen/resnet50 --with-primitives
  profkit ops trace.pt.trace.json.gz --format csv --output operators.csv
  profkit ops trace.pt.trace.json.gz --per-forward --forward model_inference
"""


@click.command("ops", epilog=EPILOG)
@click.argument("run", type=RUN_OR_INDEX, metavar="RUN|INDEX")
@click.option("--per-forward", is_flag=True, help="Show medians over forwards instead of sums over all traces.")
@click.option("--with-primitives", is_flag=True, help="Show oneDNN primitives per operator; implies --per-forward.")
@index_options
@by_option
@selection_options(KIND)
@read_options
@forward_option
@output_options(*FORMATS, plots=tuple(KIND.pictures))
def command(
    run: Place,
    per_forward: bool,
    with_primitives: bool,
    choice: tuple[str | None, str | None],
    by: By,
    sort: str,
    top: int | None,
    pattern: str | None,
    reading: ReadOptions,
    output: Output,
) -> None:
    """Show the operators of RUN, a run folder or one trace file.

    Self host time is the time in an operator, without the operators that it calls. Total host time is the time with
    at least one call of the operator on the stack. Ranks of a distributed job, or processes in one file, are shown
    side by side first. A trace without operators is described, with its device work.
    """
    asked = asked_of(run, choice)
    if asked is not None:
        if with_primitives:
            raise UsageError("an index shows primitives by profkit onednn", hint="Leave out --with-primitives.")
        from profkit.fleet.comparing import operators_of

        grouping = by_name_or_shape(by)
        with chosen(asked) as rounds:
            view = operators_of(rounds, grouping)
        show(KIND, view, output, pattern, sort, top)
        return
    assert isinstance(run, Path)
    with start_reading(run, by, reading) as pending:  # reads while the modules below are imported
        from profkit.views.operators import view_operators

        view = view_operators(
            one_run(run),
            by=by,
            per_forward=per_forward,
            with_primitives=with_primitives,
            options=reading,
            pending=pending,
        )
    show(KIND, view, output, pattern, sort, top)

"""``profkit onednn``: show which oneDNN primitives ran."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from profkit.cli.index_options import asked_of, chosen, index_options
from profkit.cli.options import Output, output_options, read_options, say_written, selection_options, write_whole
from profkit.cli.run_argument import RUN_OR_INDEX, Place
from profkit.cli.show import show
from profkit.errors import InputError, UsageError
from profkit.locations import redacted
from profkit.report.escape import plain
from profkit.report.kinds.primitives import KIND
from profkit.report.rendering import FORMATS

if TYPE_CHECKING:
    from profkit.onednn.log import Log
    from profkit.runs import Run
    from profkit.trace.options import ReadOptions
    from profkit.views.primitives import PrimitiveKey

EPILOG = """\b
Examples:
  profkit onednn logs/2.0/resnet50 --warm
  profkit onednn logs/2.0-bf16/resnet50 --by implementation
  profkit onednn onednn.log --filter convolution
  profkit onednn logs/2.0/resnet50 --merge both.json.gz      (open it in TensorBoard or ui.perfetto.dev)

\b
A LOG is the output of a process with ONEDNN_VERBOSE=2; ONEDNN_VERBOSE_TIMESTAMP=1 is optional.
With ONEDNN_VERBOSE=all (oneDNN 3.1 or later) it also says why implementations were not chosen.
"""


@click.command("onednn", epilog=EPILOG)
@click.argument("run", type=RUN_OR_INDEX, metavar="RUN|LOG|INDEX")
@click.option(
    "--by",
    type=click.Choice(["kind", "implementation", "problem"]),
    default="problem",
    show_default=True,
    help="Group rows by.",
)
@click.option("--warm", is_flag=True, help="Count the traced forwards only, without the warm-up.")
@click.option(
    "--merge",
    "merged",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OUT.json.gz",
    help="Also write the trace, with the primitives nested under their operators.",
)
@index_options
@selection_options(KIND)
@read_options
@output_options(*FORMATS, plots=tuple(KIND.pictures))
def command(
    run: Place,
    by: PrimitiveKey,
    warm: bool,
    merged: Path | None,
    choice: tuple[str | None, str | None],
    sort: str,
    top: int | None,
    pattern: str | None,
    reading: ReadOptions,
    output: Output,
) -> None:
    """Show the oneDNN primitives of RUN or of a verbose LOG: implementation, fpmath mode, calls, time, cache."""
    from profkit.runs.contents import RunContents
    from profkit.views.primitives import view_log, view_primitives

    asked = asked_of(run, choice)
    if asked is not None:
        from profkit.fleet.comparing import primitives_of

        if merged is not None:
            raise UsageError("an index has no trace to merge with", hint="Name a captured run.")
        with chosen(asked) as rounds:
            show(KIND, primitives_of(rounds, redacted(asked.index), by), output, pattern, sort, top)
        return
    assert isinstance(run, Path)
    found = _run(run)
    if found is None:
        if warm or merged:
            raise UsageError("a log alone does not show the forwards", where=run, hint="Name a captured run.")
        show(KIND, view_log(_read_log(run, reading), by), output, pattern, sort, top)
        return
    contents = RunContents(found, reading)
    if merged is not None:
        from profkit.onednn.merge import encode_document, merge

        document, count = merge(contents.require_primitives(), reading.memory_limit)
        content = encode_document(document, merged)
        write_whole(merged, content)
        if not output.quiet:
            say_written(merged, len(content))
            click.echo(plain(f"{merged}: trace with {count} oneDNN records"), err=True)
    show(KIND, view_primitives(contents, by, warm=warm), output, pattern, sort, top)


def _run(path: Path) -> Run | None:
    """Return the run at ``path``; None if it is a file, which is then a log."""
    from profkit.cli.one_run import one_run

    return None if path.is_file() and path.name != "profkit.json" else one_run(path)


def _read_log(path: Path, reading: ReadOptions) -> Log:
    from profkit.onednn.log import read_log

    log = read_log(path, reading.memory_limit)
    if len(log) or log.messages:
        return log
    what = "contains no oneDNN record"
    if log.skipped:
        what += f" that can be read; {log.skipped} could not be"
    elif log.information:
        what += ", only the header"
    hint = "A log is the output of a process with ONEDNN_VERBOSE=2; profkit capture saves it as onednn.log.gz."
    raise InputError(what, where=path, hint=hint)

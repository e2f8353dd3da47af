"""The options that commands share, and the one place where a finished result is written."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click
import msgspec
from msgspec.structs import replace

from profkit import files
from profkit.errors import OutputError, UsageError

if TYPE_CHECKING:
    from profkit.report.kinds.kind import Kind

_F = TypeVar("_F", bound=Callable[..., Any])
SUFFIXES = {".md": "markdown", ".csv": "csv", ".json": "json", ".txt": "text", ".html": "html"}
PICTURES = (".png", ".svg", ".html")
DEFAULT_TOP = 20  # rows of a text or Markdown table: a screenful


class Output(msgspec.Struct, frozen=True):
    """Where a report goes and in which format; with ``quiet`` nothing is said about it."""

    format: str
    path: Path | None
    colour: bool
    plot: str | None = None
    quiet: bool = False

    @property
    def width(self) -> int | None:
        """The width in columns: COLUMNS, or the terminal's; None if neither is set, and for a file."""
        known = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
        return shutil.get_terminal_size().columns if self.path is None and known else None

    def write(self, content: str | bytes) -> None:
        """Write a result to standard output or to the file; a file is written whole or not at all.

        Raises OutputError if that fails.
        """
        if self.path is not None:
            data = content.encode("utf-8", "replace") if isinstance(content, str) else content
            write_whole(self.path, data)
            if not self.quiet:
                say_written(self.path, len(data))
            return
        assert isinstance(content, str)
        with explain_write_errors("standard output", hint=""):
            sys.stdout.write(content)
            sys.stdout.flush()


def say_written(path: Path, byte_count: int) -> None:
    """Name the file that was written, and its size, on standard error."""
    from profkit.report.escape import plain
    from profkit.units import file_size

    click.echo(f"Wrote {plain(str(path))} ({file_size(byte_count)})", err=True)


@contextlib.contextmanager
def explain_write_errors(
    where: object = None, hint: str = "Choose another place, or make this one writable."
) -> Iterator[None]:
    """Raise OutputError in place of an OSError; ``where`` names what is written if the error does not."""
    try:
        yield
    except BrokenPipeError:
        raise  # the reader has read enough, which is no error
    except OSError as error:
        reason = error.strerror or str(error)  # pyarrow's has a text only
        raise OutputError(f"cannot write ({reason})", where=where or error.filename, hint=hint) from None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; raises OutputError if it cannot be written."""
    with explain_write_errors(path, hint="Choose another --output."):
        files.write_whole(path, content)


class FiniteRange(click.FloatRange):
    """A number within bounds, and neither infinite nor NaN, which is within all bounds for click."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; fails in words if it is not one."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


MEMORY = FiniteRange(min=0.01, max=1 << 20)
"""A memory limit in GiB: up to a PiB, which fits the 64 bits of what is passed on to C."""


def output_options(
    *formats: str, plots: Sequence[str] = (), quiet: str = "Do not say which file was written."
) -> Callable[[_F], _F]:
    """Add ``--format``, ``--output``, ``--quiet`` and ``--no-color``; the command gets ``output``.

    ``quiet`` is the help of its option. With ``plots`` there is ``--plot`` too, which writes one of these pictures to
    the file.
    """

    def decorate(command: _F) -> _F:
        import functools

        @click.option(
            "--format", "format_", type=click.Choice(formats), help="Default: by the name of --output, else text."
        )
        @click.option(
            "-o", "--output", "path", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file."
        )
        @click.option("-q", "--quiet", "is_quiet", is_flag=True, help=quiet)
        @click.option("--no-color", is_flag=True, help="Do not colour the text (or set NO_COLOR).")
        @functools.wraps(command)
        def wrapped(
            *args: Any, format_: str | None, path: Path | None, is_quiet: bool, no_color: bool, **options: Any
        ) -> Any:
            plot = options.pop("plot", None)
            chosen = format_ or (SUFFIXES.get(path.suffix) if path else "text")
            if plot is not None or (format_ is None and path is not None and path.suffix in (".png", ".svg")):
                _check_picture(plot, path, plots)
            elif chosen is None:
                hint = f"Use one of {', '.join(SUFFIXES)}, or give --format."
                raise UsageError("the name's ending is not that of a known format", where=path, hint=hint)
            elif chosen not in formats:
                raise UsageError(f"cannot be written as {chosen}", where=path, hint=f"Formats: {', '.join(formats)}.")
            colour = path is None and use_colour(no_color, sys.stdout)
            return command(*args, output=Output(chosen or "html", path, colour, plot, is_quiet), **options)

        if plots:
            wrapped = click.option(
                "--plot",
                type=click.Choice(list(plots)),
                help="Write one picture to --output FILE.png, .svg or .html.",
            )(wrapped)
        return wrapped  # type: ignore[return-value]  # click's decorators hide the signature anyway

    return decorate


def _check_picture(plot: str | None, path: Path | None, plots: Sequence[str]) -> None:
    """Raise UsageError if a picture's name or file is missing or wrong."""
    if plot is None:
        hint = f"Pictures: {', '.join(plots)}." if plots else "This command has no pictures."
        raise UsageError("a picture needs --plot", where=path, hint=hint)
    if path is None:
        raise UsageError("a picture needs a file to go to", hint="Add --output FILE.png, .svg or .html.")
    if path.suffix not in PICTURES:
        raise UsageError(f"a picture is written as {', '.join(PICTURES)}", where=path)


def use_colour(no_color: bool, stream: IO[str]) -> bool:
    """Whether to colour text for ``stream``: on a terminal, unless told not to."""
    return not no_color and not os.environ.get("NO_COLOR") and stream.isatty()


def read_options(command: _F) -> _F:
    """Add ``--memory-limit`` and ``--no-cache``; the command gets ``reading``."""
    import functools

    @click.option(
        "--memory-limit",
        type=MEMORY,
        default=4.0,
        show_default=True,
        metavar="GIB",
        help="Approximate memory limit per trace, GiB.",
    )
    @click.option("--no-cache", is_flag=True, help="Do not read or write the parsed-trace cache.")
    @functools.wraps(command)
    def wrapped(*args: Any, memory_limit: float, no_cache: bool, **options: Any) -> Any:
        from profkit.trace.options import ReadOptions

        return command(*args, reading=ReadOptions(int(memory_limit * (1 << 30)), not no_cache), **options)

    return wrapped  # type: ignore[return-value]  # click's decorators hide the signature anyway


def forward_option(command: _F) -> _F:
    """Add ``--forward``, a part of ``reading``; :func:`read_options`, which makes that, must stand above it."""
    import functools

    @click.option(
        "--forward",
        metavar="NAME",
        help="Annotation (record_function) that is one forward, instead of those that are found. profkit info lists "
        "annotations that repeat.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, forward: str | None, reading: Any, **options: Any) -> Any:

        return command(*args, reading=replace(reading, forward=forward), **options)

    return wrapped  # type: ignore[return-value]  # click's decorators hide the signature anyway


def margin_option(command: _F) -> _F:
    """Add ``--margin``: which change counts as the same, in percent."""
    return click.option(
        "--margin",
        type=FiniteRange(min=0, min_open=True, max=100),
        default=2.0,
        show_default=True,
        metavar="PERCENT",
        help='A change whose whole interval is within this many percent is called "same".',
    )(command)


def by_option(command: _F) -> _F:
    """Add ``--by``: what distinguishes the rows of an operator table."""
    return click.option(
        "--by",
        type=click.Choice(["name", "shape", "module", "stack"]),
        default="name",
        show_default=True,
        help="Rows: per operator, or per operator and input shapes, module or Python stack.",
    )(command)


def selection_options(kind: Kind) -> Callable[[_F], _F]:
    """Add ``--sort``, ``--top`` and ``--filter`` for one kind of result."""

    def decorate(command: _F) -> _F:
        sort = click.option(
            "--sort",
            type=click.Choice(list(kind.orders)),
            default=kind.orders[0],
            show_default=True,
            help="Order of the rows.",
        )
        return sort(top_and_filter(kind.rows)(command))

    return decorate


def any_selection_options(command: _F) -> _F:
    """Add ``--sort``, ``--top`` and ``--filter`` for a result whose kind is not known yet."""
    sort = click.option("--sort", metavar="ORDER", help="Order of the rows; the choices depend on DOCUMENT.")
    return sort(top_and_filter("rows")(command))


def top_and_filter(rows: str) -> Callable[[_F], _F]:
    """Add ``--top`` and ``--filter``; ``rows`` is what a row is, in the plural."""

    def decorate(command: _F) -> _F:
        top = click.option(
            "--top",
            type=click.IntRange(min=0),
            help=f"Rows to show, 0 for all.  [default: {DEFAULT_TOP} in text and Markdown, else all]",
        )
        pattern = click.option(
            "--filter", "pattern", metavar="PATTERN", help=f"Only {rows} with this in their name; * and ? match any."
        )
        return top(pattern(command))

    return decorate

"""The options that commands share, and the one place where a finished text is written."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import click

from profkit.errors import UsageError

_F = TypeVar("_F", bound=Callable[..., Any])
SUFFIXES = {".md": "markdown", ".csv": "csv", ".json": "json", ".txt": "text", ".html": "html"}
PICTURES = (".png", ".svg", ".html")
DEFAULT_TOP = 20


@dataclass(frozen=True, slots=True)
class Output:
    """Where a report goes and in which format."""

    format: str
    path: Path | None
    colour: bool
    cdn: bool = False
    plot: str | None = None

    @property
    def width(self) -> int | None:
        """The terminal's width; None where the text goes to a file or a pipe."""
        return shutil.get_terminal_size().columns if self.path is None and sys.stdout.isatty() else None

    def write(self, text: str) -> None:
        """Write ``text`` to standard output, or whole or not at all to the file."""
        if self.path is None:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            write_whole(self.path, text.encode("utf-8", "replace"))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; raises UsageError where it cannot be written."""
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise UsageError(f"cannot write ({error.strerror})", where=path, hint="Choose another --output.") from None


def output_options(*formats: str, plots: Sequence[str] = ()) -> Callable[[_F], _F]:
    """Add ``--format``, ``--output``, ``--quiet`` and ``--no-color``; the command gets ``output`` and ``quiet``.

    Where there are ``plots``, ``--plot`` writes one of them to the file; with html among the formats there is ``--cdn``
    too.
    """

    def decorate(command: _F) -> _F:
        import functools

        @click.option("--format", "format_", type=click.Choice(formats), help="Default: text, or by --output's name.")
        @click.option(
            "-o", "--output", "path", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file."
        )
        @click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
        @click.option("--no-color", is_flag=True, help="No colour, as with NO_COLOR set.")
        @functools.wraps(command)
        def wrapped(*args: Any, format_: str | None, path: Path | None, no_color: bool, **options: Any) -> Any:
            cdn, plot = options.pop("cdn", False), options.pop("plot", None)
            chosen = format_ or (SUFFIXES.get(path.suffix) if path else "text")
            if plot is not None or (format_ is None and path is not None and path.suffix in (".png", ".svg")):
                _check_picture(plot, path, plots)
            elif chosen is None:
                hint = f"Use one of {', '.join(SUFFIXES)}, or say --format."
                raise UsageError("no format is known by this ending", where=path, hint=hint)
            elif chosen not in formats:
                raise UsageError(f"cannot be written as {chosen}", where=path, hint=f"Formats: {', '.join(formats)}.")
            colour = path is None and use_colour(no_color, sys.stdout)
            return command(*args, output=Output(chosen or "html", path, colour, cdn, plot), **options)

        if "html" in formats:
            wrapped = click.option(
                "--cdn", is_flag=True, help="In HTML, load plotly from its site: a small file that needs the network."
            )(wrapped)
        if plots:
            wrapped = click.option(
                "--plot",
                type=click.Choice(plots),
                help="Write one picture to --output FILE.png, .svg, .html.",
            )(wrapped)
        return wrapped  # type: ignore[return-value]  # click's decorators hide the signature anyway

    return decorate


def _check_picture(plot: str | None, path: Path | None, plots: Sequence[str]) -> None:
    """Raise UsageError where a picture's kind or its file is lacking or wrong."""
    if plot is None:
        hint = f"Say which: {', '.join(plots)}." if plots else "profkit diff and profkit compare draw pictures."
        raise UsageError("a picture needs --plot", where=path, hint=hint)
    if path is None:
        raise UsageError("a picture needs a file to go to", hint="Add --output FILE.png, .svg or .html.")
    if path.suffix not in PICTURES:
        raise UsageError(f"a picture is written as {', '.join(PICTURES)}", where=path)


def use_colour(no_color: bool, stream: IO[str]) -> bool:
    """Whether to colour what goes to ``stream``: on a terminal, unless told not to."""
    return not no_color and not os.environ.get("NO_COLOR") and stream.isatty()


def read_options(command: _F) -> _F:
    """Add ``--memory-limit`` and ``--no-cache``; the command gets ``reading``."""
    import functools

    @click.option(
        "--memory-limit",
        type=click.FloatRange(min=0.01),
        default=4.0,
        show_default=True,
        metavar="GIB",
        help="GiB that reading a trace may take, about.",
    )
    @click.option("--no-cache", is_flag=True, help="Neither keep parsed columns of large traces nor use kept ones.")
    @functools.wraps(command)
    def wrapped(*args: Any, memory_limit: float, no_cache: bool, **options: Any) -> Any:
        from profkit.trace.options import ReadOptions

        return command(*args, reading=ReadOptions(int(memory_limit * (1 << 30)), not no_cache), **options)

    return wrapped  # type: ignore[return-value]  # click's decorators hide the signature anyway


def table_options(orders: tuple[str, ...]) -> Callable[[_F], _F]:
    """Add ``--by``, ``--sort``, ``--top`` and ``--filter``."""

    def decorate(command: _F) -> _F:
        by = click.option(
            "--by",
            type=click.Choice(["name", "shape", "module", "stack"]),
            default="name",
            show_default=True,
            help="Rows: per operator, or per operator and input shapes, module or Python stack.",
        )
        return by(selection_options(orders, orders[0])(command))

    return decorate


def selection_options(orders: tuple[str, ...], default: str | None) -> Callable[[_F], _F]:
    """Add ``--sort``, ``--top`` and ``--filter``."""

    def decorate(command: _F) -> _F:
        sort = click.option(
            "--sort", type=click.Choice(orders), default=default, show_default=True, help="Order of the rows."
        )
        return sort(top_and_filter("operators")(command))

    return decorate


def top_and_filter(rows: str) -> Callable[[_F], _F]:
    """Add ``--top`` and ``--filter``."""

    def decorate(command: _F) -> _F:
        top = click.option(
            "--top",
            type=click.IntRange(min=0),
            help=f"Rows to show, 0 for all.  [default: {DEFAULT_TOP}; all in csv and json]",
        )
        pattern = click.option(
            "--filter", "pattern", metavar="PATTERN", help=f"Only {rows} with this in their name; * and ? work."
        )
        return top(pattern(command))

    return decorate

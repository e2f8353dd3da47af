"""``profkit``: the command group, which imports commands on demand, and the handling of errors."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from profkit.cli.signals import SignalReceived, signals_as_interrupts, signals_end_at_once
from profkit.cli.streams import secured_streams
from profkit.errors import OutputError, ProfkitError

# Each command lives in profkit/cli/commands/NAME.py; only the one that runs is imported, so that --help is fast.
COMMANDS = {
    "capture": "Capture profiles of warm forwards, one run per configuration.",
    "sweep": "Capture along versions or a setting, and show where it changed.",
    "bisect": "Find the PyTorch version in which a figure changed.",
    "tune": "Find which settings make a workload faster here.",
    "load": "Measure throughput and latency under load.",
    "diff": "Compare two runs operator by operator.",
    "repro": "Time one operator of a diff alone, under both versions.",
    "compare": "Compare many runs side by side.",
    "cost": "Show what inference costs on each machine.",
    "ops": "Show the operators of one run or trace.",
    "onednn": "Show which oneDNN primitives ran, and their cache hits.",
    "index": "Read many traces once into tables that answer at once.",
    "query": "Ask an index a question in SQL.",
    "history": "Show how workloads in an index went from day to day.",
    "ranks": "Show distributed jobs in an index rank by rank.",
    "info": "Describe a run or trace.",
    "render": "Show a saved result in another format.",
    "export": "Write a run's tables as Parquet files.",
    "repair": "Write a repaired copy of a damaged trace.",
    "lanes": "Write the forwards of two runs as two lanes of one trace.",
    "view": "Open runs in TensorBoard, in Perfetto, or as an HTML page.",
    "machine": "Show what on this machine disturbs measurements.",
    "workloads": "List the models that can be captured by name.",
    "envs": "List or remove the environments created for captures.",
    "cache": "Show or clear the cache of parsed traces.",
    "schema": "Print the JSON Schema of a result.",
    "guide": "Show a guide: how to read results, recipes, the method.",
}
INTERRUPTED = 130
# of an OSError: the file system takes no more, or nothing at all
_UNWRITABLE = (errno.ENOSPC, errno.EFBIG, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC))


class LazyGroup(click.Group):
    """A command group that imports a command when it is first used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of the help text."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None if no command has that name."""
        if cmd_name not in COMMANDS:
            return None
        with signals_end_at_once():
            module = importlib.import_module(f"profkit.cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name; the error for an unknown name suggests the nearest one."""
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            import difflib

            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            ctx.fail(f"no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)


EPILOG = """\b
Examples:
  profkit capture resnet50 --torch 1.13 --torch 2.0
  profkit diff logs/1.13 logs/2.0
  profkit ops logs/2.0/resnet50 --top 10
  profkit view logs
  profkit guide

\b
Tab completion in bash (in zsh and fish, use zsh_source and fish_source):
  eval "$(_PROFKIT_COMPLETE=bash_source profkit)"

Exit status: 0 success; 1 a gate failed; 2 wrong command line; 3 unreadable input; 4 an environment or a capture
failed; 5 the result cannot be written; 130 interrupted, 143 by SIGTERM,
129 by SIGHUP.
"""


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="profkit", message="profkit %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def group(debug: bool) -> None:
    """Capture warm-run PyTorch profiles per version and settings, and show which operators got faster."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an error is printed as one paragraph and sets the exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # --debug is accepted at any position, because users append it to a command that failed
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    with secured_streams():
        try:
            with signals_as_interrupts():
                status = group.main(args=words, prog_name="profkit", standalone_mode=False)
        except BaseException as error:
            if debug and isinstance(error, Exception):
                raise
            with signals_end_at_once():
                status = _end(error)
        with signals_end_at_once():
            _leave(status if isinstance(status, int) else 0)


def _end(error: BaseException) -> int:
    """Print the error as one paragraph and return the exit status; raises an unexpected error again."""
    if isinstance(error, click.Abort) and isinstance(error.__cause__, SignalReceived):
        error = error.__cause__  # click turns every KeyboardInterrupt into its own Abort
    match error:
        case ProfkitError():
            _print_error(str(error))
            return error.exit_status
        case click.ClickException():
            with contextlib.suppress(OSError):
                error.show()
            return error.exit_code
        case SignalReceived():
            _print_error(f"ended by {signal.Signals(error.number).name}")
            return 128 + error.number
        case KeyboardInterrupt() | click.Abort():
            _print_error("interrupted")
            return INTERRUPTED
        case RecursionError():
            _print_error("the input is nested too deeply")
            return 3
        case OSError() if error.errno in _UNWRITABLE or (error.filename is None and error.errno == errno.EBADF):
            where = error.filename or "standard output"
            return _end(OutputError(f"cannot write ({error.strerror})", where=where))
        case OSError():
            what = f"{error.filename}: cannot be read or written" if error.filename else "a system call failed"
            _print_error(f"{what} ({error.strerror or error}).")
            return 3
    raise error


def _leave(status: int) -> NoReturn:
    """End the process. The program exits without freeing memory, because freeing large columns is slow."""
    try:
        sys.stdout.flush()
    except OSError as error:
        status = _end(error)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    if sys.argv and os.path.basename(sys.argv[0]) in ("profkit", "profkit.exe"):  # noqa: PTH119  # pathlib is slow to load
        os._exit(status)
    sys.exit(status)


def _print_error(text: str) -> None:
    from profkit.report.escape import plain

    with contextlib.suppress(OSError):  # there is no other place for it
        click.echo(f"profkit: {plain(text)}", err=True)

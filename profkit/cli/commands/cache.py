"""``profkit cache``: the parsed columns of large traces, kept for a second look."""

from __future__ import annotations

import click

from profkit import units
from profkit.trace.reading import cache_folder


@click.group("cache", epilog="\b\nExamples:\n  profkit cache info\n  profkit cache clear")
def command() -> None:
    """Say what is kept of large traces for a second look, or clear it.

    It lives in the user's cache folder, or in PROFKIT_CACHE_DIR, and is bounded; --no-cache does without.
    """


@command.command("info")
def info() -> None:
    """Say how much is kept, and where."""
    found = cache_folder.entries()
    size = units.size(sum(entry.stat().st_size for entry in found))
    click.echo(
        f"{len(found)} traces, {size} of at most {units.size(cache_folder.BOUND_BYTES)}, in {cache_folder.folder()}"
    )


@command.command("clear")
def clear() -> None:
    """Remove all that is kept."""
    click.echo(f"removed {units.size(cache_folder.clear())}")

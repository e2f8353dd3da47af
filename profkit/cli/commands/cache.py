"""``profkit cache``: the cache of parsed columns of large traces."""

from __future__ import annotations

import click

from profkit import units
from profkit.trace.reading import cache_folder


@click.group("cache", epilog="\b\nExamples:\n  profkit cache info\n  profkit cache clear")
def command() -> None:
    """Show or clear the cache of parsed traces.

    Large traces are parsed once and kept, up to a size limit, in the user's cache folder or PROFKIT_CACHE_DIR.
    --no-cache of the other commands neither reads nor writes it.
    """


@command.command("info")
def info() -> None:
    """Show the number of traces, their size and the folder."""
    found = cache_folder.entries()
    size = units.size(sum(entry.stat().st_size for entry in found))
    click.echo(
        f"{len(found)} traces, {size} of at most {units.size(cache_folder.BOUND_BYTES)}, in {cache_folder.folder()}"
    )


@command.command("clear")
def clear() -> None:
    """Remove all cached traces."""
    click.echo(f"removed {units.size(cache_folder.clear())}")

"""``profkit cache``: the parsed columns of large traces, and the local copies of what is at URLs."""

from __future__ import annotations

import click

from profkit import fetching, units
from profkit.trace.reading import cache_folder


@click.group("cache", epilog="\b\nExamples:\n  profkit cache info\n  profkit cache clear")
def command() -> None:
    """Show or clear the cache of parsed traces, and of what was fetched from URLs.

    The parsed columns of large traces, and copies of what is at URLs, are kept, up to a size limit each, in the user's
    cache folder or in PROFKIT_CACHE_DIR. With --no-cache, the other commands do not read or write parsed traces.
    """


@command.command("info")
def info() -> None:
    """Show the number of cached traces and copies, their size and their folders."""
    found = cache_folder.entries()
    size = units.size(sum(entry.stat().st_size for entry in found))
    click.echo(
        f"{len(found)} traces, {size} of at most {units.size(cache_folder.BOUND_BYTES)}, in {cache_folder.folder()}"
    )
    copies = fetching.copies()
    size = units.size(sum(map(fetching.size_of, copies)))
    what = f"{len(copies)} copies from URLs" if len(copies) != 1 else "1 copy from a URL"
    click.echo(f"{what}, {size} of at most {units.size(fetching.BOUND_BYTES)}, in {fetching.folder()}")


@command.command("clear")
def clear() -> None:
    """Remove all cached traces and copies."""
    click.echo(f"removed {units.size(cache_folder.clear() + fetching.clear())}")

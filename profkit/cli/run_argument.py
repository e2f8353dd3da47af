"""The type of the arguments that name runs: a path, or a URL of which a local copy is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

INDEX_HEAD = "profkit-index.json"


class IndexUrl(str):
    """The URL of an index."""

    __slots__ = ()


Place = Path | IndexUrl
"""What an argument names: runs on this machine, or an index at a URL."""


class RunType(click.ParamType):  # type: ignore[type-arg]  # newer versions of click make it generic
    """A path of this machine; for a URL, that of a local copy, or with ``or_index`` an :class:`IndexUrl`."""

    name = "path"

    def __init__(self, *, or_index: bool = False) -> None:
        self._or_index = or_index

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        """Return the path of what is named; raises ProfkitError if a URL cannot be fetched."""
        text = str(value)
        if isinstance(value, Path) or not ("::" in text or "://" in text or text.lower().endswith(_ENDINGS)):
            return Path(value)
        from profkit import fetching, locations

        if not locations.is_url(text):
            return Path(locations.without_scheme(text))
        if self._or_index and "?" not in text:  # with a query it is one file
            place = locations.Place(text)
            with locations.explained(text):
                if place.files.exists(f"{place.path}/{INDEX_HEAD}" if place.path else INDEX_HEAD):
                    return IndexUrl(text)
        return fetching.fetch(text)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete paths."""
        return [CompletionItem(incomplete, type="file")]


_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
RUN = RunType()
RUN_OR_INDEX = RunType(or_index=True)

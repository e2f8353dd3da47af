"""A page as sections of blocks, and its rendering: one file that asks nothing of any network.

Everything that comes from a trace goes in as escaped text (jinja2's autoescape) or as JSON in which no ``<`` is left,
and the page's own script puts it in the document as text, never as markup.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from profkit.report.document import Paragraph, Table
from profkit.report.escape import plain
from profkit.report.figures.figures import Figure

CDN = "https://cdn.plot.ly/plotly-{version}.min.js"


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure with its title and a sentence on how to read it."""

    title: str
    figure: Figure
    note: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a grid: the key of its values in a row, and how they are shown.

    ``kind`` is text, time (ns), delta (ns), ratio, interval (two bounds), count, share or verdict.
    """

    key: str
    title: str
    kind: str


@dataclass(frozen=True, slots=True)
class Grid:
    """A table that sorts, filters and searches in the page; ``views`` are several sets of rows to choose from.

    ``tree`` are the nodes that a row, by its name, expands to: name, parent, and a value for each ``tree_fields``.
    """

    title: str
    fields: Sequence[Field]
    views: Mapping[str, Sequence[Mapping[str, Any]]]
    tree: Sequence[Mapping[str, Any]] = ()
    tree_fields: Sequence[Field] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to copy: how to reproduce a result."""

    title: str
    lines: Sequence[str]


Block = Paragraph | Table | Picture | Grid | Code


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page under its own heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Page:
    """A report; ``downloads`` are file names with their text, to be saved from the page."""

    title: str
    answers: Sequence[Paragraph]
    sections: Sequence[Section]
    downloads: Mapping[str, str] = field(default_factory=dict)


def render_html(page: Page, *, cdn: bool = False) -> str:
    """Render ``page``; with ``cdn`` plotly's script is fetched from its own site instead of being inside."""
    pictures, grids = [], []
    for section in page.sections:
        pictures += [block for block in section.blocks if isinstance(block, Picture)]
        grids += [block for block in section.blocks if isinstance(block, Grid)]
    data = {
        "pictures": [picture.figure for picture in pictures],
        "grids": [
            {
                "fields": [_field(f) for f in grid.fields],
                "views": {name: _compact(rows) for name, rows in grid.views.items()},
                "tree": _compact(grid.tree),
                "treeFields": [_field(f) for f in grid.tree_fields],
            }
            for grid in grids
        ],
        "downloads": {name: _packed(text) for name, text in page.downloads.items()},
    }
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"plain": plain, "identity": id}
    environment.globals["zip"] = zip
    template = environment.from_string(_asset("page.html.j2"))
    return template.render(
        page=page,
        kinds={Paragraph: "paragraph", Table: "table", Picture: "picture", Grid: "grid", Code: "code"},
        places={id(block): place for blocks in (pictures, grids) for place, block in enumerate(blocks)},
        style=Markup(_asset("page.css")),  # our own files
        script=Markup(_asset("page.js")),
        plotly=None if cdn or not pictures else Markup(_plotly()),
        cdn=CDN.format(version=_plotly_version()) if cdn and pictures else None,
        data=Markup(embed(data)),  # holds no markup: see embed
    )


def _compact(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return rows without their keys, which all of them share, and without digits that nobody sees."""
    keys = list(rows[0]) if rows else []
    return {"keys": keys, "rows": [[_short(row[key]) for key in keys] for row in rows]}


def _short(value: object) -> object:
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, tuple):
        return [_short(item) for item in value]
    if not isinstance(value, float):
        return value
    short = float(f"{value:.5g}")
    return int(short) if short.is_integer() else short


def _field(column: Field) -> dict[str, str]:
    return {"key": column.key, "title": column.title, "kind": column.kind}


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), mtime=0)).decode()


def embed(value: object) -> str:
    """Return JSON that can stand in a script element: no ``<`` or ``&`` is left that could end it."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@lru_cache
def _asset(name: str) -> str:
    return files("profkit.report.formats.html").joinpath(name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Return plotly's script as its package ships it; importing the package would take half a second."""
    return (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def _plotly_version() -> str:
    head = _plotly()[:200]
    return head.partition("plotly.js v")[2].partition("\n")[0].strip()

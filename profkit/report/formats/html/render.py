"""A page as one HTML file that makes no request to any network.

Everything that comes from a trace goes in as escaped text (jinja2's autoescape) or as JSON without any ``<``; the
page's own script puts it in the document as text, never as markup.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from profkit.report.document import Paragraph, Table
from profkit.report.escape import plain
from profkit.report.page import Code, Drawing, Grid, Item, Page, Picture, Tree, Values, View
from profkit.report.palette import DARK, LIGHT, parts_style, variables

SORT_DIGITS = 9  # of a sort value: more than anybody can tell apart, fewer bytes than all of them
WIDTHS = {"wide": 1040, "medium": 720, "slim": 380}  # pixels: a desk, a sheet of paper or a tablet, a phone


def render_html(page: Page) -> str:
    """Render ``page`` as one file; pictures are drawn in it, so that they are there before any script runs."""
    every = [block for blocks in (page.findings, *(s.blocks for s in page.sections)) for block in blocks]
    grids = [block for block in every if isinstance(block, Grid)]
    data = {
        "grids": [_grid(grid) for grid in grids],
        "downloads": {name: _packed(text) for name, text in page.downloads.items()},
    }
    return page_template().render(
        page=page,
        places={id(grid): place for place, grid in enumerate(grids)},
        style=Markup(_style()),  # our own files
        script=Markup(_asset("page.js")),
        data=Markup(embed(data)),  # without markup: see embed
    )


def _style() -> str:
    """Return the style of a page: its colours by scheme, light on paper; then its own, and that of the pictures."""
    light, dark = variables(LIGHT), variables(DARK)
    schemes = f":root {{ {light} }}\n@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    return schemes + _asset("page.css") + parts_style()


def drawings(picture: Picture) -> list[tuple[str, Drawing, Markup]]:
    """Return a picture drawn for each width: a name, the drawing, and its marks, which the figure has escaped."""
    found = [(name, picture.figure.draw(width)) for name, width in WIDTHS.items()]
    return [(name, drawing, Markup(drawing.marks)) for name, drawing in found]


@lru_cache
def page_template() -> Template:
    """Return the compiled template of a page; a command that waits can call this earlier."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FunctionLoader(_asset),
    )
    environment.filters |= {"plain": plain, "identity": id, "drawings": drawings}
    kinds = {Paragraph: "paragraph", Table: "table", Picture: "picture", Grid: "grid", Code: "code", Item: "item"}
    environment.globals |= {"zip": zip, "kinds": kinds}
    return environment.get_template("page.html.j2")


def _grid(grid: Grid) -> dict[str, Any]:
    """Return a grid's data by column, so that no key is repeated for every row."""
    return {
        "fields": [
            {"title": plain(f.title), "words": f.words, "coloured": f.coloured, "bar": f.bar} for f in grid.fields
        ],
        "views": {name: _view(view) for name, view in grid.views.items()},
        "verdicts": {verdict: [cell.text, cell.tone] for verdict, cell in grid.verdicts.items()},
        "tree": None if grid.tree is None else _tree(grid.tree),
    }


def _view(view: View) -> dict[str, Any]:
    return {
        "columns": [_column(values) for values in view.columns],
        "verdicts": _encoded(view.verdicts) if view.verdicts else None,
        "names": _encoded(view.names) if view.names else None,
    }


def _column(values: Values) -> dict[str, Any]:
    column = _encoded(values.texts)
    if values.numbers is not None:
        column["numbers"] = [None if number is None else _short(number) for number in values.numbers]
    return column


def _tree(tree: Tree) -> dict[str, Any]:
    return {
        "names": _encoded(tree.names),
        "parents": list(tree.parents),
        "columns": [None if texts is None else _encoded(texts) for texts in tree.columns],
    }


def _encoded(texts: Sequence[str]) -> dict[str, Any]:
    """Return the distinct texts and, if they repeat, the position of each row's text among them."""
    distinct = dict.fromkeys(texts)
    if 2 * len(distinct) > len(texts):
        return {"texts": [plain(text) for text in texts]}
    places = {text: place for place, text in enumerate(distinct)}
    return {"texts": [plain(text) for text in distinct], "at": [places[text] for text in texts]}


def _short(number: float) -> float:
    short = float(f"{number:.{SORT_DIGITS}g}")
    return int(short) if short.is_integer() else short


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), mtime=0)).decode()


def embed(value: object) -> str:
    """Return JSON for a script element: without ``<``, ``>`` and ``&``, which could end it."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@lru_cache
def _asset(name: str) -> str:
    return files("profkit.report.formats.html").joinpath(name).read_text(encoding="utf-8")

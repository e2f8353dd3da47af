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
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from profkit.errors import OutputError
from profkit.report.document import Paragraph, Table
from profkit.report.escape import plain
from profkit.report.formats.rounding import rounded
from profkit.report.page import Code, Grid, Page, Picture, Tree, Values, View

CDN = "https://cdn.plot.ly/plotly-{version}.min.js"
SORT_DIGITS = 9  # of a sort value: more than anybody can tell apart, fewer bytes than all of them


def render_html(page: Page, *, cdn: bool = False) -> str:
    """Render ``page``; with ``cdn`` a browser loads plotly from its own site instead of from the file."""
    pictures, grids = [], []
    for section in page.sections:
        pictures += [block for block in section.blocks if isinstance(block, Picture)]
        grids += [block for block in section.blocks if isinstance(block, Grid)]
    data = {
        "pictures": [_rounded(picture.figure) for picture in pictures],
        "grids": [_grid(grid) for grid in grids],
        "downloads": {name: _packed(text) for name, text in page.downloads.items()},
    }
    return page_template().render(
        page=page,
        kinds={Paragraph: "paragraph", Table: "table", Picture: "picture", Grid: "grid", Code: "code"},
        places={id(block): place for blocks in (pictures, grids) for place, block in enumerate(blocks)},
        style=Markup(_asset("page.css")),  # our own files
        script=Markup(_asset("page.js")),
        plotly=None if cdn or not pictures else Markup(_plotly()),
        cdn=CDN.format(version=_plotly_version()) if cdn and pictures else None,
        data=Markup(embed(data)),  # without markup: see embed
    )


@lru_cache
def page_template() -> Template:
    """Return the compiled template of a page; a command that waits can call this earlier."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"plain": plain, "identity": id}
    environment.globals["zip"] = zip
    return environment.from_string(_asset("page.html.j2"))


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


def _rounded(value: Any) -> Any:
    """Return a figure with floats of 12 significant digits, the same on every machine."""
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), mtime=0)).decode()


def embed(value: object) -> str:
    """Return JSON for a script element: without ``<``, ``>`` and ``&``, which could end it."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@lru_cache
def _asset(name: str) -> str:
    return files("profkit.report.formats.html").joinpath(name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Return plotly's script as its package ships it, without importing the package; raises OutputError if it is gone.

    ``importlib.resources`` would import it.
    """
    found = find_spec("plotly")
    for folder in (found.submodule_search_locations if found is not None else None) or []:
        return Path(folder, "package_data", "plotly.min.js").read_text(encoding="utf-8")
    raise OutputError("plotly is not installed", hint="Install profkit again, or use --cdn.")


def _plotly_version() -> str:
    head = _plotly()[:200]
    return head.partition("plotly.js v")[2].partition("\n")[0].strip()

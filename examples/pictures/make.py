"""Draws the README's pictures from the real captures in traces/: python examples/pictures/make.py.

A test redraws them and compares, so that none is ever stale.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

from profkit.compare.comparison import compare_runs
from profkit.report.diff_document import diff_document
from profkit.report.selection import Selection
from profkit.report.text import render_text

HERE = Path(__file__).parent
TRACES = HERE.parent.parent / "traces"
WIDTH = 88
_REMOTE_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.S)


def draw(command: str, text: str) -> str:
    """Return a terminal's picture, as SVG, of ``command`` and the coloured ``text`` it printed."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(Text(f"$ {command}", style="bold"))
    console.print(Text.from_ansi(text))
    return _REMOTE_FONTS.sub("", console.export_svg(title=command, unique_id="profkit"))


def pictures() -> dict[str, str]:
    """Return every picture by its file's name."""
    comparison = compare_runs(TRACES / "1.13", TRACES / "2.0")
    text = render_text(diff_document(comparison, Selection(top=12)), width=WIDTH, colour=True)
    return {"diff.svg": draw("profkit diff traces/1.13 traces/2.0 --top 12", text)}


if __name__ == "__main__":
    for name, svg in pictures().items():
        (HERE / name).write_text(svg, encoding="utf-8")

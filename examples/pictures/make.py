"""Draws the pictures of the README and the guides from real captures: python examples/pictures/make.py.

A test draws them again and compares, so that none is ever stale. The picture of a page needs a Chromium.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from profkit.report.formats.pictures import render_picture
from profkit.report.kinds import bisect, compare, diff, sweep, tune
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import make_picture, render
from profkit.report.saved import load
from profkit.views.diff import compare_runs
from profkit.views.many import compare_many

HERE = Path(__file__).parent
TRACES = HERE.parent.parent / "traces"
VERSIONS = HERE.parent / "versions"  # results of real experiments, whose traces are not kept
SIDES = ("2.0-frozen", "2.15-frozen")
WIDTH = 88
_REMOTE_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.S)


def terminal(command: str, text: str) -> str:
    """Return a terminal's picture, as SVG, of ``command`` and the coloured ``text`` it printed."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="standard")
    console.print(Text(f"$ {command}", style="bold"))
    console.print(Text.from_ansi(text))
    return _REMOTE_FONTS.sub("", console.export_svg(title=command, unique_id="profkit"))


def pictures() -> dict[str, str]:
    """Return every SVG by its file's name."""
    comparison = compare_runs(TRACES / SIDES[0], TRACES / SIDES[1])
    text = render(diff.KIND, comparison, "text", Selection(top=8), width=WIDTH, colour=True)
    speedups = render_picture(make_picture(compare.KIND, compare_many([TRACES]), "speedup"), "svg").decode()
    names = ("tune-resnet50", "bisect-resnet50-frozen", "sweep-eager")
    tuned, searched, swept = (load(VERSIONS / f"{name}.json")[1] for name in names)
    return {
        "tune.svg": render_picture(make_picture(tune.KIND, tuned, "speedup"), "svg").decode(),
        "bisect.svg": render_picture(make_picture(bisect.KIND, searched, "changes"), "svg").decode(),
        "sweep.svg": render_picture(make_picture(sweep.KIND, swept, "latency"), "svg").decode(),
        "diff.svg": terminal(f"profkit diff traces/{SIDES[0]} traces/{SIDES[1]} --top 8", text),
        "speedups.svg": speedups,
    }


def page() -> str:
    """Return the page of the report, which is shown as a screenshot."""
    return render(diff.KIND, compare_runs(TRACES / SIDES[0], TRACES / SIDES[1]), "html", Selection())


def fingerprint(text: str) -> str:
    """Return the SHA-256 of a page without its downloads and without this machine's folders."""
    own = re.sub(r'"downloads":\{.*?\}', "", text.replace(str(TRACES), "traces"))
    return hashlib.sha256(own.encode()).hexdigest()


def photograph(text: str, target: Path) -> None:
    """Let Chromium draw the top of a page."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "page.html")
        path.write_text(text, encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/user"]
        options += ["--window-size=1180,1500", "--virtual-time-budget=4000", f"--screenshot={target}"]
        subprocess.run([browser, *options, path.as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    for name, svg in pictures().items():
        (HERE / name).write_text(svg, encoding="utf-8")
    report = page()
    photograph(report, HERE / "report.png")
    (HERE / "report.sha256").write_text(fingerprint(report) + "\n", encoding="utf-8")

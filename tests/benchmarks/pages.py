"""How heavy a large report is, and how soon it can be read: 5,000 operators, opened from disk in Chromium.

python -m tests.benchmarks.pages [OPERATORS]
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

ROUNDS = 5


def trace(path: Path, operators: int, us: int) -> Path:
    """Write a trace of one forward with so many operators."""
    spans = [
        {"ph": "X", "cat": "cpu_op", "name": f"aten::operator_{k}", "pid": 1, "tid": 1, "ts": 50 * k, "dur": us + k % 9}
        | {"args": {"Ev Idx": k}}
        for k in range(operators)
    ]
    path.write_text(json.dumps({"traceEvents": spans}))
    return path


def main() -> None:
    operators = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        sides = [trace(Path(folder, f"{us}.json"), operators, us) for us in (10, 20)]
        page_path = Path(folder, "diff.html")
        command = [sys.executable, "-m", "profkit.cli", "diff", *map(str, sides), "--output", str(page_path)]
        begin = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        written = time.perf_counter() - begin
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        opened, sorted_, searched = [], [], []
        for _ in range(ROUNDS):
            page = browser.new_page()
            begin = time.perf_counter()
            page.goto(page_path.as_uri())
            page.get_by_text(f"{operators} rows").wait_for()
            opened.append(time.perf_counter() - begin)
            grid = page.locator("figure.grid").first
            begin = time.perf_counter()
            grid.get_by_role("button", name="operator", exact=True).click()
            sorted_.append(time.perf_counter() - begin)
            begin = time.perf_counter()
            grid.get_by_label("Search").fill("operator_49")
            searched.append(time.perf_counter() - begin)
            page.close()
        browser.close()
        print(f"| report of {operators:,} operators | |\n| :--- | ---: |")
        print(f"| size | {page_path.stat().st_size / 1e6:.1f} MB |")
        print(f"| written by profkit diff | {written:.1f} s |")
        for name, seconds in (("opened", opened), ("sorted", sorted_), ("searched", searched)):
            print(f"| {name}, median of {ROUNDS} | {statistics.median(seconds):.2f} s |")


if __name__ == "__main__":
    main()

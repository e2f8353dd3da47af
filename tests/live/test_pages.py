"""Reports in a real browser, from disk, with the network off."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, TimeoutError, sync_playwright

from profkit.report.kinds import kind_of
from profkit.report.kinds.kind import Selection
from profkit.report.rendering import render
from profkit.views.diff import compare_runs
from profkit.views.sweep import view_sweep
from tests.conftest import ROOT, event, trace_json
from tests.unit import bisect_results, load_results, tune_results
from tests.unit.test_cli import run

pytestmark = pytest.mark.live
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
EVIL = [
    "aten::<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "aten::`${alert(3)}`</script>",
    "<b>bold</b>&amp;",
]
TRACES = ROOT / "traces"
IN_VIEW = "svg.pk:visible"
MOST_BYTES = 1_500_000
PATIENCE_MS = 120_000  # a browser beside busy neighbours takes its time


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here; Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


Opened = Callable[..., tuple[Page, list[str]]]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """Return a function that opens a file, and what the page then says or asks for: nothing, if all is well."""
    contexts = []

    def open_(path: Path, width: int = 1280, scheme: str = "light") -> tuple[Page, list[str]]:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]  # light or dark
            offline=True,
            accept_downloads=True,
        )
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page, said = context.new_page(), []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on(
            "request",
            lambda asked: said.append(asked.url) if not asked.url.startswith(("file:", "data:", "blob:")) else None,
        )
        page.goto(path.as_uri())
        return page, said

    yield open_
    for context in contexts:
        context.close()


PAGES = {
    "diff": ["diff", TRACES / "2.0-frozen", TRACES / "2.15-frozen"],
    "compare": ["compare", TRACES],
    "cost": ["cost", TRACES, *(f"--price={path.name}=0.58" for path in TRACES.iterdir())],
    "ops": ["ops", TRACES / "2.0", "--with-primitives"],
    "onednn": ["onednn", TRACES / "2.0-bf16"],
    "fpmath": ["diff", TRACES / "2.0", TRACES / "2.0-bf16"],
    "info": ["info", TRACES / "2.0"],
    "machine": ["machine"],
    "workloads": ["workloads"],
    **{name: ["render", f"{name}.json"] for name in ("load", "bisect", "sweep", "tune")},
}
EXAMPLES: dict[str, Callable[[], object]] = {
    "load": load_results.example,
    "bisect": bisect_results.example,
    "tune": tune_results.example,
    "sweep": lambda: view_sweep(TRACES, ["1.13", "2.0-frozen", "2.15-frozen"], ["resnet50"]),
}
WITHOUT_PICTURES = ("info", "machine", "workloads")
VERDICTS = {"diff": "slower", "compare": "faster", "cost": "cheaper"}


Pages = Callable[[str], Path]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """Return a function that writes a page of PAGES, once, and returns its path."""
    folder = tmp_path_factory.mktemp("pages")

    def write(name: str) -> Path:
        path = folder / f"{name}.html"
        if not path.exists():
            words = list(PAGES[name])
            if name in EXAMPLES:
                words[1] = folder / f"{name}.json"
                words[1].write_text(render(kind_of(name), EXAMPLES[name](), "json", Selection()))
            assert run(*words, "--format", "html", "--output", path) == 0
        return path

    return write


@pytest.mark.parametrize("name", PAGES)
def test_every_page_at_every_width(name: str, opened: Opened, pages: Pages) -> None:
    """Pictures are there before anything is scrolled; nothing is wider than the window; no script complains."""
    assert pages(name).stat().st_size < MOST_BYTES
    for width, scheme in ((1280, "light"), (1280, "dark"), (800, "light"), (400, "light")):
        page, said = opened(pages(name), width, scheme)
        assert said == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        figures = page.locator("figure.picture")
        assert (figures.count() > 0) == (name not in WITHOUT_PICTURES)
        for figure in figures.all():
            assert figure.locator(IN_VIEW).count() == 1
            box = figure.locator(IN_VIEW).bounding_box()
            assert box is not None
            assert 200 < box["width"] <= width
            assert box["height"] > 50


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_accessible(name: str, scheme: str, opened: Opened, pages: Pages) -> None:
    page, _ = opened(pages(name), 1280, scheme)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert len(found.response["passes"]) > 10


@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts_are_in_view_on_a_phone(name: str, opened: Opened, pages: Pages) -> None:
    page, _ = opened(pages(name), 400)
    cells = page.locator("td.pinned", has_text=VERDICTS[name])
    assert cells.count() > 0
    for cell in cells.all()[:5]:
        box = cell.bounding_box()
        assert box is not None
        assert box["x"] > 0
        assert box["x"] + box["width"] <= 400


def test_a_table_that_scrolls_says_so(opened: Opened, pages: Pages) -> None:
    page, _ = opened(pages("diff"), 400)
    grid = page.locator("figure.grid").first
    assert grid.get_by_text("scrolls sideways").is_visible()
    page.set_viewport_size({"width": 1280, "height": 900})
    assert page.locator("figure.table").first.get_by_text("scrolls sideways").filter(visible=True).count() == 0


def test_the_answer_is_in_the_first_screen(opened: Opened, pages: Pages) -> None:
    page, _ = opened(pages("diff"), 400)
    card = page.locator(".card")
    for words in ("17.9% slower", "23.2 ms → 27.3 ms", "95% interval: [", "5 rounds a side"):
        assert words in " ".join(card.inner_text().split())
    box = card.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 800
    finding = page.locator("#findings .item").first
    assert "+4.99 ms per forward" in finding.inner_text()
    assert "Observed, without an interval." in finding.inner_text()
    assert finding.locator("li").count() > 2
    assert finding.get_by_role("link").count() == 0  # a saved result could lead anywhere
    assert "+4.99 ms per forward: 2.15-frozen reorders weights" in card.inner_text()


def test_sorting_searching_choosing_and_expanding(opened: Opened, tmp_path: Path) -> None:
    path = tmp_path / "diff.html"
    assert run("diff", TRACES / "1.13", TRACES / "2.0-frozen", "--output", path) == 0
    page, said = opened(path)
    grid = page.locator("figure.grid").first
    rows = grid.locator("tbody tr:not(.tree)")
    first = rows.first.inner_text()
    assert "aten::mkldnn_convolution" in first
    total = rows.count()
    grid.get_by_label("Search").fill("pool max")
    assert rows.count() == 3
    grid.get_by_label("Search").fill("zzz")
    assert rows.count() == 0
    grid.get_by_label("Search").fill("")
    grid.get_by_label("verdict").select_option("replaced")
    assert 0 < rows.count() < total
    assert all("replaced" in text for text in rows.all_inner_texts())
    grid.get_by_label("verdict").select_option("")
    grid.get_by_label("by").select_option("operator and shapes")
    sides = [TRACES / "1.13", TRACES / "2.0-frozen"]
    expected = len(compare_runs(*sides, by="shape").workloads[0].operators)
    assert expected > total
    assert f"{expected} rows" in grid.inner_text()
    assert "[1, 3, 224, 224]" in grid.inner_text()
    grid.get_by_label("by").select_option("primitive (oneDNN, under its log)")
    assert "avx512_core" in grid.inner_text()
    grid.get_by_label("by").select_option("operator")
    grid.get_by_label("Search").fill("aten::relu_")
    rows.first.get_by_role("button", name="Show the calls of").click()
    tree = grid.locator("tbody tr.tree")
    assert "aten::clamp_min_" in tree.nth(1).inner_text()
    rows.first.get_by_role("button", name="Show the calls of").click()
    assert tree.count() == 0
    assert said == []


def test_every_order_of_a_table(opened: Opened, tmp_path: Path) -> None:
    """By name and by number, both ways and back; 9 µs comes before 10 µs and 1 ms, though no text of them does."""
    us = {"aten::bmm": 1000, "aten::add": 9, "aten::zeros": 100, "aten::mul": 10}
    for side, scale in (("before", 2), ("after", 1)):
        ends = [sum(list(us.values())[: k + 1]) * scale for k in range(len(us))]
        records = [
            event(name, end - us[name] * scale, us[name] * scale, k)
            for k, (name, end) in enumerate(zip(us, ends, strict=True))
        ]
        (tmp_path / f"{side}.json").write_bytes(trace_json(records))
    path = tmp_path / "diff.html"
    assert run("diff", tmp_path / "before.json", tmp_path / "after.json", "--output", path) == 0
    page, said = opened(path)
    grid = page.locator("figure.grid").first

    def order() -> list[str]:
        texts = grid.locator("tbody tr:not(.tree) td:first-child").all_inner_texts()
        return [text.removeprefix("▸").strip().removeprefix("aten::") for text in texts]

    titles = grid.locator("thead button").all_inner_texts()
    as_it_came = order()
    by_name, by_number = ["add", "bmm", "mul", "zeros"], ["bmm", "zeros", "mul", "add"]
    for title, expected in (("operator", by_name), ("after", by_number), ("change", by_number)):
        # an arrow joins the button's name while its column sorts, so it is looked up by its place
        button = grid.locator("thead button").nth(titles.index(title))
        for wanted in (expected, expected[::-1], as_it_came):
            button.click()
            assert order() == wanted, title
    assert said == []


def test_intervals_sort_by_their_figures_and_a_third_click_restores(opened: Opened, pages: Pages) -> None:
    page, said = opened(pages("diff"))
    grid = page.locator("figure.grid").first
    rows = grid.locator("tbody tr:not(.tree)")
    as_it_came = rows.all_inner_texts()
    button = grid.get_by_role("button", name="95% interval")
    button.click()
    lows = [float(text.partition("[")[2].partition(",")[0]) for text in rows.all_inner_texts() if "[" in text]
    assert lows == sorted(lows, reverse=True)
    assert "[" in rows.first.inner_text()
    button.click()
    button.click()
    assert rows.all_inner_texts() == as_it_came
    assert rows.first.get_by_role("button", name="Show the calls of").count() == 1
    grid.get_by_label("by").select_option("primitive (oneDNN, under its log)")
    assert grid.get_by_role("button", name="Show the calls of").count() == 0
    assert grid.get_by_label("verdict").is_hidden()
    assert said == []


def test_it_prints_dark_on_white(opened: Opened, pages: Pages, tmp_path: Path) -> None:
    """The colours of paper and one size of every picture, whatever the screen has."""
    page, said = opened(pages("diff"), scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(230, 234, 238)"
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 34, 40)"
    for figure in page.locator("figure.picture").all():
        assert figure.locator(IN_VIEW).count() == 1
        assert (
            figure.locator(".medium svg.pk text").first.evaluate("e => getComputedStyle(e).fill")
            != "rgb(230, 234, 238)"
        )
    page.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 20_000
    assert said == []


def test_names_that_every_object_has(opened: Opened, tmp_path: Path) -> None:
    names = ("constructor", "__proto__", "toString", "aten::add")
    for side, scale in (("before", 1), ("after", 3)):
        records = [event(name, 100 * k, 10 * scale + k, k) for k, name in enumerate(names)]
        (tmp_path / f"{side}.json").write_bytes(trace_json(records))
    path = tmp_path / "diff.html"
    assert run("diff", tmp_path / "before.json", tmp_path / "after.json", "--output", path) == 0
    page, said = opened(path)
    assert set(names) <= set(page.locator(f"{IN_VIEW} text").all_text_contents())
    assert said == []


def download(page: Page, button: Locator, target: Path) -> None:
    """Click until the file comes: Chromium drops a download that a busy machine takes seconds to prepare."""
    for last in (False, False, True):
        try:
            with page.expect_download(timeout=30_000) as waiting:
                button.click()
            waiting.value.save_as(target)
            return
        except TimeoutError:
            if last:
                raise


def test_what_can_be_downloaded(opened: Opened, pages: Pages, tmp_path: Path) -> None:
    assert run(*PAGES["diff"], "--output", tmp_path / "expected.json") == 0
    page, said = opened(pages("diff"))
    for button, name in (("diff.json", "diff.json"), ("diff.csv", "diff.csv")):
        download(page, page.get_by_role("button", name=button), tmp_path / name)
    assert json.loads((tmp_path / "diff.json").read_text()) == json.loads((tmp_path / "expected.json").read_text())
    assert (tmp_path / "diff.csv").read_text().startswith("workload,operator,")
    for form, magic in (("png", b"\x89PNG"), ("svg", b"<svg")):
        for button in page.locator(f"[data-save={form}]").all():
            download(page, button, tmp_path / "picture")
            content = (tmp_path / "picture").read_bytes()
            assert content.startswith(magic)
            assert len(content) > 3000
            assert b"var(--" not in content
    assert said == []


def test_text_from_traces_is_text(opened: Opened, tmp_path: Path) -> None:
    def records(scale: int) -> list[dict[str, Any]]:
        found, at = [], 0
        for k, name in enumerate(EVIL):
            found.append(event(name, at, 10 * scale, 2 * k, args={"Ev Idx": 2 * k, "Input Dims": [[1, 2]]}))
            found.append(event(name + " inside", at + 1, 5 * scale, 2 * k + 1))
            at += 100
        return found

    for side, scale in (("before <i>", 1), ("after <i>", 3)):
        (tmp_path / f"{side}.json").write_bytes(trace_json(records(scale)))
    for words in (
        ["diff", tmp_path / "before <i>.json", tmp_path / "after <i>.json"],
        ["ops", tmp_path / "after <i>.json"],
    ):
        path = tmp_path / "evil.html"
        assert run(*words, "--output", path) == 0
        page, said = opened(path)
        text = page.locator("main").inner_text()
        for name in EVIL:
            assert name in text
        assert page.locator("main img, main b, main i, figure script").count() == 0
        assert page.locator("svg.pk :not(rect, circle, line, path, text, title)").count() == 0
        assert said == []


def test_five_thousand_operators(opened: Opened, tmp_path: Path) -> None:
    def write(name: str, scale: int) -> Path:
        records = [event(f"aten::operator_number_{k}", 20 * k, 5 * scale + k % 7, k) for k in range(5000)]
        path = tmp_path / name
        path.write_bytes(trace_json(records))
        return path

    path = tmp_path / "large.html"
    assert run("diff", write("before.json", 1), write("after.json", 2), "--output", path) == 0
    assert path.stat().st_size < 8_000_000
    page, said = opened(path)
    grid = page.locator("figure.grid").first
    assert "5000 rows" in grid.inner_text()
    grid.get_by_label("Search").fill("number_4999")
    assert grid.locator("tbody tr").count() == 1
    assert said == []


@pytest.fixture(scope="module")
def saved_diff(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "diff.json"
    assert run(*PAGES["diff"], "--output", path) == 0
    return path


@pytest.mark.parametrize("kind", ["speedup", "waterfall", "latency", "icicle", "primitives"])
def test_pictures_from_the_command_line(kind: str, saved_diff: Path, tmp_path: Path) -> None:
    for ending, magic in ((".png", b"\x89PNG"), (".svg", b"<svg"), (".html", b"<!doctype html>")):
        path = tmp_path / f"{kind}{ending}"
        # one from the traces, the others from the saved result: the same pictures without reading the traces again
        words = PAGES["diff"] if ending == ".svg" else ["render", saved_diff]
        assert run(*words, "--plot", kind, "--output", path) == 0
        assert path.read_bytes().startswith(magic)
        assert path.stat().st_size > 3000


def test_a_picture_of_many_runs(tmp_path: Path) -> None:
    for name in ("heatmap", "speedup"):
        assert run("compare", TRACES, "--plot", name, "--output", tmp_path / "x.svg") == 0
        assert "2.15-frozen" in (tmp_path / "x.svg").read_text()


def test_the_list_of_runs(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path))
    assert run("view", "--html", TRACES, "--no-browser") == 0
    path = Path(capsys.readouterr().out.strip().removeprefix("file://"))
    page, said = opened(path, 400)
    text = page.locator("main").inner_text()
    for word in ("2.15-frozen", "2.15.0", "AMD EPYC", "baseline", "faster", "complete"):
        assert word in text
    assert said == []

"""Reports in a real browser, from disk, with the network off."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from profkit.views.diff import compare_runs
from tests.conftest import ROOT, event, trace_json
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
DRAWN = "place => place.querySelector('svg.main-svg') !== null"
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


def scroll_through(page: Page) -> None:
    """Bring everything into view once: pictures are drawn when they are near."""
    for y in range(0, page.evaluate("document.documentElement.scrollHeight"), 700):
        page.evaluate(f"scrollTo(0, {y})")
        page.wait_for_timeout(60)
    page.wait_for_function(f"[...document.querySelectorAll('[data-plot]')].every({DRAWN})")


PAGES = {
    "diff": ["diff", TRACES / "2.0-frozen", TRACES / "2.15-frozen"],
    "compare": ["compare", TRACES],
    "cost": ["cost", TRACES, *(f"--price={path.name}=0.58" for path in TRACES.iterdir())],
    "ops": ["ops", TRACES / "2.0", "--with-primitives"],
    "onednn": ["onednn", TRACES / "2.0-bf16"],
}


Pages = Callable[[str], Path]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """Return a function that writes a page of PAGES, once, and returns its path."""
    folder = tmp_path_factory.mktemp("pages")

    def write(name: str) -> Path:
        path = folder / f"{name}.html"
        if not path.exists():
            assert run(*PAGES[name], "--output", path) == 0
        return path

    return write


@pytest.mark.parametrize("name", PAGES)
def test_every_page_at_every_width(name: str, opened: Opened, pages: Pages) -> None:
    for width, scheme in ((1280, "light"), (1280, "dark"), (400, "light")):
        page, said = opened(pages(name), width, scheme)
        scroll_through(page)
        assert said == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        plots = page.locator("[data-plot]")
        assert plots.count() > 0
        assert all(plot.evaluate(DRAWN) for plot in plots.all())


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
    rows.first.get_by_role("button", name="Show the calls").click()
    tree = grid.locator("tbody tr.tree")
    assert "aten::clamp_min_" in tree.nth(1).inner_text()
    rows.first.get_by_role("button", name="Show the calls").click()
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
    assert rows.first.get_by_role("button", name="Show the calls").count() == 1
    grid.get_by_label("by").select_option("primitive (oneDNN, under its log)")
    assert grid.get_by_role("button", name="Show the calls").count() == 0
    assert grid.get_by_label("verdict").is_hidden()
    assert said == []


def test_it_prints_dark_on_white(opened: Opened, pages: Pages, tmp_path: Path) -> None:
    page, said = opened(pages("diff"), scheme="dark")
    colours = "[...document.querySelectorAll('[data-plot]')].map(p => p.layout?.font.color)"
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert set(page.evaluate(colours)) == {"#000"}
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert set(page.evaluate(colours)) == {"#e4e8ec"}
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
    scroll_through(page)
    labels = [label.strip("\u200b") for label in page.locator("[data-plot] .ytick text").all_text_contents()]
    assert set(names) <= set(labels)
    assert said == []


def test_what_can_be_downloaded(opened: Opened, pages: Pages, tmp_path: Path) -> None:
    assert run(*PAGES["diff"], "--output", tmp_path / "expected.json") == 0
    page, said = opened(pages("diff"))
    for button, name in (("diff.json", "diff.json"), ("diff.csv", "diff.csv")):
        with page.expect_download() as waiting:
            page.get_by_role("button", name=button).click()
        waiting.value.save_as(tmp_path / name)
    assert json.loads((tmp_path / "diff.json").read_text()) == json.loads((tmp_path / "expected.json").read_text())
    assert (tmp_path / "diff.csv").read_text().startswith("workload,operator,")
    scroll_through(page)
    for form, magic in (("PNG", b"\x89PNG"), ("SVG", b"<svg")):
        for number in range(page.locator("[data-plot]").count()):
            with page.expect_download() as waiting:
                page.get_by_role("button", name=form).nth(number).click()
            waiting.value.save_as(tmp_path / "picture")
            assert (tmp_path / "picture").read_bytes().startswith(magic)
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
        scroll_through(page)
        text = page.locator("main").inner_text()
        for name in EVIL:
            assert name in text
        assert page.locator("main img, main b, main i, figure script").count() == 0
        for label in page.locator("[data-plot] .ytick text, [data-plot] .slicetext").all_text_contents():
            assert "alert(1)" not in label or "<script>" in label
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


def test_without_plotly_inside(tmp_path: Path) -> None:
    path = tmp_path / "small.html"
    assert run("diff", TRACES / "1.13", TRACES / "2.0", "--cdn", "--output", path) == 0
    text = path.read_text()
    assert path.stat().st_size < 600_000
    assert 'src="https://cdn.plot.ly/plotly-' in text


@pytest.fixture(scope="module")
def saved_diff(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "diff.json"
    assert run(*PAGES["diff"], "--output", path) == 0
    return path


@pytest.mark.parametrize("kind", ["speedup", "waterfall", "latency", "icicle", "primitives"])
def test_pictures_from_the_command_line(kind: str, saved_diff: Path, tmp_path: Path) -> None:
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    for ending, magic in ((".png", b"\x89PNG"), (".svg", b"<svg"), (".html", b"<!doctype html>")):
        path = tmp_path / f"{kind}{ending}"
        # one from the traces, the others from the saved result: the same pictures without reading the traces again
        words = PAGES["diff"] if ending == ".svg" else ["render", saved_diff]
        assert run(*words, "--plot", kind, "--output", path) == 0
        assert path.read_bytes().startswith(magic)
        assert path.stat().st_size > 5000


def test_a_heat_map(tmp_path: Path) -> None:
    if CHROMIUM is None:
        pytest.skip("no Chromium here")
    assert run("compare", TRACES, "--plot", "heatmap", "--output", tmp_path / "x.svg") == 0
    assert "2.15-frozen" in (tmp_path / "x.svg").read_text()


def test_the_list_of_runs(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROFKIT_CACHE_DIR", str(tmp_path))
    assert run("view", "--html", TRACES, "--no-browser") == 0
    path = Path(capsys.readouterr().out.strip().removeprefix("file://"))
    page, said = opened(path, 400)
    scroll_through(page)
    text = page.locator("main").inner_text()
    for word in ("2.15-frozen", "2.15.0", "AMD EPYC", "baseline", "faster", "complete"):
        assert word in text
    assert said == []

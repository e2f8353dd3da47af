"""Pictures as SVG: axes, what fits, what is drawn where, and that every number in them is finite."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from profkit.report.figures import axes, svg
from profkit.report.figures.latency import latency, over_time
from profkit.report.figures.load import load_curve
from profkit.report.figures.points import Point, points
from profkit.report.figures.speedups import run_speedups, speedups
from profkit.report.figures.waterfall import waterfall
from profkit.report.formats.pictures import render_picture, render_svg
from profkit.report.page import Figure, Picture
from profkit.report.palette import DARK, LIGHT
from profkit.views.diff import compare_runs
from profkit.views.many import compare_many
from tests.conftest import ROOT
from tests.unit.load_results import example

TRACES = ROOT / "traces"
EVIL = '</text><script>alert("1")</script>&amp;'


def drawn(figure: Figure, width: int = 900) -> ElementTree.Element:
    return ElementTree.fromstring(f"<svg>{figure.draw(width).marks}</svg>")


def marks(figure: Figure, kind: str, width: int = 900) -> list[ElementTree.Element]:
    return [element for element in drawn(figure, width).iter() if kind in (element.get("class") or "").split()]


@pytest.fixture(scope="module")
def slower() -> Figure:
    return waterfall(compare_runs(TRACES / "2.0-frozen", TRACES / "2.15-frozen").workloads[0])


@pytest.mark.parametrize(
    ("low", "high", "is_log", "expected"),
    [
        (0.0, 10.0, False, [0, 2, 4, 6, 8, 10]),
        (23.2, 28.1, False, [24, 25, 26, 27, 28]),
        (-1.0, 1.0, False, [-1, -0.5, 0, 0.5, 1]),
        (0.9, 1.6, True, [1.0, 1.2, 1.4, 1.6]),
        (0.05, 30.0, True, [0.1, 1, 10]),
        (1e-3, 1e9, True, [1e-3, 1, 1e3, 1e6, 1e9]),
    ],
)
def test_marks_of_an_axis_are_round(low: float, high: float, is_log: bool, expected: list[float]) -> None:
    found = axes.Axis(low, high, 0.0, 100.0, is_log).ticks(5)
    assert found == pytest.approx(expected)


def test_a_logarithmic_axis_has_equal_factors_at_equal_distances() -> None:
    axis = axes.around(0.5, 2.0, 0.0, 300.0, is_log=True)
    assert axis.at(1.0) == pytest.approx(150)
    assert axis.at(1.0) - axis.at(0.8) == pytest.approx(axis.at(1.25) - axis.at(1.0))
    assert axis.at(1e9) == 300.0  # beyond the axis: at its end


@pytest.mark.parametrize("words", ["aten::convolution", "x" * 500, "名前" * 40, "", "a"])
def test_what_is_fitted_fits(words: str) -> None:
    for room in (0, 5, 40, 120, 400):
        short = svg.fit(words, room)
        assert svg.text_width(short) <= room or short == ""
        assert short in ("", words) or (short[0] == words[0] and "…" in short)


def test_text_is_escaped_wherever_it_goes() -> None:
    figure = points([Point(EVIL, 1.2, 1.1, 1.3, EVIL, "faster")], EVIL, "slower", "faster")
    for width in (380, 900):
        assert {element.tag for element in drawn(figure, width).iter()} <= {"svg", "text", "line", "circle", "title"}
    whole = ElementTree.fromstring(render_svg(Picture(EVIL, figure, EVIL)))
    assert EVIL in "".join(whole.itertext())
    assert not [element for element in whole.iter() if element.tag.endswith("script")]


def test_a_speedup_is_a_point_with_its_interval_on_its_side_of_one() -> None:
    comparison = compare_runs(TRACES / "2.0-frozen", TRACES / "2.15-frozen")
    figure = speedups(comparison)
    (one,) = marks(figure, "one")
    (point,) = marks(figure, "f-slower")
    assert float(point.get("cx", "nan")) < float(one.get("x1", "nan"))
    bar = marks(figure, "l-slower")[0]
    assert (
        float(bar.get("x1", "nan"))
        < float(point.get("cx", "nan"))
        < float(bar.get("x2", "nan"))
        < float(one.get("x1", "0"))
    )
    assert "0.85x [0.82, 0.87] slower" in figure.description


def test_what_is_not_shown_is_hollow_and_the_fastest_comes_first() -> None:
    overview = compare_many([TRACES])
    figure = run_speedups(overview)
    hollow = [r for r in overview.runs if r.geomean_speedup.verdict not in (None, "faster", "slower")]
    assert len(marks(figure, "hollow")) == len(hollow) > 0
    names = [element.text for element in drawn(figure).iter("text") if element.text in {r.label for r in overview.runs}]
    assert names == [
        run.label
        for run in sorted(overview.runs, key=lambda r: -(r.geomean_speedup.speedup or 0))
        if run.label != overview.baseline
    ]


def test_the_axis_of_a_waterfall_is_cut_to_the_change(slower: Figure) -> None:
    bars = [e for e in marks(slower, "f-slower") if e.tag == "rect" and "+4.35 ms" in "".join(e.itertext())]
    (longest,) = [float(bar.get("width", "0")) for bar in bars]
    assert longest > 400  # of 900 pixels, for 15% of the forward
    assert "axis not from 0" in "".join(drawn(slower).itertext())
    halved = waterfall(compare_runs(TRACES / "1.13", TRACES / "2.0-frozen").workloads[0])
    assert "axis not from 0" not in "".join(drawn(halved).itertext())


def test_each_meaning_has_its_own_colour() -> None:
    names = ("faster", "slower", "baseline", "candidate", "time", "paper", "ink")
    for colours in (LIGHT, DARK):
        assert len({colours[name] for name in names}) == len(names)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG 2.1 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_words_and_marks_stand_out_from_the_paper(colours: dict[str, str]) -> None:
    for name in ("ink", "faint", "faster", "slower"):
        for behind in ("paper", "wash"):
            assert contrast(colours[name], colours[behind]) >= 4.5, (name, behind)
    for name in ("baseline", "candidate", "neutral", "time", "q50", "q90", "q99"):  # graphics: 1.4.11
        assert contrast(colours[name], colours["paper"]) >= (3 if name != "q50" else 2), name


def test_every_forward_is_in_the_histogram_and_every_round_in_the_course() -> None:
    (change,) = compare_runs(TRACES / "2.0-frozen", TRACES / "2.15-frozen").workloads
    counts = [int(found) for found in re.findall(r"<title>(\d+) forwards</title>", latency(change).draw(900).marks)]
    assert sum(counts) == 100
    assert len(marks(over_time(change), "l-baseline")) == 5
    assert change.baseline_samples is not None
    long = replace(change.baseline_samples, latency_ns=[list(range(1, 20_001))])
    path = marks(over_time(replace(change, baseline_samples=long)), "l-baseline")[0].get("d", "")
    assert path.count("L") < 900  # thinned, but its highest and lowest value are kept
    assert "L" in path


def test_the_curve_of_a_load_test_has_its_limit_and_labels() -> None:
    load = example()
    texts = "".join(drawn(load_curve(load)).itertext())
    for point in load.points:
        if point.rate_per_s is None and point.throughput is not None:
            assert point.name in texts
    assert len(marks(load_curve(load), "dash")) == 2  # in the picture and in its legend


def test_a_picture_of_nothing_is_drawn() -> None:
    figure = points([], "speedup", "slower", "faster")
    assert figure.draw(900).height > 0
    assert "no value is known" in figure.description


def test_a_png_is_drawn_without_a_browser(slower: Figure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    image = render_picture(Picture("Change", slower, "a note"), "png")
    assert image.startswith(b"\x89PNG")
    width = int.from_bytes(image[16:20], "big")
    assert width == 1800
    assert b"var(--" not in render_svg(Picture("Change", slower), fixed=True).encode()


@pytest.mark.parametrize("is_log", [False, True])
@pytest.mark.parametrize(("low", "high"), [(5e-324, 1.0), (1e-320, 1e-320), (0.9, 1e308), (1e305, 1e306), (1.0, 1.0)])
def test_an_axis_holds_any_number(low: float, high: float, is_log: bool) -> None:
    """A saved result may hold any: its picture is drawn, within its bounds."""
    for axis in (axes.around(low, high, 0.0, 100.0, is_log=is_log), axes.from_zero(high, 0.0, 100.0)):
        assert axis.low < axis.high
        assert len(axis.ticks(8)) <= 20
        assert all(0 <= axis.at(value) <= 100 for value in (low, high, *axis.ticks(8)))

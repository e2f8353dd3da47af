"""What a worker reports and leaves is not believed: junk, forged rounds, texts of any length, half written files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from profkit.capture.filing import Filing
from profkit.errors import InputError, OutputError
from profkit.runs import Manifest, find_runs, read_manifest
from tests.unit.stub import SHORT, Heard, capture, write_model

pytestmark = pytest.mark.usefixtures("nothing_stays")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("b'junk\\n'", "something that is not a report"),
        ("b'{}\\n'", "something that is not a report"),
        ('b\'{"event": "round"}\\n\'', "a round report that is not valid (Object missing required field `trace`)"),
        (
            'b\'{"event": "round", "trace": "a.pt.trace.json.gz", "warmup_ns": [], "stable": true, "latency_ns": [1], '
            '"profiled_ns": [1, 1, 1], "outputs_sha256": null}\\n\'',
            "a round report that was not asked for",
        ),
        ("b'x' * (17 << 20)", "more than 16 MiB at once"),
    ],
)
@pytest.mark.parametrize("when", ["make", "body"])
def test_junk_on_the_report_descriptor(python: Path, tmp_path: Path, written: str, words: str, when: str) -> None:
    """It costs the configuration whose model wrote it; the others go on."""
    code = f"for fd in range(3, 500):\n    try: os.write(fd, {written})\n    except OSError: pass"
    forging = write_model(tmp_path / "m", **{when: code})
    captured, sound = capture(python, [forging, write_model(tmp_path / "m", name="sound")], tmp_path / "logs")
    assert captured.failure is not None
    assert words in captured.failure
    assert len(captured.failure) < 2100
    assert read_manifest(tmp_path / "logs/stub/model").rounds == []
    assert (sound.failure, len(read_manifest(sound.folder).rounds)) == (None, 2)


FORGING = """
measure = sys.modules["_profkit_worker.measure"]
finish = measure.Round.finish
def forged(self):
    said = finish(self)
    folder = self._folder
    {code}
    return said
measure.Round.finish = forged
"""


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("said['trace'] = 'x.pt.trace.json.gz'", "there is no trace 'x.pt.trace.json.gz'"),
        (
            "os.symlink('/etc/passwd', folder + '/x.pt.trace.json.gz'); said['trace'] = 'x.pt.trace.json.gz'",
            "there is no trace",
        ),
        ("os.mkfifo(folder + '/x.pt.trace.json.gz'); said['trace'] = 'x.pt.trace.json.gz'", "there is no trace"),
        ("os.mkdir(folder + '/x.pt.trace.json.gz'); said['trace'] = 'x.pt.trace.json.gz'", "there is no trace"),
        ("said['trace'] = '../model/profkit.json'", "is not the name of a trace in the run's folder"),
        ("said['profiled_ns'] = [1]", "it has 1 profiled forwards instead of 3"),
        ("said['latency_ns'] = []; said['counters'] = {{}}", "it has no forward with the profiler off"),
        ("said['counters']['cpu_ns'] = [1]", "counters.cpu_ns has 1 values for 3 forwards"),
    ],
)
def test_a_forged_round_is_not_filed(python: Path, tmp_path: Path, code: str, words: str) -> None:
    make = FORGING.format(code=code.format())
    (captured,) = capture(python, [write_model(tmp_path / "m", make=make)], tmp_path / "logs")
    assert captured.failure is not None
    assert words in captured.failure
    assert read_manifest(captured.folder).rounds == []
    assert not list(captured.folder.glob("*.pt.trace.json.gz")) or "mkdir" in code


def test_a_trace_is_the_trace_of_one_round(python: Path, tmp_path: Path) -> None:
    """The second round names the trace of the first."""
    code = (
        "first = sorted(name for name in os.listdir(folder) if name.endswith('.pt.trace.json.gz'))[0]\n"
        "    said['trace'] = first"
    )
    (captured,) = capture(python, [write_model(tmp_path / "m", make=FORGING.format(code=code))], tmp_path / "logs")
    assert captured.failure is not None
    assert "is that of an earlier round" in captured.failure
    assert len(read_manifest(captured.folder).rounds) == 1


def test_a_text_of_50_mb_is_cut_everywhere(python: Path, tmp_path: Path) -> None:
    heard = Heard()
    make = "raise RuntimeError('x' * 50_000_000)"
    (captured,) = capture(python, [write_model(tmp_path / "m", make=make)], tmp_path / "logs", heard)
    assert captured.failure is not None
    assert len(captured.failure) == 2_000
    assert "…" in captured.failure
    assert max(map(len, heard.messages)) < 2_200
    manifest = read_manifest(captured.folder)
    assert manifest.reason == captured.failure
    assert sum(path.stat().st_size for path in captured.folder.iterdir()) < 100_000
    with pytest.raises(InputError, match="this run holds no trace") as caught:
        find_runs(captured.folder)[0].require_traces()
    assert len(str(caught.value)) < 2_100


def test_a_note_of_50_mb_is_cut(python: Path, tmp_path: Path) -> None:
    make = "def script(model): raise RuntimeError('x' * 50_000_000)\ntorch.jit.script = script"
    settings = SHORT.changed(rounds=1, mode="script")
    (captured,) = capture(python, [write_model(tmp_path / "m", make=make)], tmp_path / "logs", settings=settings)
    assert captured.failure is None
    (note,) = (text for text in read_manifest(captured.folder).warnings if "torch.jit.script failed" in text)
    assert len(note) == 2_000


def test_a_chained_exception_is_in_the_log_with_every_place(python: Path, tmp_path: Path) -> None:
    body = "try: {}['weights']\nexcept KeyError as error: raise ValueError('no weights') from error"
    (captured,) = capture(python, [write_model(tmp_path / "m", body)], tmp_path / "logs")
    assert captured.failure is not None
    assert re.fullmatch(r"in the warm-up pass, at .*/m/model\.py:\d+: ValueError: no weights", captured.failure)
    log = (captured.folder / "worker.log").read_text()
    assert "KeyError: 'weights'" in log
    assert "The above exception was the direct cause" in log
    assert log.count("model.py") >= 2


@pytest.mark.parametrize("limit", [100, 700])
def test_a_worker_that_cannot_write_says_so(python: Path, tmp_path: Path, limit: int) -> None:
    """No file may be larger than so many bytes: the trace is not, or is not whole, or cannot be packed."""
    make = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    (captured,) = capture(python, [write_model(tmp_path / "m", make=make)], tmp_path / "logs")
    assert captured.unwritable
    assert captured.failure is not None
    assert "File too large" in captured.failure
    assert read_manifest(captured.folder).rounds == []
    assert {path.name for path in captured.folder.iterdir()} <= {"profkit.json", "worker.log"}


def test_a_trace_without_its_end_is_not_a_round(python: Path, tmp_path: Path) -> None:
    """An exporter that does not notice that the disk is full."""
    make = (
        "profile = torch.profiler.profile\n"
        "export = profile.export_chrome_trace\n"
        "def cut(self, path):\n"
        "    export(self, path)\n"
        "    os.truncate(path, os.path.getsize(path) - 100)\n"
        "profile.export_chrome_trace = cut"
    )
    (captured,) = capture(python, [write_model(tmp_path / "m", make=make)], tmp_path / "logs")
    assert captured.unwritable
    assert captured.failure == "the trace is incomplete. Is the disk full? Free some space"
    assert read_manifest(captured.folder).rounds == []


def test_one_run_that_cannot_be_filed_does_not_keep_the_others_from_it(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Filing.commit

    def full(self: Filing, manifest: Manifest) -> None:
        if self.folder.name == "first":
            raise OutputError("cannot be written (No space left on device)", where=self.folder)
        commit(self, manifest)

    monkeypatch.setattr(Filing, "commit", full)
    models = [write_model(tmp_path / "m", name=name) for name in ("first", "second")]
    with pytest.raises(OutputError, match="No space left") as caught:
        capture(python, models, tmp_path / "logs")
    assert caught.value.exit_status == 5
    assert read_manifest(tmp_path / "logs/stub/second").status == "complete"
    monkeypatch.undo()
    first, _ = capture(python, models, tmp_path / "logs")  # its rounds are still there, and more are added
    assert first.manifest is not None
    assert len(first.manifest.rounds) == 2
    assert not list((tmp_path / "logs").rglob(".*"))

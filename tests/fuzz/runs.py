"""Small runs made of real ones: their manifests and outputs as they are, their traces and logs cut."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

from tests.fuzz.bases import TRACES, captured_log, cut_trace, rounds_of
from tests.fuzz.mutate_bytes import LEVEL

BASELINE = "1.13-frozen"
REFERENCE = "2.0-frozen"  # the FP32 run that the candidate's fpmath mode is judged against
CANDIDATE = "2.0-bf16-frozen"
LOG_LINES = 400  # from the end of the log: traced forwards are there
WORKLOAD = "resnet50"


def make_base(scratch: Path) -> Path:
    """Return the folder of the three runs below ``scratch``, which are made when it lacks them."""
    logs = scratch / "base"
    if logs.is_dir():
        return logs
    part = scratch / f"base-{os.getpid()}"
    for label in (BASELINE, REFERENCE, CANDIDATE):
        _make_run(part / label / WORKLOAD, label)
    part.rename(logs)
    return logs


def _make_run(folder: Path, label: str) -> None:
    from profkit.runs import read_manifest, write_manifest

    source = TRACES / label / WORKLOAD
    folder.mkdir(parents=True)
    for path in rounds_of(label):
        (folder / path.name).write_bytes(gzip.compress(cut_trace(path), LEVEL, mtime=0))
    for name in ("outputs.npz", "onednn.trace.json.gz"):
        shutil.copyfile(source / name, folder / name)
    log = b"\n".join(captured_log(label)[-LOG_LINES:]) + b"\n"
    (folder / "onednn.log.gz").write_bytes(gzip.compress(log, LEVEL, mtime=0))
    write_manifest(folder, read_manifest(source))  # as run/2, whichever it is


class Pair:
    """A baseline and a candidate of one trial: links to the files of the base, which a mutation replaces.

    ``logs`` is the folder of all runs; ``baseline`` and ``candidate`` are two of them.
    """

    def __init__(self, folder: Path) -> None:
        self.logs = folder / "logs"
        base = make_base(folder.parent)
        for run in base.glob("*/*"):
            here = self.logs / run.relative_to(base)
            here.mkdir(parents=True)
            for path in run.iterdir():
                os.link(path, here / path.name)
        self.baseline = self.logs / BASELINE / WORKLOAD
        self.candidate = self.logs / CANDIDATE / WORKLOAD

    def replace(self, path: Path, content: bytes) -> None:
        """Replace a file of a run, not the base's file that it is a link to."""
        path.unlink(missing_ok=True)
        path.write_bytes(content)

"""The installer uv, as a program: its wheel contains the binary. No other module knows how packages are installed."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from profkit import children

Tell = Callable[[str], None]
"""Is called with what happens, one short line at a time."""

Source = str | None
"""Where torch comes from: ``cpu`` is PyTorch's own index of CPU builds, an address an index beside the default one."""

_TAIL = 40  # lines of uv's output kept for an error
# how uv says so for a patch (torch==2.0.7) and for a minor version above the newest (torch==9.9.*)
_NO_SUCH_VERSION = re.compile(r"there (is|are) no versions? of torch\b|only torch[<>=]\S* is available")
_PROGRESS = ("Downloading ", "Downloaded ", "Building ", "Prepared ", "Installed ")
# profkit has an alternative to these requests (another index, another interpreter): retry once, then use it.
_IMPATIENT = {"UV_HTTP_RETRIES": "1"}
# What is installed into environments that all captures share must not depend on the folder that one of them is started
# in: no configuration is looked for (UV_CONFIG_FILE and the other UV_ variables count, because the user sets them), and
# uv runs in the root folder, where it finds no project, environment or .python-version.
_ISOLATED = ("--no-config", "--color", "never")
_FOLDER = Path(os.sep)
_GRACE_S = 5.0  # for uv to end after SIGTERM


class InstallerError(Exception):
    """uv failed; ``log`` holds the last lines that it wrote."""

    def __init__(self, log: str) -> None:
        super().__init__(log)
        self.log = log

    @property
    def unreachable(self) -> bool:
        """Whether an index could not be reached (as opposed to an answer that it does not have the package)."""
        signs = ("error sending request", "Failed to fetch", "dns error", "client error (Connect)", "timed out")
        return any(sign in self.log for sign in signs)

    @property
    def unsatisfiable(self) -> bool:
        """Whether no such version exists, or none for this Python and platform."""
        return "No solution found" in self.log or "no version of" in self.log or "no wheels" in self.log

    @property
    def no_such_version(self) -> bool:
        """Whether no release of torch with that number exists on the index."""
        return _NO_SUCH_VERSION.search(" ".join(self.log.split())) is not None

    @property
    def disk_full(self) -> bool:
        """Whether the disk is full."""
        return "No space left on device" in self.log or "os error 28" in self.log

    @property
    def cause(self) -> str:
        """The most telling lines of the log, at most 400 characters."""
        lines = [line.strip() for line in self.log.splitlines() if line.strip()]
        telling = [line for line in lines if line.startswith(("error:", "cause:", "×", "╰─▶", "Because"))]
        return " ".join((telling or lines)[:2])[:400] or "uv gave no reason"


def creation(folder: Path, python: str) -> list[str]:
    """Return the arguments of uv that make an empty environment; ``python`` is a path or a version."""
    return ["venv", "--no-project", "--clear", "--python", python, str(folder.absolute())]


def installation(python: Path, requirements: Sequence[str], source: Source = None) -> list[str]:
    """Return the arguments of uv that install into the environment of ``python``."""
    options: list[str] = []
    if source == "cpu":
        options = ["--torch-backend", "cpu"]
    elif source is not None:
        # the index of nightly builds has old versions of other packages, too: the newest of both indexes counts
        options = ["--index", source, "--index-strategy", "unsafe-best-match"]
    return ["pip", "install", "--python", str(python.absolute()), *options, *requirements]


class Uv:
    """Runs uv; ``tell`` is called with its progress. Methods raise InstallerError unless they say otherwise."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._downloads_pythons = True

    def find_python(self, version: str) -> Path | None:
        """Return an interpreter of ``version`` (``3.10``) that uv knows, or None; raises nothing."""
        try:
            found = self._run(["python", "find", "--no-project", "--system", version]).strip()
        except InstallerError:
            return None
        return Path(found) if found else None

    def download_python(self, version: str) -> Path | None:
        """Download an interpreter; return None if that fails, and from then on without a new attempt."""
        if not self._downloads_pythons:
            return None
        self._tell(f"Downloading Python {version}")
        try:
            self._run(["python", "install", version], _IMPATIENT)
        except InstallerError:
            self._downloads_pythons = False
            return None
        return self.find_python(version)

    def create(self, folder: Path, python: Path) -> None:
        """Make an empty environment in ``folder``."""
        self._run(["--quiet", *creation(folder, str(python))])

    def install(self, python: Path, requirements: Sequence[str], source: Source = None) -> None:
        """Install into the environment of ``python``."""
        self._run(installation(python, requirements, source), _IMPATIENT if source == "cpu" else {})

    def newest(self, requirement: str, python_version: str) -> str:
        """Return the newest version that satisfies ``requirement`` (``torch==2.15.*``)."""
        arguments = ["pip", "compile", "--quiet", "--no-deps", "--no-header", "--no-annotate"]
        printed = self._run([*arguments, "--python-version", python_version, "-"], stdin=requirement)
        return printed.strip().rpartition("==")[2]

    def _run(self, arguments: Sequence[str], variables: Mapping[str, str] | None = None, *, stdin: str = "") -> str:
        """Run uv and pass on its progress; return its standard output."""
        from uv import find_uv_bin

        tail: deque[str] = deque(maxlen=_TAIL)
        with tempfile.TemporaryFile("w+", encoding="utf-8") as printed:
            process = children.start(
                [find_uv_bin(), *_ISOLATED, *arguments],
                env={**os.environ, **(variables or {})},
                cwd=_FOLDER,
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            assert process.stdin is not None
            assert process.stderr is not None
            wait_s = 0.0  # an interrupt ends it at once
            try:
                with contextlib.suppress(BrokenPipeError), process.stdin:  # it has ended: its output says why
                    process.stdin.write(stdin)
                for line in map(str.strip, process.stderr):
                    tail.append(line)
                    if line.startswith(_PROGRESS):
                        self._tell(line)
                wait_s = _GRACE_S  # it has closed its output
            finally:
                children.end(process, wait_s, _GRACE_S)
                process.stderr.close()
            if process.returncode:
                raise InstallerError("\n".join(tail))
            printed.seek(0)
            return printed.read()

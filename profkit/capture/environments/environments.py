"""One isolated environment per PyTorch, made by uv, cached per user, shared by all captures.

An environment is believed only with its marker file, which is written last: one that a killed process left half
made has none and is made again. A lock keeps two captures from making the same one at once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from profkit.capture.environments.interpreters import find_interpreter, python_version
from profkit.capture.environments.releases import check_request, minor, newest_minor, pythons, release_of, releases
from profkit.capture.environments.uv import InstallerError, Say, Uv
from profkit.errors import CaptureError, UsageError
from profkit.files import cache_root

MARKER_NAME = "profkit-environment.json"


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """An environment on disk, as its marker has it; ``extra`` are packages beyond PyTorch's own."""

    name: str
    torch: str
    python_version: str
    extra: list[str] = []
    cpu_only: bool = False
    made: str = ""
    folder: str = ""

    @property
    def python(self) -> Path:
        return Path(self.folder, "Scripts" if os.name == "nt" else "bin", "python")

    def satisfies(self, request: str, extra: Sequence[str]) -> bool:
        """Whether this is ``request`` (``2.0`` or ``2.0.1``) with those packages."""
        return (self.torch == request or minor(self.torch) == request) and self.extra == sorted(extra)


class Environments:
    """The user's environments, in ``PROFKIT_CACHE_DIR`` or the user's cache folder."""

    def __init__(self, say: Say, step: Say | None = None) -> None:
        """``say`` is told what a user must know, ``step`` how long work goes on."""
        self.folder = cache_root() / "envs"
        self._say = say
        self._step = step or say
        self._uv = Uv(self._step)
        self._cpu_index_reachable = True

    def list(self) -> list[Environment]:
        """Return the finished environments, by name."""
        if not self.folder.is_dir():
            return []
        found = (self._read(folder) for folder in sorted(self.folder.iterdir()) if folder.is_dir())
        return [environment for environment in found if environment is not None]

    def _read(self, folder: Path) -> Environment | None:
        try:
            marker = msgspec.json.decode((folder / MARKER_NAME).read_bytes(), type=Environment)
        except (OSError, msgspec.DecodeError):
            return None
        environment = msgspec.structs.replace(marker, folder=str(folder))
        return environment if environment.python.exists() else None

    def remove(self, name: str) -> None:
        """Delete an environment, finished or not; raises UsageError where there is none of that name."""
        folder = self.folder / name
        if folder.parent != self.folder or not folder.is_dir():
            have = ", ".join(environment.name for environment in self.list()) or "none"
            raise UsageError(f"no environment {name!r}", hint=f"There are: {have}.")
        with self._lock(name):
            (folder / MARKER_NAME).unlink(missing_ok=True)  # from here on nobody believes it
            shutil.rmtree(folder)

    def ensure(self, request: str | None, extra: Sequence[str] = ()) -> Environment:
        """Return the environment of a PyTorch (None: the newest), making it where it is not there yet.

        Raises CaptureError where it cannot be made.
        """
        if request is not None:
            check_request(request)
            matching = [e for e in self.list() if e.satisfies(request, extra)]
            if matching:
                return matching[-1]
        version = self._resolve(request)
        matching = [e for e in self.list() if e.satisfies(version, extra)]
        return matching[-1] if matching else self._make(version, sorted(extra))

    def _resolve(self, request: str | None) -> str:
        """Return the exact version: from the table for releases that are closed, else from the index."""
        if request is not None and (request.count(".") > 1 or "+" in request):
            return request
        if request in releases() and request != newest_minor():
            return release_of(request).newest
        python = pythons(release_of(request or newest_minor()))[0]
        try:
            return self._uv.newest("torch" if request is None else f"torch=={request}.*", python)
        except InstallerError as error:
            if error.unreachable and (request is None or request in releases()):
                return release_of(request or newest_minor()).newest
            raise self._explain(error, request or "the newest version") from None

    def _make(self, version: str, extra: Sequence[str]) -> Environment:
        release = release_of(version)
        python = find_interpreter(self._uv, pythons(release))
        if python is None:
            first, last = release.python
            raise CaptureError(
                f"no Python for PyTorch {version}: it needs {first} to {last}, and none was found or downloaded",
                hint=f"Install one (uv python install {pythons(release)[0]}), or pass --python PATH to one with torch.",
            )
        built_for = python_version(python) or "unknown"
        suffix = f"-{sha256(' '.join(extra).encode()).hexdigest()[:8]}" if extra else ""
        name = f"torch-{version}-python-{built_for}{suffix}"
        folder = self.folder / name
        self._step(f"making the environment {name}")
        with self._lock(name):
            if (there := self._read(folder)) is not None:
                return there  # another capture made it while this one waited
            environment = Environment(
                name=name,
                torch=version.split("+")[0],
                python_version=built_for,
                extra=list(extra),
                made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                folder=str(folder),
            )
            try:
                self._uv.create(folder, python)
                cpu_only = self._install(environment, [*release.requirements(version), *extra])
                environment = msgspec.structs.replace(environment, cpu_only=cpu_only)
                part = folder / (MARKER_NAME + ".part")
                part.write_bytes(msgspec.json.encode(environment))
                part.replace(folder / MARKER_NAME)
            except InstallerError as error:
                shutil.rmtree(folder, ignore_errors=True)
                raise self._explain(error, version) from None
            except OSError as error:
                shutil.rmtree(folder, ignore_errors=True)
                raise CaptureError(f"the environment cannot be written ({error.strerror})", where=folder) from None
        return environment

    def _install(self, environment: Environment, requirements: Sequence[str]) -> bool:
        """Install the CPU-only wheels where their index can be reached, else the default ones; return which."""
        if self._cpu_index_reachable:
            try:
                self._uv.install(environment.python, requirements, cpu_only=True)
                return True
            except InstallerError as error:
                if error.disk_full:
                    raise
                self._cpu_index_reachable = not error.unreachable
                why = "cannot be reached" if error.unreachable else f"does not have PyTorch {environment.torch}"
                self._say(f"note: the index of CPU-only wheels {why}; taking the default wheels")
        self._uv.install(environment.python, requirements, cpu_only=False)
        return False

    def _explain(self, error: InstallerError, version: str) -> CaptureError:
        if error.disk_full:
            hint = (
                "An environment takes 1 to 5 GB: free some space (profkit envs remove NAME), or set PROFKIT_CACHE_DIR."
            )
            return CaptureError("the disk is full", where=self.folder, hint=hint)
        if error.unreachable:
            return CaptureError(
                f"PyTorch {version} cannot be downloaded: the package index cannot be reached",
                hint="Check the network or proxy, or pass --python PATH to an interpreter that has torch.",
            )
        if error.unsatisfiable:
            return CaptureError(
                f"PyTorch {version} cannot be had for this platform and Python: {error.cause}",
                hint=f"Known to profkit: {', '.join(releases())}.",
            )
        return CaptureError(f"the environment for PyTorch {version} failed: {error.cause}")

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / f"{name}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                self._say(f"waiting for another profkit that works on {name}")
                lock.acquire()
        except OSError as error:
            hint = "Set PROFKIT_CACHE_DIR to a folder you may write to."
            raise CaptureError(f"cannot be written ({error.strerror})", where=self.folder, hint=hint) from None
        try:
            yield
        finally:
            lock.release()

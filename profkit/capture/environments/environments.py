"""One isolated environment per PyTorch version, made by uv, cached per user and shared by all captures.

An environment counts only with its marker file, which is written last. One that a killed process left incomplete has
no marker and is made again. A lock keeps two captures from making the same environment at once.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec
from filelock import FileLock, Timeout

from profkit.capture.environments.interpreters import find_interpreter, python_version
from profkit.capture.environments.nightlies import is_nightly, nightly_index
from profkit.capture.environments.package_versions import PackageVersions, package_versions
from profkit.capture.environments.releases import check_request, minor, newest_minor, pythons, release_of, releases
from profkit.capture.environments.uv import InstallerError, Source, Tell, Uv, creation, installation
from profkit.errors import CaptureError, InputError, OutputError, ProfkitError, UsageError
from profkit.files import cache_root, read_bounded, write_whole

MARKER_NAME = "profkit-environment.json"
_MOST_MARKER = 1 << 20  # bytes of a marker, which has some hundred


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """An environment on disk, as its marker describes it; ``extra`` are packages beyond those that PyTorch needs."""

    name: str
    torch: str
    python_version: str
    extra: list[str] = []
    cpu_only: bool = False
    made: str = ""
    folder: str = ""

    @property
    def python(self) -> Path:
        """The interpreter of the environment."""
        return Path(self.folder, "bin", "python")

    def satisfies(self, request: str, extra: Sequence[str]) -> bool:
        """Whether this has the PyTorch ``request`` (``2.0`` or ``2.0.1``) and exactly the packages ``extra``."""
        is_of_release = minor(self.torch) == request and not is_nightly(self.torch)
        return (self.torch == request or is_of_release) and self.extra == sorted(extra)


class EnvironmentPlan(NamedTuple):
    """The environment that a request gets, and the commands that would make it; none if it is there."""

    name: str
    commands: tuple[str, ...] = ()


class Environments:
    """The user's environments, in ``PROFKIT_CACHE_DIR`` or the user's cache folder."""

    def __init__(self, message: Tell, activity: Tell | None = None) -> None:
        """``message`` is called with what the user must know, ``activity`` with what long work does now."""
        self.folder = cache_root() / "envs"
        self._message = message
        self._activity = activity or message
        self._uv = Uv(self._activity)
        self._cpu_index_reachable = True

    def list(self) -> list[Environment]:
        """Return the complete environments, by name."""
        if not self.folder.is_dir():
            return []
        found = (self._read(folder) for folder in sorted(self.folder.iterdir()) if folder.is_dir())
        return [environment for environment in found if environment is not None]

    def _read(self, folder: Path) -> Environment | None:
        """Return the environment in ``folder``; None if it is not complete."""
        try:
            marker = msgspec.json.decode(read_bounded(folder / MARKER_NAME, _MOST_MARKER).data, type=Environment)
        except (InputError, msgspec.DecodeError):
            return None
        environment = msgspec.structs.replace(marker, folder=str(folder))
        return environment if environment.python.exists() else None

    def versions_of(self, request: str, torch: str | None) -> PackageVersions:
        """Return the package that ``request`` names and its versions, for the Python of that PyTorch.

        See :func:`profkit.capture.environments.package_versions.package_versions`, which raises the same.
        """
        python = pythons(release_of(torch or newest_minor()))[0]
        return package_versions(request, lambda requirement: self._uv.newest(requirement, python))

    def remove(self, name: str) -> None:
        """Delete an environment, complete or not; raises UsageError if there is none of that name."""
        folder = self.folder / name
        if folder.parent != self.folder or not folder.is_dir():
            have = ", ".join(environment.name for environment in self.list()) or "none"
            raise UsageError(f"no environment {name!r}", hint=f"There are: {have}.")
        with self._lock(name):
            (folder / MARKER_NAME).unlink(missing_ok=True)  # from here on it does not count
            shutil.rmtree(folder)

    def ensure(self, request: str | None, extra: Sequence[str] = ()) -> Environment:
        """Return the environment of a PyTorch version (None: the newest); make it if there is none.

        Raises UsageError if ``request`` is not a version, CaptureError if the environment cannot be made, OutputError
        if it cannot be written.
        """
        if request is not None:
            check_request(request)
            matching = [e for e in self.list() if e.satisfies(request, extra)]
            if matching:
                return matching[-1]
        version = self._resolve(request)
        matching = [e for e in self.list() if e.satisfies(version, extra)]
        return matching[-1] if matching else self._make(version, sorted(extra))

    def plan(self, request: str, extra: Sequence[str] = ()) -> EnvironmentPlan:
        """Return what :meth:`ensure` would do, as far as is known without asking the package index.

        Raises UsageError if ``request`` is not a version.
        """
        release = release_of(check_request(request))
        version = request if _is_exact(request) else release.newest or request
        matching = [e for e in self.list() if e.satisfies(request, extra) or e.satisfies(version, extra)]
        if matching:
            return EnvironmentPlan(matching[-1].name)
        python = pythons(release)[0]
        name = _name(version, python, extra)
        requirements = [*release.requirements(version), *sorted(extra)]
        folder = self.folder / name
        source: Source = nightly_index() if is_nightly(version) else "cpu"
        words = (creation(folder, python), installation(folder / "bin/python", requirements, source))
        return EnvironmentPlan(name, tuple(shlex.join(["uv", *command]) for command in words))

    def _resolve(self, request: str | None) -> str:
        """Return the exact version: the package index knows the newest release's, the table that of older ones."""
        if request is not None and _is_exact(request):
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
        """Make the environment of ``version``; raises CaptureError or OutputError if that fails."""
        release = release_of(version)
        python = find_interpreter(self._uv, pythons(release))
        if python is None:
            first, last = release.python
            raise CaptureError(
                f"PyTorch {version} needs Python {first} to {last}, and none was found or could be downloaded",
                hint=f"Install one (uv python install {pythons(release)[0]}), or use --python PATH.",
            )
        built_for = python_version(python) or "unknown"
        name = _name(version, built_for, extra)
        folder = self.folder / name
        self._activity(f"making the environment {name}")
        with self._lock(name):
            if (there := self._read(folder)) is not None:
                return there  # another capture made it in the meantime
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
                write_whole(folder / MARKER_NAME, msgspec.json.encode(environment))
            except InstallerError as error:
                shutil.rmtree(folder, ignore_errors=True)
                raise self._explain(error, version) from None
            except OSError as error:
                shutil.rmtree(folder, ignore_errors=True)
                raise OutputError(f"the environment cannot be written ({error.strerror})", where=folder) from None
        return environment

    def _install(self, environment: Environment, requirements: Sequence[str]) -> bool:
        """Install CPU-only wheels if their index has them, else the default ones; return whether they are CPU-only.

        A nightly build comes from its own index, whatever that has.
        """
        if is_nightly(environment.torch):
            self._uv.install(environment.python, requirements, nightly_index())
            return False
        if self._cpu_index_reachable:
            try:
                self._uv.install(environment.python, requirements, "cpu")
                return True
            except InstallerError as error:
                if error.disk_full:
                    raise
                self._cpu_index_reachable = not error.unreachable
                why = "cannot be reached" if error.unreachable else f"has no PyTorch {environment.torch}"
                self._message(f"note: the index of CPU-only wheels {why}; using the default wheels")
        self._uv.install(environment.python, requirements)
        return False

    def _explain(self, error: InstallerError, version: str) -> ProfkitError:
        """Return the error to raise for a failed installation."""
        if error.disk_full:
            hint = (
                "An environment takes 1 to 5 GB: free some space (profkit envs remove NAME), or set PROFKIT_CACHE_DIR."
            )
            return OutputError("the disk is full", where=self.folder, hint=hint)
        if error.unreachable:
            return CaptureError(
                f"PyTorch {version} cannot be downloaded: the package index cannot be reached",
                hint="Check the network or proxy, or use --python PATH with an interpreter that has torch.",
            )
        if error.unsatisfiable:
            return CaptureError(
                _why_unavailable(version, error),
                hint=f"Releases known to profkit: {', '.join(releases())}.",
            )
        return CaptureError(f"the environment for PyTorch {version} could not be made: {error.cause}")

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        """Hold the lock of an environment; raises OutputError if the cache folder cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / f"{name}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                self._message(f"waiting for another profkit that is making or removing {name}")
                lock.acquire()
        except OSError as error:
            hint = "Set PROFKIT_CACHE_DIR to a folder you may write to."
            raise OutputError(f"cannot be written ({error.strerror})", where=self.folder, hint=hint) from None
        try:
            yield
        finally:
            lock.release()


def _name(version: str, python: str, extra: Sequence[str]) -> str:
    suffix = f"-{sha256(' '.join(sorted(extra)).encode()).hexdigest()[:8]}" if extra else ""
    return f"torch-{version}-python-{python}{suffix}"


def _is_exact(request: str) -> bool:
    """Whether a version is one release, as opposed to the newest patch of one."""
    return request.count(".") > 1 or "+" in request


def _why_unavailable(version: str, error: InstallerError) -> str:
    """Say why the index has no PyTorch ``version`` that can be installed."""
    if error.no_such_version:
        return f"PyTorch {version} is not available: no such release on the package index"
    return f"PyTorch {version} is not available for this platform and Python: {error.cause}"

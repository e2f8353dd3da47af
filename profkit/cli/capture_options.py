"""The options of commands that run workloads: the settings, each declared once, and the environments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from profkit.capture.environments.environments import Environments
from profkit.capture.environments.interpreters import python_version, torch_version
from profkit.capture.environments.releases import newest_minor, release_of, releases
from profkit.capture.plan import EnvironmentRequest
from profkit.capture.workloads import known_workloads
from profkit.errors import CaptureError, UsageError
from profkit.runs.setting import Setting
from profkit.runs.settings import SETTINGS

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # not generic in older versions of click

_F = TypeVar("_F", bound=Callable[..., Any])
_MOST_VALUES = 100  # of one option: more configurations than anybody waits for


def complete_workload(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the workloads whose names begin with what is typed; files if there are none."""
    names = [CompletionItem(w.name) for w in known_workloads() if w.name.startswith(incomplete)]
    return names or [CompletionItem(incomplete, type="file")]


def complete_torch(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the versions of PyTorch that begin with what is typed."""
    return [version for version in releases() if version.startswith(incomplete)]


def setting_options(command: _F) -> _F:
    """Add an option for each setting that has a flag; the command gets its value, or a tuple if it is repeatable."""
    return options_of(SETTINGS)(command)


def options_of(settings: Sequence[Setting]) -> Callable[[_F], _F]:
    """Add an option for each of ``settings`` that has a flag."""

    def decorate(command: _F) -> _F:
        for setting in reversed(settings):
            if setting.flags:
                command = _option(setting)(command)
        return command

    return decorate


def package_options(command: _F) -> _F:
    """Add the options that name packages beside PyTorch: ``packages`` and ``requirement_files``."""
    with_ = click.option(
        "--with",
        "packages",
        multiple=True,
        metavar="PACKAGE[==VERSION]",
        help="Install this package beside PyTorch, in an environment of its own. Repeatable.",
    )
    requirements = click.option(
        "--requirements",
        "requirement_files",
        multiple=True,
        metavar="FILE",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Install the packages that this file lists, one per line, beside PyTorch. Repeatable.",
    )
    return with_(requirements(command))


def _checked(setting: Setting, value: Any) -> Any:
    """Return the value of a number's option; raises click.BadParameter in words if the setting refuses it."""
    try:
        return setting.check(value)
    except ValueError as error:
        raise click.BadParameter(str(error).removeprefix(f"settings.{setting.name} ")) from None


class _Integer(click.IntRange):
    """A whole number that a setting checks."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(min=setting.minimum)
        self._setting = setting

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value; fails in words if it does not fit."""
        return _checked(self._setting, super().convert(value, param, ctx))


class _Integers(_ParamType):
    """Whole numbers that a setting checks: one, several such as 1,2,4, or a range such as 1..8."""

    name = "integers"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the values as a tuple; fails in words if they do not fit."""
        found: list[Any] = []
        for part in str(value).split(","):
            first, dots, last = part.partition("..")
            try:
                begin, end = int(first), int(last if dots else first)
            except ValueError:
                self.fail(f"{part!r} is not a number, or a range such as 1..8", param, ctx)
            if not begin <= end < begin + _MOST_VALUES:
                self.fail(f"{part!r} is not a range of 1 to {_MOST_VALUES} numbers", param, ctx)
            found += [_checked(self._setting, number) for number in range(begin, end + 1)]
        return tuple(found)


def _flattened(ctx: click.Context, param: click.Parameter, values: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    return tuple(value for several in values for value in several)


class _Number(click.FloatRange):
    """A number that a setting checks."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(min=setting.minimum)
        self._setting = setting

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value; fails in words if it does not fit."""
        return _checked(self._setting, super().convert(value, param, ctx))


class _Text(_ParamType):
    """A text that a setting checks."""

    name = "text"

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value; fails in words if it does not fit."""
        try:
            return self._setting.check(value)
        except ValueError:
            self.fail(f"{value!r} is not {self._setting.pattern_text}", param, ctx)


def _option(setting: Setting) -> Callable[[_F], _F]:
    """Return the click option of a setting."""
    default = setting.default
    if isinstance(default, float) and default.is_integer():
        default = int(default)  # the help shows 1800, not 1800.0; click converts it back
    shown: dict[str, Any] = {"default": default, "show_default": True}
    help_ = setting.help
    if setting.repeatable:
        text = setting.default_text or ("no" if default is False else default)
        several = " Repeatable, also as 1,2,4 or 1..8." if setting.type is int else " Repeatable."
        shown, help_ = {"multiple": True}, f"{help_}{several}  [default: {text}]"
    elif setting.default is None:
        shown, help_ = {}, f"{help_}  [default: {setting.default_text}]"
    elif setting.type is bool and "/" not in setting.flags[0]:
        shown = {"is_flag": True}
    kind: Any = _Text(setting) if setting.pattern else setting.type
    if setting.repeatable and setting.type is int:
        kind, shown["callback"] = _Integers(setting), _flattened
    elif setting.choices:
        kind = click.Choice(setting.choices)
    elif setting.minimum is not None:
        kind = (_Integer if setting.type is int else _Number)(setting)
    metavar = setting.metavar or ("N" if isinstance(kind, _Integers) else None)
    return click.option(*setting.flags, setting.name, type=kind, metavar=metavar, help=help_, **shown)


def requested_environments(
    torches: Sequence[str], pythons: Sequence[Path], environments: Environments, dry_run: bool
) -> list[EnvironmentRequest]:
    """Return the requested environments, those of --torch first; without a request, one is made unless ``dry_run``.

    Raises UsageError if a path is not an interpreter, CaptureError if torch is not installed.
    """
    if not torches and not pythons:
        installed = torch_version(Path(sys.executable))
        if installed is not None:
            return [EnvironmentRequest(None, Path(sys.executable), installed)]
        newest = release_of(newest_minor()).newest if dry_run else environments.ensure(None).torch
        return [EnvironmentRequest(newest, None, newest)]
    found = [EnvironmentRequest(version, None, version) for version in torches]
    for python in pythons:
        if python_version(python) is None:
            raise UsageError(
                "is not a working Python interpreter", where=python, hint="Pass the path of an interpreter."
            )
        version = torch_version(python)
        if version is None:
            raise CaptureError("torch is not installed", where=python, hint="Install it there, or use --torch VERSION.")
        found.append(EnvironmentRequest(None, python.absolute(), version))
    return found

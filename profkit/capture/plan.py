"""The plan of a capture: every combination of workload, environment and settings, and the order of their rounds."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from profkit.capture.workloads import WorkloadOrder
from profkit.errors import UsageError
from profkit.runs.setting import Value
from profkit.runs.settings import Settings, declared

_NOT_IN_LABELS = re.compile(r"[^\w.+-]")
_LABEL = re.compile(r"[\w+][\w.+-]*")


class EnvironmentRequest(NamedTuple):
    """An environment to capture in: a PyTorch ``torch`` as typed, or the interpreter ``python`` that has one.

    Labels of its runs begin with ``label``.
    """

    torch: str | None
    python: Path | None
    label: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """One workload in one environment, under ``label``.

    ``torch`` is a version as typed, for an environment that profkit makes; ``python`` is the user's own interpreter,
    used instead. ``settings`` holds the values in which it differs from the others of its capture, ``variables`` the
    environment variables that the user gives it.
    """

    workload: WorkloadOrder
    torch: str | None
    python: Path | None
    label: str
    settings: Settings
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Label and workload, for messages."""
        return f"{self.label} {self.workload.name}"

    @property
    def python_chosen_by(self) -> Literal["profkit", "user"]:
        """Who chose the interpreter: profkit does if it makes the environment."""
        return "profkit" if self.python is None else "user"


def matrix(
    workloads: Sequence[WorkloadOrder] | Callable[[Settings], Sequence[WorkloadOrder]],
    environments: Sequence[EnvironmentRequest],
    varied: Mapping[str, Sequence[Value]],
    label: str | None = None,
    common: Settings | None = None,
    variables: Mapping[str, Sequence[str]] = {},
) -> list[Configuration]:
    """Return every combination of workload, environment, and the values of ``varied`` settings and of ``variables``.

    ``workloads`` may be a function of the settings, which say how large a batch is. ``common`` are the settings that
    all of them share; they are part of the labels too, and so are the environment variables in ``variables``, each with
    its values.
    Raises UsageError if ``label`` is not valid, two configurations would have the same folder, or a setting is given
    that none of them can use.
    """
    if label is not None and not _LABEL.fullmatch(label):
        raise UsageError(f"{label!r} cannot be a label", hint="Use letters, digits, dots, dashes and underscores.")
    combinations = _combinations(varied)
    chosen = [dict(zip(variables, values, strict=True)) for values in itertools.product(*variables.values())]
    configurations = [
        Configuration(workload, torch, python, label or base + suffix + _suffix(given), settings, given)
        for torch, python, base in environments
        for settings in combinations
        for whole in [Settings(common or {}, **settings)]
        for suffix in [whole.label_suffix()]
        for given in chosen
        for workload in (workloads(whole) if callable(workloads) else workloads)
    ]
    doubled = [name for name, n in Counter(c.name for c in configurations).items() if n > 1]
    if doubled:
        raise UsageError(
            f"several configurations would be filed as {doubled[0]}",
            hint="Use --label for one configuration only, and give each version and each value once.",
        )
    return configurations


def along_versions(configurations: Sequence[Configuration], versions: Sequence[str]) -> list[Configuration]:
    """Return the configurations with each of some versions of a package (``NAME==VERSION``), which labels them."""
    return [
        replace(
            configuration,
            workload=configuration.workload.with_packages((version,)),
            label=f"{configuration.label}-{_NOT_IN_LABELS.sub('_', version.replace('==', '-'))}",
        )
        for version in versions
        for configuration in configurations
    ]


def _combinations(varied: Mapping[str, Sequence[Value]]) -> list[Settings]:
    """Return the combinations of values, without those in which a setting has a value that it cannot use.

    Raises UsageError if a setting can use a value in none of them.
    """
    every = [Settings(dict(zip(varied, values, strict=True))) for values in itertools.product(*varied.values())]
    known = declared()
    found: list[Settings] = []
    for settings in every:
        usable = settings.usable()
        if usable == settings or (usable not in every and usable not in found):
            found.append(usable)
    for name, values in varied.items():
        unused = [value for value in values if not any(settings[name] == value for settings in found)]
        if unused:
            need, value = known[name].only_with or ("", None)
            raise UsageError(f"--{name} is an option of --{need} {value}", hint=f"Add --{need} {value}.")
    return found


def _suffix(variables: Mapping[str, str]) -> str:
    """Return what environment variables add to a label."""
    return "".join(f"-{name}-{_NOT_IN_LABELS.sub('_', value)}" for name, value in variables.items())


def order_of_round(index: int, count: int) -> list[int]:
    """Return the order of ``count`` configurations in round ``index``.

    A Latin square of Williams's design (Williams 1949): over ``count`` rounds each configuration runs at each
    place once and, for even counts, follows each other one once. So neither the drift of the machine nor the
    configuration that ran before favours one.
    """
    zigzag = [(i + 1) // 2 if i % 2 else (count - i // 2) % count for i in range(count)]
    return [(place + index) % count for place in zigzag]

"""What a setting of a capture is: its values, its command-line option and its part in comparisons."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

MOST = 2**31 - 1
"""The largest number of any setting: what is passed on to C, as the number of threads is, has 32 bits."""

Value = bool | int | float | str | None
"""The value of a setting; None leaves the choice to PyTorch."""

_TYPE_NAMES: Mapping[type, str] = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


class Setting(msgspec.Struct, frozen=True):
    """One setting: its values, its command-line option and its part in comparisons.

    ``choices`` are the values of its option; a manifest may also hold ``other_values``. A text matches ``pattern``,
    which ``pattern_text`` describes. None is a value only if it is ``optional``. ``flags`` are the spellings of its
    option, () if it has none. ``metavar`` is its placeholder. ``default_text`` describes the default in the help if
    the value does not say it. ``repeatable`` options may be given several times; each value makes configurations of
    its own, so ``label_suffix`` (with ``{value}``) must tell their labels apart. ``only_with`` names another setting
    and its value: with any other value there, this one stays at its default.

    ``recorded`` settings are in the manifest, the others only plan a capture. ``same_as`` names the manifest field
    that holds the value actually used, if it is not the settings' own. ``identity``: rounds with another value are
    not added to a run. ``expected``: people change it on purpose, so a difference is the subject of a comparison and
    not a confounder. ``measuring``: it says how much is measured or recorded and leaves the model's work as it is.
    ``always_in_command``: it is written into ``capture_command`` at its default too, so that the command keeps its
    meaning when a default changes. ``after_crash`` is the value of the retry after a crash, None to keep the value;
    ``after_crash_text`` says so.
    """

    name: str
    type: type[bool] | type[int] | type[float] | type[str]
    default: Value
    help: str
    flags: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    other_values: tuple[str, ...] = ()
    minimum: int | None = None
    pattern: str = ""
    pattern_text: str = ""
    optional: bool = False
    metavar: str | None = None
    default_text: str | None = None
    repeatable: bool = False
    label_suffix: str = ""
    only_with: tuple[str, Value] | None = None
    recorded: bool = True
    same_as: str | None = None
    identity: bool = True
    expected: bool = False
    measuring: bool = False
    always_in_command: bool = False
    after_crash: Value = None
    after_crash_text: str = ""
    variables: Callable[[Any], Mapping[str, str]] | None = None

    def check(self, value: object) -> Value:
        """Return ``value`` as this setting's type; raises ValueError, naming the setting, if it is not valid."""
        if value is None and self.optional:
            return None
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"settings.{self.name} must be a finite number, not {value!r}")
        if isinstance(value, int | float) and abs(value) > MOST:
            raise ValueError(f"settings.{self.name} must be at most {MOST}")
        if self.type is float and type(value) is int:
            value = float(value)
        if type(value) is not self.type:
            raise ValueError(f"settings.{self.name} must be {_TYPE_NAMES[self.type]}, not {value!r:.80}")
        if self.choices and value not in (*self.choices, *self.other_values):
            raise ValueError(f"settings.{self.name} must be one of {', '.join(self.choices)}, not {value!r:.80}")
        assert isinstance(value, bool | int | float | str)
        if self.pattern and not re.fullmatch(self.pattern, str(value)):
            raise ValueError(f"settings.{self.name} must be {self.pattern_text}, not {value!r:.80}")
        if self.minimum is not None and (isinstance(value, str) or value < self.minimum):
            raise ValueError(f"settings.{self.name} must be at least {self.minimum}, not {value!r}")
        return value

    def variable_names(self) -> list[str]:
        """Return the names of the environment variables that this setting may set."""
        some = next(iter(self.choices), self.default or self.minimum)
        return list(self.variables(some)) if self.variables is not None else []

    def suffix(self, value: Value) -> str:
        """Return what ``value`` adds to a label; nothing for the default."""
        return "" if value == self.default else self.label_suffix.format(value=value)

    def command_words(self, value: Value) -> list[str]:
        """Return the words that give ``value`` on the command line; [] if it needs none or cannot be given."""
        unneeded = value == self.default and not self.always_in_command
        if unneeded or value is None or not self.flags or (self.choices and value not in self.choices):
            return []
        if self.type is not bool:
            return [self.flags[0], f"{value:g}" if isinstance(value, float) else str(value)]
        on, _, off = self.flags[0].partition("/")
        return [on] if value else [off] * bool(off)

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of its values: type, bounds, default and description."""
        name = {bool: "boolean", int: "integer", float: "number", str: "string"}[self.type]
        described: dict[str, Any] = {"type": [name, "null"] if self.optional else name, "description": self.help}
        if self.choices:
            described["enum"] = [*self.choices, *self.other_values]
        if self.pattern:
            described["pattern"] = f"^{self.pattern}$"
        if self.minimum is not None:
            described |= {"minimum": self.minimum, "maximum": MOST}
        return described | {"default": self.default}


def show(value: object, setting: Setting | None = None) -> str:
    """Return the value of ``setting`` (None: not declared) as text for people."""
    if value is None:
        return (setting.default_text if setting is not None else None) or "not set"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)

"""The settings of a capture, each declared once.

A :class:`Setting` record says how a setting is spelled on the command line, which values it takes, how it shows in a
label, which environment variables it sets and how two configurations that differ in it are judged. The options of
``profkit capture``, the manifest's ``settings``, labels, ``capture_command``, the comparison of configurations and the
rows of ``profkit info`` are generated from :data:`SETTINGS`. A new setting is one record here, and the code of the
worker that acts on it (``orders["settings"][name]``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Set
from typing import Any

import msgspec

MOST = 2**31 - 1
"""The largest number of any setting: what is passed on to C, as the number of threads is, has 32 bits."""

Value = bool | int | float | str | None
"""The value of a setting; None leaves the choice to PyTorch."""

# oneDNN's name of each fpmath mode, by the name that users type
FPMATH = {"fp32": "STRICT", "bf16": "BF16", "f16": "F16", "tf32": "TF32", "any": "ANY"}


class Setting(msgspec.Struct, frozen=True):
    """One setting: its values, its command-line option and its part in comparisons.

    ``choices`` are the values of its option; a manifest may also hold ``other_values``. A text matches ``pattern``,
    which ``pattern_text`` describes. None is a value only if it is ``optional``. ``flags`` are the spellings of its
    option, () if it has none. ``metavar`` is its placeholder. ``default_text`` describes the default in the help if
    the value does not say it. ``repeatable`` options may be given several times; each value makes configurations of
    its own, so ``label_suffix`` (with ``{value}``) must tell their labels apart.

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


_TYPE_NAMES: Mapping[type, str] = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


def _fpmath_variables(value: str) -> Mapping[str, str]:
    # oneDNN 2 (PyTorch 1.13) reads the DNNL name only
    return dict.fromkeys(("DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE"), FPMATH[value])


def _thread_variables(value: int | None) -> Mapping[str, str]:
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(value)) if value else {}


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="fpmath",
        type=str,
        default="fp32",
        choices=tuple(FPMATH),
        flags=("--fpmath",),
        repeatable=True,
        label_suffix="-{value}",
        expected=True,
        variables=_fpmath_variables,
        help="oneDNN fpmath mode: the precision that float32 operations may use internally.",
    ),
    Setting(
        name="mode",
        type=str,
        default="eager",
        choices=("eager", "script", "frozen", "compile"),
        flags=("--mode",),
        repeatable=True,
        label_suffix="-{value}",
        expected=True,
        help="How the model runs: as it is, as TorchScript, as TorchScript optimized for inference (frozen), or "
        "through torch.compile.",
    ),
    Setting(
        name="channels_last",
        type=bool,
        default=False,
        flags=("--channels-last",),
        label_suffix="-channels-last",
        expected=True,
        help="Run images and the model's weights in channels-last memory format, as PyTorch recommends for "
        "convolutions.",
    ),
    Setting(
        name="rounds",
        type=int,
        default=None,
        optional=True,
        minimum=1,
        flags=("--rounds",),
        recorded=False,
        default_text="as --until says; 5 for a single configuration",
        help="Rounds per configuration; each round is a fresh process. Rounds that other work disturbed are measured "
        "again, up to half as many.",
    ),
    Setting(
        name="until",
        type=float,
        default=2.0,
        minimum=0,
        flags=("--until",),
        metavar="PERCENT",
        recorded=False,
        help="Capture rounds, 7 or more, until the ratio of each latency to that of the first configuration is known "
        "to this many percent (half the width of its 95% interval).",
    ),
    Setting(
        name="max_time_s",
        type=float,
        default=300.0,
        minimum=1,
        flags=("--max-time",),
        metavar="SECONDS",
        recorded=False,
        help="Start no more rounds of a workload after this time (seconds), unless --rounds asks for them.",
    ),
    Setting(
        name="sequential",
        type=bool,
        default=False,
        flags=("--sequential",),
        recorded=False,
        help="Run the configurations of a round one after the other, instead of by turns, forward by forward. The "
        "intervals get wider.",
    ),
    Setting(
        name="steps",
        type=int,
        default=10,
        minimum=1,
        flags=("--steps",),
        measuring=True,
        always_in_command=True,
        help="Profiled forwards per round, and before them at least as many timed with the profiler off.",
    ),
    Setting(
        name="warmup",
        type=int,
        default=10,
        minimum=1,
        flags=("--warmup",),
        measuring=True,
        always_in_command=True,
        help="Minimum warm-up iterations; continues up to 3x until latency is stable.",
    ),
    Setting(
        name="threads",
        type=int,
        default=None,
        optional=True,
        minimum=1,
        flags=("--threads",),
        default_text="PyTorch's choice",
        variables=_thread_variables,
        help="Intra-op threads (torch.set_num_threads).",
    ),
    Setting(
        name="cpus",
        type=str,
        default=None,
        optional=True,
        pattern=r"\d+(-\d+)?(,\d+(-\d+)?)*",
        pattern_text="a list of CPU numbers such as 0-3,6",
        flags=("--cpus",),
        metavar="LIST",
        default_text="all",
        help="Run the workers on these CPUs only, such as 0-3,6 (Linux).",
    ),
    Setting(
        name="lru_cache_capacity",
        type=int,
        default=1024,
        minimum=1,  # with 0, PyTorch 1.13 to 2.15 crash in the first convolution
        flags=("--lru-cache-capacity",),
        variables=lambda value: {"LRU_CACHE_CAPACITY": str(value)},
        help="Capacity of PyTorch's oneDNN primitive cache (LRU_CACHE_CAPACITY, at least 1).",
    ),
    Setting(
        name="batch",
        type=int,
        default=1,
        minimum=1,
        flags=("--batch",),
        same_as="workload.batch",
        help="Samples per forward (batch size).",
    ),
    Setting(
        name="weights",
        type=str,
        default="random",
        choices=("random", "pretrained"),
        other_values=("own",),  # made by the user's code
        flags=("--weights",),
        same_as="workload.weights",
        help="Model weights; random weights are the same under every PyTorch version.",
    ),
    Setting(
        name="with_stack",
        type=bool,
        default=False,
        flags=("--with-stack",),
        measuring=True,
        # frozen TorchScript with stacks segfaults in PyTorch 2.0.1 and 2.15.0 (pytorch#83585)
        after_crash=False,
        after_crash_text="without stacks",
        help="Record Python stacks and modules; slower, and crashes some PyTorch versions.",
    ),
    Setting(
        name="record_shapes",
        type=bool,
        default=True,
        measuring=True,
        help="Whether the trace records the input shapes of operators.",
    ),
    Setting(
        name="onednn",
        type=bool,
        default=True,
        flags=("--onednn/--no-onednn",),
        recorded=False,
        help="After the rounds, run one more process per configuration with oneDNN's verbose log on. It shows which "
        "primitives ran.",
    ),
    Setting(
        name="timeout_s",
        type=float,
        default=1800.0,
        minimum=1,
        flags=("--timeout",),
        metavar="SECONDS",
        recorded=False,
        help="End a round that takes longer than this (seconds), and count it as failed.",
    ),
)


def declared() -> dict[str, Setting]:
    """Return the settings of :data:`SETTINGS` by name, in order."""
    return {setting.name: setting for setting in SETTINGS}


class Settings(dict[str, Any]):
    """Values by setting name. A declared setting that is absent has its default, also as an attribute.

    Names that are not declared, from the manifest of a newer profkit, are kept as they are.
    """

    def __init__(self, values: Mapping[str, object] = {}, /, **more: object) -> None:
        """Take the values, those of ``more`` first; raises ValueError, naming the setting, if one is not valid."""
        known = declared()
        given = {**values, **more}
        super().__init__({name: known[name].check(v) if name in known else v for name, v in given.items()})

    def __getattr__(self, name: str) -> Any:
        """Return the value of a setting, or its default; raises AttributeError if there is no such setting."""
        if name in self:
            return self[name]
        try:
            return declared()[name].default
        except KeyError:
            raise AttributeError(name) from None

    def changed(self, **values: object) -> Settings:
        """Return a copy with other values; raises ValueError if one is not valid."""
        return Settings(self, **values)

    def completed(self, same_as: Mapping[str, Value]) -> Settings:
        """Return the settings of a manifest: each recorded one, then those that are not declared.

        ``same_as`` holds the values that other fields of the manifest give, by the name of the setting. Raises
        ValueError if one is not valid.
        """
        known = declared()
        values = {s.name: getattr(self, s.name) for s in known.values() if s.recorded}
        return Settings(values | {name: value for name, value in self.items() if name not in known}, **same_as)

    def variables(self) -> dict[str, str]:
        """Return the environment variables that these settings set in the worker."""
        found: dict[str, str] = {}
        for setting in SETTINGS:
            if setting.variables is not None:
                found |= setting.variables(getattr(self, setting.name))
        return found

    def label_suffix(self) -> str:
        """Return what the values that are not the default add to a label (``-bf16-frozen``)."""
        return "".join(setting.suffix(getattr(self, setting.name)) for setting in SETTINGS)

    def command_words(self, without: Set[str] = frozenset()) -> list[str]:
        """Return the options of ``profkit capture`` that give these settings, except those named in ``without``."""
        chosen = [setting for setting in SETTINGS if setting.name not in without]
        return [word for setting in chosen for word in setting.command_words(getattr(self, setting.name))]

    def after_crash(self) -> tuple[Settings, list[str]]:
        """Return the settings of the retry after a crash, and in words what they leave out; [] if nothing."""
        changed = [s for s in SETTINGS if s.after_crash is not None and getattr(self, s.name) != s.after_crash]
        return self.changed(**{s.name: s.after_crash for s in changed}), [s.after_crash_text for s in changed]

    def rows(self) -> list[tuple[str, str]]:
        """Return name and value of each setting as text, for people; None reads as the default's description."""
        known = declared()
        names = [s.name for s in SETTINGS if s.recorded] + [name for name in self if name not in known]
        return [(name, show(getattr(self, name), known.get(name))) for name in names]


def show(value: object, setting: Setting | None = None) -> str:
    """Return the value of ``setting`` (None: not declared) as text for people."""
    if value is None:
        return (setting.default_text if setting is not None else None) or "not set"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def settings_schema() -> dict[str, Any]:
    """Return the JSON schema of a manifest's ``settings``: type, bounds and description of each recorded setting."""
    return {s.name: _schema(s) for s in SETTINGS if s.recorded}


def _schema(setting: Setting) -> dict[str, Any]:
    name = {bool: "boolean", int: "integer", float: "number", str: "string"}[setting.type]
    described: dict[str, Any] = {"type": [name, "null"] if setting.optional else name, "description": setting.help}
    if setting.choices:
        described["enum"] = [*setting.choices, *setting.other_values]
    if setting.pattern:
        described["pattern"] = f"^{setting.pattern}$"
    if setting.minimum is not None:
        described |= {"minimum": setting.minimum, "maximum": MOST}
    return described | {"default": setting.default}

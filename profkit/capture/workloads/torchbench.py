"""Models of TorchBench as ``torchbench:NAME``, from a checkout on this machine.

Names are looked up in the checkout without running its code: only the worker does that. A checkout has more models than
it has folders for: lists of models of Hugging Face and timm, which its own loader knows.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from profkit.capture.workloads.order import Known, WorkloadOptions, WorkloadOrder
from profkit.errors import UsageError

PREFIX = "torchbench:"
_NAME = re.compile(r"[\w.-]+")
_PACKAGE = "torchbenchmark"
_FOLDERS = ("models", "canary_models")
_LISTS = "util/framework"  # of a checkout whose loader knows more models than there are folders
_HINT = "Clone the repository pytorch/benchmark, and give its folder with --torchbench DIR."


def known() -> Iterator[Known]:
    """Yield nothing: the names are those of a checkout."""
    return iter(())


def resolve(word: str, options: WorkloadOptions) -> WorkloadOrder | None:
    """Return the model that ``word`` names, or None; raises UsageError without a checkout that can have it."""
    if not word.startswith(PREFIX):
        return None
    name = word.removeprefix(PREFIX)
    if not _NAME.fullmatch(name):
        raise UsageError(f"{word!r} is not the name of a model of TorchBench", hint=f"Write {PREFIX}resnet50.")
    checkout = options.torchbench
    if checkout is None:
        raise UsageError(f"{word} needs a checkout of TorchBench", hint=_HINT)
    package = checkout / _PACKAGE
    if not (package / "__init__.py").is_file():
        raise UsageError(f"is not a checkout of TorchBench: it has no package {_PACKAGE}", where=checkout, hint=_HINT)
    options.require_defaults(word, takes_batch=True)
    _require_model(package, name)
    details = {"folder": str(checkout.resolve()), "model": name}
    return WorkloadOrder(f"torchbench-{name}", "torchbench", "", options.batch, "own", details=details)


def _require_model(package: Path, name: str) -> None:
    """Raise UsageError, with similar names, if the checkout cannot have a model of that name."""
    models = [path.parent.name for folder in _FOLDERS for path in sorted((package / folder).glob("*/__init__.py"))]
    if name.lower() in map(str.lower, models) or (package / _LISTS).is_dir():
        return
    near = difflib.get_close_matches(name, models, n=3)
    hint = f"Did you mean {', '.join(near)}?" if near else f"It has {len(models)} models."
    raise UsageError(f"has no model {name!r}", where=package, hint=hint)

"""The loader: a class by the name of a model."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class ModelNotFoundError(RuntimeError):
    pass


def load_model_by_name(model_name: str) -> Any:
    for folder in sorted((HERE / "models").iterdir()):
        if (folder / "__init__.py").is_file() and folder.name.lower() == model_name.lower():
            return importlib.import_module(f".models.{folder.name}", __name__).Model
    raise ModelNotFoundError(f"{model_name} is not found in the core model list.")


def load_canary_model_by_name(model: str) -> Any:
    if not (HERE / "canary_models" / model / "__init__.py").is_file():
        raise ModelNotFoundError(f"{model} is not found in the canary model list.")
    return importlib.import_module(f".canary_models.{model}", __name__).Model

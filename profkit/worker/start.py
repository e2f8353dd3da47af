"""The entry point of the worker: ``python -I -u start.py ORDERS_DESCRIPTOR REPORT_DESCRIPTOR``.

With ``-I``, Python ignores PYTHON* variables and does not search the current folder or this file's folder for modules.
The package is therefore loaded from its folder, under a private name.
"""

from __future__ import annotations

import importlib.util
import os
import sys

NAME = "_profkit_worker"


def load_package() -> None:
    """Make the folder of this file importable as the package ``NAME``."""
    folder = os.path.dirname(os.path.abspath(__file__))
    spec = importlib.util.spec_from_file_location(
        NAME, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    load_package()
    status = importlib.import_module(NAME + ".main").main(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            pass
    os._exit(status)  # all output is written, and unloading torch takes a second

"""A package index with nightly builds of PyTorch, small ones: a server of this machine, and its wheels."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder; give its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Silent, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def make_index(folder: Path, versions: Sequence[str]) -> None:
    """Write an index of torch, and of the torchvision of each day, that has these nightly builds."""
    for version in versions:
        day = version.rpartition(".dev")[2]
        module = f"__version__ = {version!r}\nis_changed = {day >= '20250804'}\n"
        _wheel(folder / "torch", "torch", version, module)
        requires = f"Requires-Dist: torch=={version}\n"
        _wheel(folder / "torchvision", "torchvision", f"0.24.0.dev{day}", "", requires)
    for package in ("torch", "torchvision"):
        names = sorted(path.name for path in (folder / package).glob("*.whl"))
        links = "".join(f'<a href="{name.replace("+", "%2B")}">{name}</a><br>' for name in names)
        (folder / package / "index.html").write_text(f"<!DOCTYPE html><html><body>{links}</body></html>")


def _wheel(folder: Path, name: str, version: str, module: str, requires: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": module,
        f"{name}/version.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},sha256={_digest(text)},{len(text.encode())}\n" for path, text in files.items())
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            wheel.writestr(path, text)


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()

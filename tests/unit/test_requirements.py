"""The packages that are installed beside PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest

from profkit.capture.environments.requirements import parse_requirements
from profkit.errors import UsageError


def test_from_options_and_files(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("# what the model needs\ntimm==1.0.3  # newest\n\nnumpy>=1.20,<2\n torchaudio\n")
    found = parse_requirements(["einops", "timm==1.0.3", "accelerate[torch]~=0.20; python_version > '3.8'"], [path])
    assert found == (
        "accelerate[torch]~=0.20; python_version > '3.8'",
        "einops",
        "numpy>=1.20,<2",
        "timm==1.0.3",
        "torchaudio",
    )
    assert parse_requirements([], []) == ()


@pytest.mark.parametrize(
    "text",
    ["--index-url http://x", "-r other.txt", "-e .", "git+https://x/y", "./wheel.whl", "a b", "name @ http://x", ""],
)
def test_options_and_addresses_are_refused(text: str, tmp_path: Path) -> None:
    """They would choose where the shared cache of packages is filled from."""
    with pytest.raises(UsageError, match="is not a package"):
        parse_requirements([text], [])
    if text:
        path = tmp_path / "requirements.txt"
        path.write_text(text)
        with pytest.raises(UsageError, match=r"requirements\.txt.*is not a package"):
            parse_requirements([], [path])


@pytest.mark.parametrize("text", ["torch", "torch==2.0", "Torch >= 1", "torch[opt]"])
def test_torch_has_an_option_of_its_own(text: str) -> None:
    with pytest.raises(UsageError, match="chosen by --torch"):
        parse_requirements([text], [])

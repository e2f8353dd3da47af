"""The arguments of a forward: lists, tuples and dicts of tensors are converted as single tensors are."""

from __future__ import annotations

from typing import Any, NamedTuple

from profkit.worker.inputs import Inputs


class Tensor:
    def __init__(self, value: int) -> None:
        self.value = value

    def detach(self) -> Tensor:
        return self


class Pair(NamedTuple):
    first: Any
    second: Any


def test_every_tensor_is_changed_and_nothing_else() -> None:
    given = Inputs.of(([Tensor(1), "text"], Pair(Tensor(2), 5), {"deep": (Tensor(3),)}, Tensor(4)))
    found = given.changed(lambda tensor: Tensor(10 * tensor.value))
    images, pair, nested, last = found.args
    assert isinstance(images, list)
    assert (images[0].value, images[1]) == (10, "text")
    assert isinstance(pair, Pair)
    assert (pair.first.value, pair.second) == (20, 5)
    assert nested["deep"][0].value == 30
    assert last.value == 40
    assert [tensor.value for _, tensor in given.tensors()] == [1, 2, 3, 4]  # the given ones stay as they are


def test_keyword_arguments_are_changed() -> None:
    found = Inputs.of({"ids": Tensor(1), "options": {"mask": Tensor(2)}}).changed(lambda t: Tensor(-t.value))
    assert found.kwargs["ids"].value == -1
    assert found.kwargs["options"]["mask"].value == -2

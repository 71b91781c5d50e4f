"""A network that threads share: one call at a time, full batches where there are any, and never another result."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor

from codeformer_core.runtime.sharing import SharedNetwork


class Slow:
    """Darkens crops by their fidelity, once it may go on."""

    side = 4

    def __init__(self) -> None:
        self.calls, self.at_once, self.go = [], 0, threading.Event()

    def restore(self, crops: Tensor, fidelity: float | Tensor, match_style: bool) -> Tensor:
        self.at_once += 1
        assert self.at_once == 1
        self.calls.append(len(crops))
        assert self.go.wait(60)
        self.at_once -= 1
        if crops.max() > 1:
            raise ValueError("too bright")
        weight = torch.as_tensor(fidelity)
        return crops * (weight if weight.ndim != 1 else weight.view(-1, 1, 1, 1))


def restored(shared: SharedNetwork, given: list[tuple[Tensor, float | Tensor]]) -> list[Tensor]:
    """Each called in a thread of its own; the first is not done before all others wait."""
    with ThreadPoolExecutor(len(given)) as pool:
        futures = [pool.submit(shared.restore, crops, fidelity, True) for crops, fidelity in given]
        while len(shared._waiting) < len(given) - 1 or not shared.network.calls:
            time.sleep(0.001)
        shared.network.go.set()
        return [future.result() for future in futures]


@pytest.mark.parametrize(("batch", "calls"), [(1, [1] * 7), (3, [1, 3, 3]), (8, [1, 6])])
def test_faces_of_those_who_wait_fill_a_batch(batch: int, calls: list[int]) -> None:
    network = Slow()
    given = [(torch.full((1, 3, 4, 4), index / 10), index / 7) for index in range(7)]
    results = restored(SharedNetwork(network, threading.Lock(), batch), given)
    assert network.calls == calls
    for (crops, fidelity), result in zip(given, results, strict=True):
        assert torch.equal(result, crops * torch.tensor(fidelity))


def test_numbers_and_maps_of_fidelity_are_not_mixed() -> None:
    network = Slow()
    crops, maps = torch.ones(1, 3, 4, 4), torch.full((1, 1, 4, 4), 0.25)
    results = restored(SharedNetwork(network, threading.Lock(), 8), [(crops, 0.5), (crops, maps), (crops, 1.0), (crops, maps)])
    assert sorted(network.calls) == [1, 1, 2]
    assert [float(result.mean()) for result in results] == [0.5, 0.25, 1.0, 0.25]


def test_a_face_that_fails_fails_alone() -> None:
    network = Slow()
    network.go.set()
    shared = SharedNetwork(network, threading.Lock(), 8)
    crops = torch.ones(1, 3, 4, 4)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(shared.restore, crops * light, 1.0, True) for light in (0.1, 0.2, 9.0, 0.3)]
        errors = [type(future.exception()) for future in futures]
    assert errors == [type(None), type(None), ValueError, type(None)]


def test_what_else_a_network_has_is_there() -> None:
    shared = SharedNetwork(Slow(), threading.Lock(), 5)
    assert (shared.side, shared.batch) == (4, 5)
    with pytest.raises(AttributeError):
        shared.nothing  # noqa: B018

"""Copies between host and device have few bytes, lose none, and make the host wait only where it reads."""

import numpy as np
import pytest
import torch
from fake_cuda import DEVICE, Cuda, FakeCuda

from codeformer_core.runtime.transfer import as_float, numbers, read_back, read_samples, upload

RNG = np.random.default_rng(0)


def samples(kind: str) -> list[np.ndarray]:
    """Planes of two sizes with the extremes of a type: turned and cut ones, as decoders give them."""
    dtype = np.dtype(kind)
    least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
    large, small = (RNG.integers(least, most, size, dtype.newbyteorder("="), endpoint=True) for size in ((9, 14), (4, 6)))
    large[:, 3] = least, *[most] * 8
    return [large[::-1, 2:11].astype(dtype), small.T.astype(dtype)]


@pytest.mark.parametrize("kind", ["u1", "<u2", ">u2"])
def test_samples_go_and_come_back_as_they_are_in_one_copy(kind):
    planes, bits = samples(kind), 8 * np.dtype(kind).itemsize
    for device in ("cpu", DEVICE):
        with Cuda() as counted:
            there = upload(planes, device)
            gone = list(counted.copies)
            values = [as_float(plane) for plane in there]
            back = read_samples([value + 0.25 for value in values], bits)
        assert all(np.array_equal(one, other) for one, other in zip(planes, back, strict=True))
        assert all(value.dtype == torch.float32 and value.device == torch.device(device) for value in values)
        size = sum(plane.nbytes for plane in planes)
        assert gone == ([] if device == "cpu" else [(True, size, False)])
        assert counted.copies == ([] if device == "cpu" else [*gone, (False, size, True)])


def test_values_outside_are_clipped():
    values = [torch.tensor([-3.0, 0.5, 1.5, 999.7, 70000])]
    assert read_samples(values, 8)[0].tolist() == [0, 0, 2, 255, 255]
    assert read_samples(values, 10)[0].tolist() == [0, 0, 2, 1000, 1023]
    assert read_samples(values, 16)[0].tolist() == [0, 0, 2, 1000, 65535]


def test_memory_that_cannot_be_pinned_is_copied_all_the_same():
    planes = samples("<u2")
    with FakeCuda() as counted:
        counted.pins = False
        there = read_back(*(as_float(plane) for plane in upload(planes, DEVICE)))
    assert all(np.array_equal(plane, one.numpy()) for plane, one in zip(planes, there, strict=True))
    assert [copy.waits for copy in counted.copies] == [True, True]


def test_nothing_is_read_back_without_a_copy():
    with Cuda() as counted:
        (nothing,) = read_back(torch.zeros(0, 2, device=DEVICE))
    assert nothing.shape == (0, 2) and nothing.device.type == "cpu" and not counted.copies


def test_numbers_reach_a_device_without_a_copy():
    values = [1 / 3, -2.0, 1e-7, *range(200)]
    with Cuda() as counted:
        there = numbers(values, DEVICE)
        assert not counted.copies and there.device == DEVICE
        assert torch.equal(there.cpu(), torch.tensor(values)) and numbers([], DEVICE).shape == (0,)
    assert torch.equal(numbers(values, "cpu"), torch.tensor(values))

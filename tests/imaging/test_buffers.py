"""Buffers on huge pages have the shape, dtype and device that PyTorch's would have."""

import pytest
import torch

from codeformer_core.imaging import buffers

TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.uint8)


@pytest.mark.parametrize("dtype", TYPES)
def test_buffers_have_the_requested_shape_and_dtype(dtype):
    like = torch.ones(1, dtype=dtype)
    for made in (buffers.empty(like, 2, 3, 700, 701), buffers.zeros(like, 2, 3, 700, 701)):
        assert (made.shape, made.dtype, made.device) == ((2, 3, 700, 701), dtype, like.device) and made.is_contiguous()
    assert not buffers.zeros(like, 2, 3, 700, 701).any()
    assert buffers.empty(like, 4, dtype=torch.float64).dtype == torch.float64


def test_a_buffer_without_elements():
    assert buffers.zeros(torch.ones(1), 0, 3, 5, 5).shape == (0, 3, 5, 5)


def test_buffers_of_other_devices_are_pytorchs():
    assert buffers.empty(torch.ones(1, device="meta"), 2, 3).device.type == "meta"
    assert buffers.zeros(torch.ones(1, device="meta"), 2, 3).device.type == "meta"

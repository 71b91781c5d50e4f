"""Sample planes on a GPU: the values of the CPU, with few copies, and outside the mask no sample changes."""

import av
import numpy as np
import pytest
import torch
from fake_cuda import DEVICE, Cuda

from codeformer_core.video_io import planes
from codeformer_core.video_io.yuv import ColourSpace

COLOURS = ColourSpace(1, 1, 1, 1)


def frame(kind: str) -> av.VideoFrame:
    pixels = np.random.default_rng(0).integers(0, 256, (74, 90, 3), dtype=np.uint8)
    return av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=kind)


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("kind", ["yuv420p", "yuv422p10le", "gray", "gbrp16le"])
def test_a_frame_comes_from_a_device_in_one_copy(kind, masked):
    generator = torch.Generator().manual_seed(0)
    image, mask = torch.rand(1, 3, 74, 90, generator=generator), torch.zeros(1, 1, 74, 90)
    mask[:, :, 11:40, 8:60] = torch.rand(29, 52, generator=generator)
    source, near, far = frame(kind), frame(kind), frame(kind)
    planes.write(near, COLOURS, image, mask if masked else None)
    with Cuda() as device:
        there = image.to(DEVICE), mask.to(DEVICE) if masked else None
        device.copies.clear()
        planes.write(far, COLOURS, *there)
        # Where the mask is, and the samples; to the device go those under the mask, and the host need not wait for that.
        assert [copy.to_device for copy in device.copies].count(False) == 1 + masked
        assert [copy.waits for copy in device.copies if copy.to_device] == [False] * masked
        assert sum(copy.bytes for copy in device.copies) < 3 * source.to_ndarray().nbytes
        assert (
            planes.image(source, COLOURS, samples=planes.uploaded(source, DEVICE)).cpu() - planes.image(source, COLOURS)
        ).abs().max() < 0.01
    for before, one, other in zip(*map(planes.arrays, (source, near, far)), strict=True):
        assert np.abs(one.astype(int) - other).max() <= 1 and not np.array_equal(one, before)
        assert not masked or (np.array_equal(other[44:], before[44:]) and np.array_equal(other[:, 62:], before[:, 62:]))

"""Colours of restored crops are computed without matrix products, which TF32 would round on CUDA."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from codeformer_core.imaging.colour import COLOURS, match_colours


class NoMatrixProduct(TorchDispatchMode):
    """Refuses what TF32 rounds; the 3 x 3 inverse is computed on the CPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert not any(word in str(func) for word in ("mm", "matmul", "bmm", "einsum", "convolution")), func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("colour", COLOURS)
def test_colours_need_no_matrix_product(colour):
    crops, originals = torch.rand(2, 2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with NoMatrixProduct():
        match_colours(crops, originals, colour)


def test_mean_and_standard_deviation_are_the_originals():
    generator = torch.Generator().manual_seed(0)
    crops = 0.4 + 0.1 * torch.rand(1, 3, 32, 32, generator=generator)
    originals = 0.3 + 0.2 * torch.rand(1, 3, 32, 32, generator=generator)
    matched = match_colours(crops, originals, "mean and spread")
    assert torch.allclose(matched.mean((2, 3)), originals.mean((2, 3)), atol=1e-3)

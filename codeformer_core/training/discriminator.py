"""The PatchGAN: is each patch of a picture drawn, or real (Isola et al., 2017)?"""

import torch.nn.functional as F
from torch import Tensor, nn

#: Channels of the first layer at a crop side of 512 (`ndf` of the reference's options); smaller crops get fewer.
WIDTH = 64


class Discriminator(nn.Module):
    """Pictures (N, 3, S, S) in [-1, 1] -> how real each patch looks (N, 1, s, s), without bounds.

    Group instead of batch normalisation: small batches and several processes then behave alike.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        width = max(8, WIDTH * min(side, 256) // 256)
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        depth = 3 if side < 256 else 4
        for level in range(1, depth + 1):
            before, after = width * min(8, 2 ** (level - 1)), width * min(8, 2**level)
            stride = 2 if level < depth else 1
            layers += [nn.Conv2d(before, after, 4, stride, 1, bias=False), nn.GroupNorm(8, after), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(width * min(8, 2**depth), 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def judge(self, clear: Tensor, drawn: Tensor) -> Tensor:
        """The hinge loss that the discriminator itself minimises."""
        return 0.5 * (F.relu(1 - self(clear).float()).mean() + F.relu(1 + self(drawn).float()).mean())

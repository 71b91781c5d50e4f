"""Losses of the generated image: gradient L1, perceptual, and adversarial (PatchGAN, hinge loss, adaptive weight)."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import vgg
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.transforms.functional import normalize

from .. import checkpoints
from ..networks import misfit

#: ImageNet's mean and spread, which torchvision's VGG was trained with.
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

#: The layers of VGG16 that LPIPS compares (Zhang et al., 2018): the last of each of the five groups.
LAYERS = (3, 8, 15, 22, 29)

#: Channels of the first layer at a crop side of 512 (`ndf` of the reference's options); smaller crops get fewer.
WIDTH = 64


def gradient_l1(generated: Tensor, clear: Tensor) -> Tensor:
    """L1 between horizontal and vertical gradients at three scales; images (N, 3, S, S)."""
    total = generated.new_zeros(())
    for scale in (1, 2, 4):
        a, b = (F.avg_pool2d(x, scale) if scale > 1 else x for x in (generated, clear))
        total = total + (a.diff(dim=3) - b.diff(dim=3)).abs().mean() + (a.diff(dim=2) - b.diff(dim=2)).abs().mean()
    return total


class Perceptual(nn.Module):
    """Distance in the features of a VGG16, each normalised over its channels; images (N, 3, S, S) in [-1, 1].

    Args:
        file: torchvision's weights, such as vgg16-397923af.pth, which this project does not download.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        features = vgg.make_layers(vgg.cfgs["D"])
        state = {k.removeprefix("features."): v for k, v in checkpoints.read(file).items() if k.startswith("features.")}
        if problem := misfit(features.state_dict(), state):
            raise ValueError(f"{file} is not torchvision's VGG16: {problem}. Give vgg16-397923af.pth as `perceptual_file`.")
        features.load_state_dict(state)
        self.features = IntermediateLayerGetter(features, {str(layer): str(layer) for layer in LAYERS})
        self.requires_grad_(False)

    def forward(self, generated: Tensor, clear: Tensor) -> Tensor:
        maps = (self.features(normalize((x + 1) / 2, MEAN, STD)).values() for x in (generated, clear))
        total = generated.new_zeros(())
        for a, b in zip(*maps, strict=True):
            total = total + (F.normalize(a) - F.normalize(b)).square().sum(dim=1).mean()
        return total


class Discriminator(nn.Module):
    """PatchGAN (Isola et al., 2017): images (N, 3, S, S) in [-1, 1] -> logits of each patch being real (N, 1, s, s).

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

    def hinge_loss(self, clear: Tensor, generated: Tensor) -> Tensor:
        """The discriminator's own hinge loss."""
        return 0.5 * (F.relu(1 - self(clear).float()).mean() + F.relu(1 + self(generated).float()).mean())


def adaptive_weight(reconstruction: Tensor, adversarial: Tensor, last: Tensor) -> Tensor:
    """VQGAN's adaptive weight of the adversarial loss: ratio of gradient norms at the last layer (Esser et al., 2021, eq. 7).

    Args:
        reconstruction: the reconstruction loss, a scalar.
        adversarial: the adversarial loss, a scalar.
        last: the weights of the generator's last convolution.
    """
    by_reconstruction, by_adversarial = (
        torch.autograd.grad(loss, last, retain_graph=True)[0] for loss in (reconstruction, adversarial)
    )
    return (by_reconstruction.norm() / (by_adversarial.norm() + 1e-4)).clamp(0, 1e4).detach()

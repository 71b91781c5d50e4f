"""The core's networks under the host's memory manager, each with the methods that the core's pipeline asks for."""

import torch
from torch import Tensor

from ..codeformer_core.faces import DetectionOptions, Face
from ..codeformer_core.networks.retinaface import detection_size
from . import host


class HostedRestorer(host.Hosted):
    """A restorer for the core's pipeline. `side` is the network's."""

    casts = True

    @property
    def side(self) -> int:
        """S: the side of the crops in pixels."""
        return self.network.side

    @property
    def batch(self) -> int:
        """How many faces a call takes now."""
        return self.at_once(self.side, self.side)

    def restore(self, crops: Tensor, fidelity: float | Tensor, match_style: bool = True) -> Tensor:
        """Crops (N, 3, S, S) in [0, 1] -> restored, where and as the crops are. `fidelity`: a number, (N,) or (N, 1, h, w)."""
        each = isinstance(fidelity, Tensor) and fidelity.ndim > 0 and len(fidelity) == len(crops)

        def restore_part(part: slice) -> Tensor:
            weight = fidelity[part] if each else fidelity
            return self.network.restore(self.here(crops[part]), weight, match_style).to(crops)

        return torch.cat(self.in_parts(restore_part, len(crops), *crops.shape[-2:]) or [crops])


class HostedDetector(host.Hosted):
    """A face detector for the core's pipeline."""

    def detect(self, images: Tensor, options: DetectionOptions = DetectionOptions()) -> list[Face]:
        """The faces of images (B, 3, H, W) in [0, 1]."""

        def detect_part(part: slice) -> list[Face]:
            faces = self.network.detect(self.here(images[part]), options)
            return [face._replace(image_index=face.image_index + part.start) for face in faces]

        size = detection_size(*images.shape[-2:], options.side)
        return sum(self.in_parts(detect_part, len(images), *size), [])


class HostedParser(host.Hosted):
    """A face parser for the core's masks."""

    def parse(self, crops: Tensor) -> Tensor:
        """Crops (N, 3, S, S) in [0, 1] -> labels (N, S, S), where the crops are."""

        def parse_part(part: slice) -> Tensor:
            return self.network.parse(self.here(crops[part])).to(crops.device)

        return torch.cat(self.in_parts(parse_part, len(crops), *crops.shape[-2:]))


#: What wraps the networks of a role.
WRAPPERS: dict[str, type[host.Hosted]] = {"restorer": HostedRestorer, "detector": HostedDetector, "parser": HostedParser}


def load(role: str, name: str) -> host.Hosted:
    """The network of a file that the user chose, wrapped; errors as in `host.read`."""
    return WRAPPERS[role](host.read(role, name))

"""MTCNN (Zhang et al., IEEE Signal Processing Letters 2016): the detector that pip brings, through facenet-pytorch (MIT)."""

from typing import Any

import torch
from torch import Tensor, nn

from ..faces import DetectionOptions, Face
from ..runtime.finite import check_finite, without_nan
from .precision import check_dtype
from .retinaface import IMAGES_PER_CALL, detection_scale, resized

#: The smallest face that is searched, in pixels of the searched image, and the step of the image pyramid (the defaults of
#: `facenet_pytorch.MTCNN`).
SMALLEST, PYRAMID_STEP = 20, 0.709

#: What the first two networks, which propose, must be sure of; the third decides, by `DetectionOptions.confidence`. With the
#: usual 0.6 and 0.7 that one is sure of helmets and foxes: on 64 photos and frames, their mirror images and copies of 0.6 the
#: size, it has 10 false finds and 356 of 396 faces at 0.8. With these it has 1 and 347, and at a confidence of 0.5 4 and 358.
PROPOSED, REFINED = 0.8, 0.95


def _check_outputs(network: nn.Module, inputs: tuple[Tensor, ...], outputs: Any) -> None:
    """Stop at values that are not finite: `detect_face` would drop every face that has them."""
    for output in outputs:
        check_finite(output, network, inputs[0])


class MTCNN(nn.Module):
    """A face detector with five landmarks: three small networks in a cascade, over an image pyramid.

    Attributes:
        role: "detector".
    """

    role = "detector"

    def __init__(self) -> None:
        from facenet_pytorch.models.mtcnn import ONet, PNet, RNet

        super().__init__()
        self.pnet, self.rnet, self.onet = (network(pretrained=False) for network in (PNet, RNet, ONet))
        for network in self.children():
            network.register_forward_hook(_check_outputs)

    def memory_used(self, batch: int, height: int, width: int) -> int:
        """Bytes of activations that one call needs in fp32 for images searched at (height, width)."""
        # Measured on a CPU: 70 MiB for 640 x 960 pixels, 405 MiB for 2560 x 3840; crops are the constant part.
        return min(batch, IMAGES_PER_CALL) * height * width * 64 + (64 << 20)

    @torch.no_grad()
    def detect(self, images: Tensor, options: DetectionOptions = DetectionOptions()) -> list[Face]:
        """The faces of images (B, 3, H, W) RGB in [0, 1] on the network's device, best first within each image.

        Images are shrunk to `options.side` but never enlarged: that finds no more faces, and takes other things for faces.
        """
        from facenet_pytorch.models.utils.detect_face import detect_face
        from torchvision.ops import nms

        check_dtype(self)
        height, width = images.shape[-2:]
        scale = min(1.0, detection_scale(height, width, options.side))
        size = max(1, int(height * scale)), max(1, int(width * scale))
        if min(size) < SMALLEST:  # detect_face fails on an empty image pyramid
            return []
        faces: list[Face] = []
        thresholds = [PROPOSED, REFINED, options.confidence]
        for start in range(0, len(images), IMAGES_PER_CALL):
            pixels = resized(without_nan(images[start : start + IMAGES_PER_CALL].float()), size).movedim(1, -1) * 255
            with torch.autocast(images.device.type, enabled=False):  # NumPy, which it uses, has no bfloat16
                found = detect_face(
                    pixels, SMALLEST, self.pnet, self.rnet, self.onet, thresholds, PYRAMID_STEP, str(images.device)
                )
            for index, (rows, marks) in enumerate(zip(*found, strict=True), start):
                rows, marks = torch.tensor(rows.astype("float32")), torch.tensor(marks.astype("float32"))
                for best in nms(rows[:, :4], rows[:, 4], options.overlap).tolist() if len(rows) else ():
                    box, points = (rows[best, :4] / scale).tolist(), (marks[best] / scale).tolist()
                    faces.append(Face(index, tuple(box), tuple((x, y) for x, y in points), float(rows[best, 4])))
        return faces

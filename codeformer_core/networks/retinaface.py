"""RetinaFace (Deng et al., CVPR 2020): facexlib's modules behind our own batched, device-neutral pre- and post-processing."""

from dataclasses import replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..faces import DetectionOptions, Face
from ..runtime.finite import check_finite, without_nan
from .precision import check_dtype

#: Anchors of the released files: their sides by stride, the scales of the box code, and the mean BGR value of the training
#: images (Pytorch_Retinaface, data/config.py and detect.py).
ANCHORS = {8: (16, 32), 16: (64, 128), 32: (256, 512)}

CENTRE_VARIANCE, SIZE_VARIANCE = 0.1, 0.2

MEAN_BGR = (104.0, 117.0, 123.0)

#: Images per call: four at a short side of 640 keep the activations of ResNet-50 below 1.5 GB.
IMAGES_PER_CALL = 4

#: An image is enlarged for the sake of small faces. A face that is this wide (in pixels) without that must be seen without it
#: too, with half the confidence: of 408 faces in small images all were, with 0.94 or more; a cat at 0.92 was not, with 0.09.
LARGE = 64

#: Boxes (n, 4), landmarks (n, 5, 2), both in pixels, and scores (n,) of one image.
_Found = tuple[Tensor, Tensor, Tensor]


def detection_scale(height: int, width: int, side: int) -> float:
    """How many times larger an image is searched than it is: its short side becomes `side`.

    The long side becomes at most eight times that, so that a strip of pixels is not blown up to gigabytes.
    """
    return min(side / min(height, width), 8 * side / max(height, width))


def detection_size(height: int, width: int, side: int) -> tuple[int, int]:
    """(height, width) at which an image is searched, see `detection_scale`; rounded down."""
    scale = detection_scale(height, width, side)
    return max(1, int(height * scale)), max(1, int(width * scale))


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (B, C, H, W) at another size, smoothed when they shrink."""
    if images.shape[-2:] == size:
        return images
    shrinks = size[0] < images.shape[-2]
    if images.device.type == "cpu":  # the reference's resampling, to which the confidence of doubtful faces is sensitive
        kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        rows = [cv2.resize(image.permute(1, 2, 0).contiguous().numpy(), size[::-1], interpolation=kind) for image in images]
        return torch.from_numpy(np.stack(rows)).permute(0, 3, 1, 2)
    return F.interpolate(images, size=size, mode="bilinear", antialias=shrinks)


def _widths(boxes: Tensor) -> Tensor:
    return boxes[:, 2] - boxes[:, 0]


def _confirmed(found: _Found, boxes: Tensor) -> _Found:
    """What was found in an enlarged image, without the large faces that none of `boxes` (m, 4) shows at its own size."""
    from torchvision.ops import box_iou

    seen = (box_iou(found[0], boxes) > 0.3).any(dim=1)
    keep = seen | (_widths(found[0]) < LARGE)
    return found[0][keep], found[1][keep], found[2][keep]


def _anchors(height: int, width: int) -> Tensor:
    """(A, 4) centre x, centre y, width, height in pixels, in the order of the network's outputs."""
    parts = []
    for stride, sides in ANCHORS.items():
        y = (torch.arange(-(-height // stride)) + 0.5) * stride
        x = (torch.arange(-(-width // stride)) + 0.5) * stride
        side = torch.tensor(sides, dtype=torch.float32)
        grid = torch.meshgrid(y, x, side, indexing="ij")
        parts.append(torch.stack([grid[1], grid[0], grid[2], grid[2]], dim=-1).reshape(-1, 4))
    return torch.cat(parts)


class RetinaFace(nn.Module):
    """A face detector with five landmarks.

    Attributes:
        role: "detector".
    """

    role = "detector"

    def __init__(self, resnet: bool) -> None:
        from facexlib.detection import retinaface_net as parts
        from torchvision.models import resnet50
        from torchvision.models._utils import IntermediateLayerGetter

        super().__init__()
        self.resnet = resnet
        outputs = ("layer2", "layer3", "layer4") if resnet else ("stage1", "stage2", "stage3")
        widths, width = ([512, 1024, 2048], 256) if resnet else ([64, 128, 256], 64)
        backbone = resnet50(weights=None) if resnet else parts.MobileNetV1()
        self.body = IntermediateLayerGetter(backbone, {name: name for name in outputs})
        self.fpn = parts.FPN(widths, width)
        self.ssh1, self.ssh2, self.ssh3 = (parts.SSH(width, width) for _ in range(3))
        self.ClassHead = parts.make_class_head(inchannels=width)
        self.BboxHead = parts.make_bbox_head(inchannels=width)
        self.LandmarkHead = parts.make_landmark_head(inchannels=width)

    def memory_used(self, batch: int, height: int, width: int) -> int:
        """Bytes of activations that one call needs in fp32 for images searched at (height, width), see `detection_size`."""
        # A pixel costs ResNet-50 four maps of 64 channels at half the side at its widest point, the small network an eighth.
        return min(batch, IMAGES_PER_CALL) * height * width * (256 if self.resnet else 48)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images (B, 3, H, W) BGR, 0 to 255 less the mean -> per anchor box code (B, A, 4), logits 2, landmark code 10."""
        pyramid = self.fpn(list(self.body(x).values()))
        levels = [ssh(level) for ssh, level in zip((self.ssh1, self.ssh2, self.ssh3), pyramid, strict=True)]
        box, score, points = (
            torch.cat([head(level) for head, level in zip(heads, levels, strict=True)], dim=1)
            for heads in (self.BboxHead, self.ClassHead, self.LandmarkHead)
        )
        return box, score, points

    @torch.no_grad()
    def detect(self, images: Tensor, options: DetectionOptions = DetectionOptions()) -> list[Face]:
        """The faces of images (B, 3, H, W) RGB in [0, 1] on the network's device, best first within each image."""
        check_dtype(self)
        height, width = images.shape[-2:]
        scale = detection_scale(height, width, options.side)
        faces: list[Face] = []
        for start in range(0, images.shape[0], IMAGES_PER_CALL):
            part = without_nan(images[start : start + IMAGES_PER_CALL].float())
            found = self._search(resized(part, detection_size(height, width, options.side)), options)
            found = [(boxes / scale, points / scale, scores) for boxes, points, scores in found]
            if scale > 1 and any((_widths(boxes) >= LARGE).any() for boxes, _, _ in found):
                unenlarged = self._search(part, replace(options, confidence=options.confidence / 2))
                found = [_confirmed(row, boxes) for row, (boxes, _, _) in zip(found, unenlarged, strict=True)]
            for index, row in enumerate(found, start):
                for box, marks, score in zip(*(value.tolist() for value in row), strict=True):
                    faces.append(Face(index, tuple(box), tuple((x, y) for x, y in marks), score))
        return faces

    def _search(self, images: Tensor, options: DetectionOptions) -> list[_Found]:
        """What is found in each image as it is, best first."""
        from torchvision.ops import nms

        channels = zip(images.flip(1).unbind(1), MEAN_BGR, strict=True)  # numbers: a tensor of them would be copied to the GPU
        box_code, logits, point_code = self(torch.stack([channel * 255 - mean for channel, mean in channels], dim=1))
        # In one copy, which is 1.5 MB an image: a GPU would have to be waited for at every choice among the anchors.
        answers = torch.cat([box_code, point_code, logits.softmax(-1)[..., 1:]], dim=-1).cpu()
        check_finite(answers, self, images)
        anchors = _anchors(*images.shape[-2:])
        result = []
        for answer in answers:
            likely = answer[:, -1] > options.confidence
            (box, points, score), (centre, extent) = answer[likely].split((4, 10, 1), dim=1), anchors[likely].split(2, dim=1)
            middle = centre + box[:, :2] * CENTRE_VARIANCE * extent
            half = extent * (box[:, 2:] * SIZE_VARIANCE).exp() / 2
            corners = torch.cat([middle - half, middle + half], dim=1)
            marks = centre[:, None] + points.unflatten(1, (5, 2)) * CENTRE_VARIANCE * extent[:, None]
            best = nms(corners, score[:, 0], options.overlap)
            result.append((corners[best], marks[best], score[best, 0]))
        return result

"""Exact sampling: measured with an oracle (benchmarks/oracle.py), faces lose next to nothing on their way back."""

from contextlib import nullcontext
from itertools import islice
from typing import NamedTuple

import av
import pytest
import torch
from fake_cuda import DEVICE, HOST, Cuda

from benchmarks.oracle import measure, pasted, shrink, times_smaller, true_crops
from codeformer_core import checkpoints
from codeformer_core.align import align
from codeformer_core.detection.faces_json import from_json
from codeformer_core.extras import Extras
from codeformer_core.imaging.morphology import blur
from codeformer_core.options import DetectionOptions, FixOptions
from codeformer_core.paste import paste
from codeformer_core.video.stages import track_stage

CREW, ASTRONAUT = "photos/nasa_sts114_crew_7faces.jpg", "photos/astronaut_1face.png"
PEOPLE, PORTRAIT = "photos/two_people.jpg", "photos/obama-1080p.jpg"


@pytest.fixture
def faces(data, photo, request):
    """path of a photograph -> its faces: recorded, or found by YuNet."""

    def of(name):
        recorded = data / "faces" / f"{name.split('/')[1].split('.')[0]}.json"
        if recorded.exists():
            return from_json(recorded.read_text())[0]
        shared = request.getfixturevalue("shared")
        yunet = checkpoints.load(shared / "data" / "detectors" / "face_detection_yunet_2026may.onnx")
        return yunet.detect(photo(name))

    return of


@pytest.fixture(params=[HOST, DEVICE], ids=["cpu", "device"])
def device(request):
    with nullcontext() if request.param == HOST else Cuda():
        yield request.param


@pytest.mark.parametrize("name", [CREW, PEOPLE])
def test_a_face_in_an_enlarged_image_is_as_good_as_its_crop(photo, faces, name, device):
    found = measure(*pasted(photo(name), faces(name), 2, True, "exact", device))
    assert found.psnr > 41
    assert found.psnr > found.background + 5


@pytest.mark.parametrize(
    ("name", "smaller"), [(PORTRAIT, 2), (PORTRAIT, 4), (PORTRAIT, 10), (CREW, 4), (CREW, 10), (ASTRONAUT, 4), (ASTRONAUT, 10)]
)
def test_a_face_smaller_than_its_crop_is_shrunk_without_aliasing(photo, faces, name, smaller, device):
    image, known = photo(name), faces(name)
    found = measure(*pasted(image, known, smaller / times_smaller(known[0]), False, "exact", device))
    assert found.psnr > 46
    assert 0.9 < found.energy < 1.12


def test_the_reference_aliases_and_is_off_by_half_a_pixel(photo, faces):
    enlarged = measure(*pasted(photo(CREW), faces(CREW), 2, True, "reference"))
    small = measure(*pasted(photo(CREW), faces(CREW), 3, False, "reference"))
    assert enlarged.psnr < enlarged.background and small.energy > 1.2


@pytest.mark.parametrize("factor", [1.25, 1.5, 3])
def test_faces_lie_exactly_at_every_scale(photo, faces, factor):
    image = photo(CREW)[..., :960, :1440]  # sizes that every factor divides
    inside = [face for face in faces(CREW) if face.box[2] < 1380 and face.box[3] < 900]
    assert measure(*pasted(image, inside, factor, True, "exact")).psnr > 41


@pytest.mark.parametrize("damage", ["none", "noise", "blur"])
def test_with_its_detail_kept_a_face_larger_than_its_crop_is_as_good_as_the_image(photo, faces, device, damage):
    image = photo(ASTRONAUT)
    image = {
        "none": image,
        "noise": (image + 0.05 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1),
        "blur": blur(image.transpose(0, 1), 2.0, 6).transpose(0, 1),
    }[damage]
    aligned = align(image.to(device), faces(ASTRONAUT), 64)  # 2.3 times smaller than the face in the image
    restored = aligned.with_crops(true_crops(photo(ASTRONAUT), aligned).to(device))
    result, mask = (part.cpu() for part in paste(image.to(device), restored, "square", keep_detail=True))
    found = measure(result, photo(ASTRONAUT), image, mask)
    assert found.psnr > min(found.background, 45)


class _Frame(NamedTuple):
    """A frame of the stages of a video."""

    pixels: torch.Tensor

    def image(self, device="cpu"):
        return self.pixels.to(device)


def test_small_faces_in_a_video_do_not_shimmer(shared):
    """Second differences in time of the faces, aligned, are those of the true clip to within 20 % (measured: 0.5 %)."""
    with av.open(str(shared / "data" / "video" / "lp_s32_720p.mp4")) as clip:
        frames = [frame.to_ndarray(format="rgb24") for frame in islice(clip.decode(video=0), 24)]
    large = [torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255 for frame in frames]
    small = [shrink(image, 240, 427) for image in large]
    yunet = checkpoints.load(shared / "data" / "detectors" / "face_detection_yunet_2026may.onnx")
    options = FixOptions(detection=DetectionOptions(side=240))
    followed = [state.tracked[0].face for state in track_stage(map(_Frame, small), yunet, options, Extras(), HOST)]

    def noise(images, faces):
        crops = torch.cat([align(image, [face], 128).crops for image, face in zip(images, faces, strict=True)])
        return float(crops[..., 32:96, 32:96].diff(n=2, dim=0).abs().mean())

    fixed = {}
    for sampling in ("exact", "reference"):
        fixed[sampling] = []
        for image, original, face in zip(small, large, followed, strict=True):
            aligned = align(image, [face], sampling=sampling)
            fixed[sampling].append(paste(image, aligned.with_crops(true_crops(original, aligned)), "square")[0])
    true = noise(small, followed)
    assert noise(fixed["exact"], followed) == pytest.approx(true, rel=0.05)
    assert noise(fixed["reference"], followed) > 1.05 * true

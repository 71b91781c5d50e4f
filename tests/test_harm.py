"""Do no harm: with the defaults a small network replaces only what it draws at least as well."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from codeformer_core import DetectionOptions, checkpoints, fix_faces
from codeformer_core.evaluation.metrics import psnr, ssim
from codeformer_core.faces import Face
from codeformer_core.imaging.colour import luminance
from codeformer_core.imaging.resize import resize
from codeformer_core.options import FixOptions
from codeformer_core.pipeline import fix_aligned
from codeformer_core.selection.report import summarize
from codeformer_core.video.harm import HarmFilter
from codeformer_core.video.pipeline import fix_frames

ROOT = Path(__file__).resolve().parent.parent
DETECTORS = ("detection_mobilenet0.25_Final.pth", "face_detection_yunet_2026may.onnx")


@pytest.fixture(scope="module")
def starter():
    return checkpoints.load(ROOT / "weights" / "codeformer_starter.safetensors")


def gradient_energy(image: torch.Tensor, face: Face) -> float:
    """Mean squared gradient of the luminance inside the box of a face."""
    x0, y0, x1, y1 = (max(0, round(value)) for value in face.box)
    light = luminance(image[face.image_index : face.image_index + 1, :, y0:y1, x0:x1])
    return float(light.diff(dim=3).square().mean() + light.diff(dim=2).square().mean())


def kept_energy(image: torch.Tensor, detector: object, starter: object) -> list[float]:
    """The share of its gradient energy that each face of an image has after a fix with the defaults."""
    with torch.inference_mode():
        fixed = fix_faces(image, detector, starter)
    faces = [*fixed.aligned.faces, *(entry.face for entry in fixed.skipped)]
    return [gradient_energy(fixed.images, face) / gradient_energy(image, face) for face in faces]


@pytest.mark.parametrize("name", ["astronaut_1face.png", "camera_gray_L_1face.png", "nasa_sts114_crew_7faces.jpg"])
def test_no_face_of_a_public_photograph_gets_softer(photo, known_faces, starter, name):
    image = photo(f"photos/{name}")
    for scale in (1.0, 0.5):
        shares = kept_energy(resize(image, *(round(side * scale) for side in image.shape[-2:])), known_faces, starter)
        assert shares and min(shares) >= 0.95


@pytest.mark.parametrize("detector", DETECTORS)
def test_no_face_of_any_photograph_or_ai_image_gets_softer(shared, photo, starter, detector):
    found = checkpoints.load(shared / "data" / "detectors" / detector)
    paths = [path for folder in ("photos", "photos_annotated", "ai") for path in sorted((shared / "data" / folder).iterdir())]
    shares = {
        path.name: kept_energy(photo(str(path)), found, starter) for path in paths if path.suffix in (".jpg", ".jpeg", ".png")
    }
    assert sum(map(len, shares.values())) >= 60
    assert {name: min(kept) for name, kept in shares.items() if kept and min(kept) < 0.95} == {}


def test_degraded_faces_come_closer_to_the_clean_ones(shared, photo, starter, mobilenet):
    pytest.importorskip("torchmetrics")
    gains = []
    for path in sorted((shared / "data" / "stylegan" / "degraded").glob("*_lq512.png")):
        degraded, clean = photo(str(path)), photo(str(path).replace("_lq512.png", "_hq512.jpg"))
        with torch.inference_mode():
            fixed = fix_faces(degraded, mobilenet, starter)
        assert len(fixed.aligned) == 1
        gains.append([float(score(fixed.images, clean) - score(degraded, clean)) for score in (psnr, ssim)])
    assert len(gains) == 5 and (torch.tensor(gains).mean(0) > 0).all()


def test_sharp_faces_are_left_alone_and_the_summary_says_why(photo, known_faces, starter):
    crew = photo("photos/nasa_sts114_crew_7faces.jpg")
    with torch.inference_mode():
        fixed = fix_faces(crew, known_faces, starter)
        always = fix_faces(crew, known_faces, starter, FixOptions(always=True))
    assert torch.equal(fixed.images, crew) and not fixed.mask.any()
    said = "7 faces found. 7 faces are larger than this model draws (128 px): left as they are."
    assert summarize(len(fixed.aligned), fixed.skipped) == said
    assert len(always.aligned) == 7 and not always.skipped


def test_blurred_faces_are_restored(photo, known_faces, starter):
    crew = photo("photos/nasa_sts114_crew_7faces.jpg")
    height, width = crew.shape[-2:]
    blurred = resize(resize(crew, height // 5, width // 5), height, width)
    with torch.inference_mode():
        fixed = fix_faces(blurred, known_faces, starter)
    assert len(fixed.aligned) == 7 and not fixed.skipped
    assert all(gradient_energy(fixed.images, face) > gradient_energy(blurred, face) for face in fixed.aligned.faces)


@pytest.mark.parametrize("side", [64, 128, 200, 512])
def test_an_aligned_face_never_loses_pixels(starter, side):
    with Image.open(ROOT / "docs" / "small-face.jpg") as image:
        face = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 255
    face = resize(face, side)
    with torch.inference_mode():
        for always in (False, True):
            fixed = fix_aligned(face, starter, FixOptions(always=always))
            assert fixed.images.shape[-1] == max(side, starter.side)
            assert len(fixed.aligned) + len(fixed.skipped) == 1


def test_a_sharp_aligned_face_is_left_alone(photo, starter):
    """A portrait's face, enlarged by nothing: 150 pixels of crop for the 128 that the starter draws."""
    face = photo("photos/astronaut_1face.png")[..., 10:190, 135:315]
    with torch.inference_mode():
        fixed = fix_aligned(face, starter)
    assert [entry.reason for entry in fixed.skipped] == ["larger than this model draws (128 px)"]
    assert torch.equal(fixed.images, face) and not fixed.mask.any()


@pytest.mark.parametrize("upscale", [1.0, 2.0])
def test_frames_are_treated_as_images_are(photo, known_faces, starter, upscale):
    crew = photo("photos/nasa_sts114_crew_7faces.jpg")[..., :400, :]
    frames = crew.repeat(4, 1, 1, 1)
    with torch.inference_mode():
        fixed = fix_frames(frames, known_faces, starter, FixOptions(upscale=upscale))
        single = fix_faces(crew, known_faces, starter, FixOptions(upscale=upscale))
    assert len(fixed.aligned) == 4 * len(single.aligned) and len(fixed.skipped) == 4 * len(single.skipped) > 0
    assert {(type(one), one.reason) for one in fixed.skipped} == {(type(one), one.reason) for one in single.skipped}
    assert torch.equal(fixed.images[0], single.images[0]) and not fixed.mask.any()


def test_in_a_video_a_face_fades_between_restored_and_left_alone():
    harm = HarmFilter()
    weights = [harm.push([7], ["sharp" if 3 <= frame < 40 else None])[0] for frame in range(80)]
    assert weights[:3] == [1, 1, 1] and weights[39] == 0 and weights[-1] == 1
    assert max(abs(after - before) for before, after in zip(weights, weights[1:], strict=False)) <= 0.21
    assert harm.push([8, 7], ["sharp", None]) == [0, 1]


def test_detail_is_kept_where_the_network_draws_less(photo, known_faces):
    """A network of 128 pixels that changes nothing, and one of 512."""

    class Identity:
        def __init__(self, side: int) -> None:
            self.side = side

        def restore(self, crops, fidelity, match_style):
            return crops

    image = photo("photos/astronaut_1face.png")
    for factor, side, kept in ((1, 128, True), (1, 512, False), (4, 512, True)):
        enlarged = resize(image, 512 * factor) + 0.05 * torch.rand(1, 1, 512 * factor, 512 * factor)
        enlarged = enlarged.clamp(0, 1)
        face = known_faces.detect(image, DetectionOptions())[0].scaled(factor, factor)

        class Found:
            def detect(self, images, options, face=face):
                return [face]

        auto, off = (
            fix_faces(enlarged, Found(), Identity(side), FixOptions(keep_detail=how, always=True)).images
            for how in ("auto", "off")
        )
        assert torch.equal(auto, off) is not kept

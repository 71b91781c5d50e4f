"""Where shots begin in real footage, and what is no cut."""

import av
import pytest
import torch
import torch.nn.functional as F

from codeformer_core.video.scene_cuts import SceneCutDetector

SHOTS = {
    "cut_black_640x360.mp4": [15, 25],
    "hamilton_10s_speech_cuts.mp4": [20, 82, 211],
    "lp_s32_720p.mp4": [],
    "chaplin_bw_pd.mp4": [],
    "fire2_realVFR_rot180.mp4": [],  # a camera that swings all the time
}


def cuts(images) -> list[int]:
    finder = SceneCutDetector()
    return [index for index, image in enumerate(images) if finder.push(image)[0]]


@pytest.mark.parametrize("name", SHOTS)
def test_cuts_are_found_in_real_footage(videos, name):
    def images():
        with av.open(str(videos / name)) as file:
            for frame in file.decode(video=0):
                small = frame.to_ndarray(width=256, height=144, format="rgb24")
                yield torch.from_numpy(small).permute(2, 0, 1)[None].float() / 255

    assert cuts(images()) == SHOTS[name]


@pytest.fixture
def scene(photo):
    return F.interpolate(photo("photos/astronaut_1face.png"), size=128, mode="bilinear", antialias=True)


def test_switching_a_light_is_no_cut(scene):
    assert cuts([scene, scene, scene * 0.4, scene * 0.4, scene]) == []


def test_a_dissolve_is_no_cut(scene):
    other = scene.flip(2)
    assert cuts([torch.lerp(scene, other, step / 20) for step in range(21)]) == []


def test_noise_in_the_dark_is_no_cut():
    generator = torch.Generator().manual_seed(0)
    assert cuts([torch.rand(1, 3, 64, 64, generator=generator) * 0.05 for _ in range(5)]) == []


def test_a_single_frame_between_two_cuts_is_a_shot(scene):
    assert cuts([scene, scene, scene.flip(2), scene, scene]) == [2, 3]


def test_frames_smaller_than_the_thumbnail_are_compared_too(scene):
    small = F.interpolate(scene, size=(20, 28))
    assert cuts([small, small, small.flip(2)]) == [2]

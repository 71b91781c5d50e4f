"""Landmarks tremble less and are where they were; the pose of the crop follows."""

import numpy as np
import pytest
import torch

from codeformer_core.align import FFHQ_TEMPLATE, template
from codeformer_core.faces import Face
from codeformer_core.imaging.affine import fit_similarity, invert
from codeformer_core.options import DetectionOptions, Steadiness
from codeformer_core.video.smoothing import Detection, smooth_detections
from codeformer_core.video.tracking import Tracker

SIZE = 256.0  # of the faces below, in pixels
SHAPE = FFHQ_TEMPLATE.numpy() / 2
#: As real faces, these are not quite the template.
SHAPE = SHAPE + np.array([[3.0, -2.0], [-2.0, 1.0], [6.0, 4.0], [-3.0, 0.0], [1.0, -4.0]])


def face(x: float, y: float, noise: np.ndarray | float = 0.0, score: float = 1.0) -> Face:
    points = SHAPE + [x, y] + np.zeros((5, 2)) + noise
    return Face(0, (x + 60.0, y + 80.0, x + 200.0, y + 230.0), tuple((u, v) for u, v in points.tolist()), score)


def along(path: list[tuple[float, float]], noise: float = 0.0) -> dict[int, Detection]:
    tremble = np.random.default_rng(0).normal(0, noise, (len(path), 5, 2)) if noise else np.zeros(len(path))
    return {index: Detection(face(*place, one)) for index, (place, one) in enumerate(zip(path, tremble, strict=True))}


def error(found: Face, place: tuple[float, float]) -> float:
    """How far the landmarks are off on average, as a vector, in sizes of the face."""
    return float(np.linalg.norm((np.array(found.landmarks) - np.array(face(*place).landmarks)).mean(0))) / SIZE


@pytest.mark.parametrize("frame", [0, 3, 12, 24])
def test_accelerated_motion_is_tracked_exactly(frame):
    path = [(0.9 * step * step, 300 - 12.0 * step) for step in range(25)]
    found = smooth_detections(along(path), frame, window=5)
    assert np.allclose(found.landmarks, face(*path[frame]).landmarks, atol=0.02)
    assert np.allclose(found.box, face(*path[frame]).box, atol=0.02)


def test_a_shaken_head_is_followed_without_lag():
    """A third of the face to each side, three times in two seconds."""
    path = [(0.3 * SIZE * np.sin(2 * np.pi * step / 20), 0.0) for step in range(60)]
    detections = along(path, noise=0.005 * SIZE)
    off = [error(smooth_detections(detections, frame, window=5), path[frame]) for frame in range(60)]
    assert np.mean(off) < 0.004 and max(off) < 0.012


def test_an_outlier_leaves_no_trace():
    path = [(0.0, 0.0)] * 21
    detections = along(path, noise=0.005 * SIZE)
    right = [error(smooth_detections(detections, frame, window=5), path[frame]) for frame in range(21)]
    detections[10] = Detection(face(0.0, 0.1 * SIZE))
    wrong = [error(smooth_detections(detections, frame, window=5), path[frame]) for frame in range(21)]
    assert max(wrong) < max(right) + 0.002


def test_a_gap_is_interpolated_along_the_path():
    path = [(4.0 * step, 2.0 * step) for step in range(20)]
    detections = {index: one for index, one in along(path).items() if index not in (8, 9, 10)}
    detections[7] = Detection(detections[7].face._replace(score=0.9, image_index=7))
    found = smooth_detections(detections, 9, window=5)
    assert np.allclose(found.landmarks, face(*path[9]).landmarks, atol=0.02)
    assert found.score == 0.9 and found.image_index == 7


def test_few_detections_are_enough():
    assert np.allclose(smooth_detections(along([(5.0, 5.0)]), 0, window=5).landmarks, face(5.0, 5.0).landmarks, atol=1e-3)
    two = {0: Detection(face(0.0, 0.0)), 4: Detection(face(8.0, 0.0))}
    assert np.allclose(smooth_detections(two, 1, window=4).landmarks, face(2.0, 0.0).landmarks, atol=1e-2)


def poses(faces: list[Face]) -> np.ndarray:
    """(n, 4): one side of the crop as image pixels (x, y), and the place of its middle in the image."""
    to_image = invert(fit_similarity(torch.tensor([one.landmarks for one in faces]), template(512))).numpy()
    return np.concatenate([512 * to_image[:, :, 0], to_image[:, :, :2] @ [255.5, 255.5] + to_image[:, :, 2]], axis=1)


def jitter(faces: list[Face]) -> float:
    """The second difference of the pose (RMS), in sizes of the face."""
    values = poses(faces)
    return float(np.sqrt(np.mean(np.diff(values, 2, axis=0) ** 2)) / np.median(np.hypot(values[:, 0], values[:, 1])))


def test_the_pose_of_a_turned_head_is_steady():
    """The fit trusts the nose in one frame and not in the next: with smoothed landmarks alone, the pose still jumps."""
    turned = np.array([[0, 0], [0, 0], [15, 0], [0, 0], [0, 0]])
    tremble = np.random.default_rng(0).normal(0, 0.01 * SIZE, (60, 5, 2))
    found = [face(0.0, 0.0, turned + one) for one in tremble]
    detections = {index: Detection(one) for index, one in enumerate(found)}
    assert jitter([smooth_detections(detections, frame, window=5) for frame in range(60)]) < jitter(found) / 10


def test_jitter_in_real_footage_falls_to_a_third_without_drift(shared, mobilenet):
    """The first seconds of a speaker at half size; whole clips are measured in the architecture notes."""
    import av

    found = []
    with av.open(str(shared / "data" / "video" / "lp_s32_720p.mp4")) as file:
        for _, frame in zip(range(30), file.decode(video=0), strict=False):
            image = torch.from_numpy(frame.to_ndarray(width=640, height=360, format="rgb24")).permute(2, 0, 1)[None] / 255
            found += mobilenet.detect(image, DetectionOptions(side=240))
    tracker, steady = Tracker(Steadiness()), []
    for one in found:
        steady += [tracked.face for tracked in sum(tracker.push([one]), [])]
    steady += [tracked.face for tracked in sum(tracker.finish(), [])]
    assert len(found) == len(steady) == 30
    moved = np.linalg.norm(np.array([one.landmarks for one in steady]) - [one.landmarks for one in found], axis=2).mean()
    assert jitter(steady) < jitter(found) / 3
    assert moved < 0.01 * np.median(np.hypot(*poses(found)[:, :2].T))

"""Faces that other tools found: the host's boxes and landmarks, landmarks for bare boxes, faces saved as text."""

import json
import math

import numpy as np
import pytest
import torch

from codeformer_core.align import align
from codeformer_core.detection.external import (
    MEAN_ASPECT,
    MEAN_LANDMARKS,
    VIEWS_PER_CALL,
    FaceBox,
    frontal_face,
    locate_landmarks,
    read_bounding_boxes,
    read_host_landmarks,
    scale_faces,
)
from codeformer_core.detection.faces_json import from_json, to_json
from codeformer_core.faces import Face
from codeformer_core.imaging.affine import resize_affine
from codeformer_core.options import DetectionOptions

SIZE = (100, 200)
BOX = {"x": 10, "y": 20, "width": 30, "height": 40}
CREW = "photos/nasa_sts114_crew_7faces.jpg"


class Blind:
    """A detector that sees nothing."""

    def detect(self, images, options=None):
        return []


# --- the host's boxes


@pytest.mark.parametrize("value", [BOX, [BOX], [[BOX]], ({**BOX, "label": "face", "score": None},)])
def test_one_box_serves_every_image(value):
    box = (10.0, 20.0, 40.0, 60.0)
    assert read_bounding_boxes(value, 2, SIZE) == [FaceBox(0, box, 1.0), FaceBox(1, box, 1.0)]


def test_each_image_has_its_own_boxes():
    other = {"x": 0, "y": 0, "width": 5, "height": 5, "score": 0.5}
    regions = read_bounding_boxes([[BOX], [], [other, BOX]], 3, SIZE)
    assert [(region.image_index, region.score) for region in regions] == [(0, 1.0), (2, 0.5), (2, 1.0)]


@pytest.mark.parametrize("value", [[], [[]], [[], []]])
def test_no_boxes_give_no_faces(value):
    assert read_bounding_boxes(value, 2, SIZE) == []


def test_a_box_may_extend_beyond_the_image():
    assert read_bounding_boxes({**BOX, "x": -20}, 1, SIZE)[0].box == (-20, 20, 10, 60)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "Found None as boxes"),
        ("face", "Found 'face' as boxes"),
        ([[BOX], [BOX], [BOX]], "Found boxes of 3 images and 2 images"),
        ([["face"]], "Found 'face' as a box. Expected x, y, width and height"),
        ({"x": 1, "y": 2}, "as a box. Expected x, y, width and height"),
        ({**BOX, "width": 0.4, "height": 0.5}, "a box of 0.4 x 0.5 .* Expected pixels, at least 1 x 1"),
        ({**BOX, "x": math.nan}, "Expected pixels"),
        ({**BOX, "x": 200}, r"a box at \(200, 20\) of 30 x 40, outside the image of 200 x 100"),
    ],
)
def test_invalid_boxes_are_refused(value, said):
    with pytest.raises(ValueError, match=said):
        read_bounding_boxes(value, 2, SIZE)


# --- the host's landmarks

#: x and y (up) of MediaPipe's canonical face: irises as the middles of the eye corners (33, 133 and 362, 263), nose, mouth.
CANONICAL = {468: (-3.15, 2.62), 473: (3.15, 2.62), 1: (0.0, -1.127), 61: (-2.456, -4.343), 291: (2.456, -4.343)}


def mesh(angle: float = 0.0, mirrored: bool = False) -> np.ndarray:
    """A canonical face of 10 px a unit around (100, 50), turned clockwise by an angle in degrees; float32 (478, 2)."""
    points = np.zeros((478, 2), np.float32)
    for index, (x, y) in CANONICAL.items():
        points[index] = ((-x if mirrored else x) * 10, -y * 10)
    a = math.radians(angle)
    return (points @ np.array([[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]]) + (100, 50)).astype(np.float32)


def landmarks(points: np.ndarray) -> dict:
    face = {"landmarks_xy": points, "bbox_xyxy": np.array([70, 10, 130, 100], np.float32), "score": 0.75}
    return {"frames": [[], [face]], "image_size": SIZE, "connection_sets": {}}


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_face_mesh_gives_five_landmarks_in_the_right_image(mirrored):
    (face,), size = read_host_landmarks(landmarks(mesh(mirrored=mirrored)))
    assert (face.image_index, face.box, face.score, size) == (1, (70, 10, 130, 100), 0.75, SIZE)
    expected = [(68.5, 23.8), (131.5, 23.8), (100, 61.27), (75.44, 93.43), (124.56, 93.43)]
    assert np.allclose(face.landmarks, expected, atol=0.01)


@pytest.mark.parametrize("angle", [0, 60, 90, 180, 250])
def test_left_and_right_are_those_of_the_upright_face(angle):
    """A hanging face is turned upright by the alignment, not mirrored: the crop's affine undoes the angle."""
    (face,), _ = read_host_landmarks(landmarks(mesh(angle)))
    image = torch.zeros(2, 3, *SIZE)
    affine = align(image, [face], 64).affines[0]
    turned = math.degrees(math.atan2(affine[1, 0], affine[0, 0]))
    assert (turned + angle + 180) % 360 - 180 == pytest.approx(0, abs=1)


def test_invalid_face_meshes_are_refused():
    with pytest.raises(ValueError, match=r"Found landmarks of shape \(468, 2\). Expected \(478, 2\)"):
        read_host_landmarks(landmarks(mesh()[:468]))
    with pytest.raises(ValueError, match="Expected the output of the host's face landmarker"):
        read_host_landmarks([BOX])
    with pytest.raises(ValueError, match="not finite"):
        read_host_landmarks(landmarks(mesh() * np.float32("nan")))


# --- landmarks for bare boxes


def test_a_second_detection_finds_the_landmarks_in_shifted_boxes(photo, mobilenet):
    crew = photo(CREW)
    found = mobilenet.detect(crew)
    regions = []
    for index, face in enumerate(found):
        x0, y0, x1, y1 = face.box
        dx, dy, grow = ((x1 - x0) * (0.15, -0.15)[index % 2], (y1 - y0) * 0.1, (x1 - x0) * (0.15, -0.1)[index % 2])
        regions.append(FaceBox(0, (x0 + dx - grow, y0 + dy - grow, x1 + dx + grow, y1 + dy + grow), 1.0))
    faces, notes = locate_landmarks(crew, regions, mobilenet)
    assert len(faces) == 7 and not notes
    for face, expected in zip(faces, found, strict=True):
        off = torch.tensor(face.landmarks) - torch.tensor(expected.landmarks)
        assert off.norm(dim=1).mean() < 0.15 * expected.eye_distance and face.score > 0.8


def test_each_box_is_searched_in_its_own_image(photo, mobilenet):
    crew = photo(CREW)[:, :, :400, :500]
    face = mobilenet.detect(crew)[0]
    images = torch.cat([torch.zeros_like(crew), crew])
    faces, notes = locate_landmarks(images, [FaceBox(1, face.box, 1.0), FaceBox(0, face.box, 1.0)], mobilenet)
    assert faces[0].image_index == 1 and faces[0].score > 0.9
    assert faces[1].image_index == 0 and faces[1].score == 0
    assert len(notes) == 1 and "of image 1: its pose is a guess" in notes[0]


def test_boxes_are_searched_in_batches_of_limited_size():
    calls = []

    class Watched(Blind):
        def detect(self, images, options=None):
            calls.append((images.shape[0], options.confidence))
            return []

    regions = [FaceBox(0, (1.0, 1.0, 9.0, 9.0), 1.0)] * (VIEWS_PER_CALL + 1)
    assert len(locate_landmarks(torch.zeros(1, 3, 10, 10), regions, Watched(), DetectionOptions(confidence=0.6))[1]) == len(
        regions
    )
    assert calls == [(VIEWS_PER_CALL, 0.3), (1, 0.3)]
    assert locate_landmarks(torch.zeros(1, 3, 10, 10), [], Blind()) == ([], [])


def test_a_guessed_face_has_the_usual_aspect_ratio_in_any_box():
    face = frontal_face(FaceBox(0, (0.0, 0.0, 200.0, 50.0), 1.0))
    (x0, y0), (x1, _), _, (_, y3), _ = face.landmarks
    eyes, mouth = MEAN_LANDMARKS[0], MEAN_LANDMARKS[3]
    assert (x1 - x0) / (y3 - y0) == pytest.approx((1 - 2 * eyes[0]) * MEAN_ASPECT / (mouth[1] - eyes[1]))
    assert (x0 + x1) / 2 == 100 and face.score == 0


def test_the_mean_landmarks_are_those_of_a_real_detector(photo, known_faces):
    means = []
    for face in known_faces.detect(photo(CREW)):  # recorded from MobileNet0.25
        x0, y0, x1, y1 = face.box
        means.append((torch.tensor(face.landmarks) - torch.tensor([x0, y0])) / torch.tensor([x1 - x0, y1 - y0]))
    assert (torch.stack(means).mean(0) - torch.tensor(MEAN_LANDMARKS)).abs().max() < 0.06


# --- other images than the faces were found in

FACE = Face(1, (10.0, 20.0, 40.0, 60.0), ((18.5, 35.0), (31.5, 35.0), (25.0, 43.0), (19.0, 49.0), (31.0, 49.0)), 0.875)


def test_faces_are_scaled_to_images_of_another_size():
    (face,) = scale_faces([FACE], SIZE, 2, (200, 400))
    assert face.box == (20.5, 40.5, 80.5, 120.5) and face.landmarks[0] == (37.5, 70.5)
    points = torch.tensor(FACE.landmarks, dtype=torch.float64)
    resize = resize_affine(2)[0]
    assert torch.equal(torch.tensor(face.landmarks, dtype=torch.float64), points @ resize[:, :2].T + resize[:, 2])
    assert scale_faces([FACE], SIZE, 2, SIZE) == [FACE]


def test_faces_of_other_images_are_refused():
    with pytest.raises(ValueError, match="Found a face of image 2 and a batch of 1"):
        scale_faces([FACE], SIZE, 1, SIZE)
    with pytest.raises(ValueError, match="Found images of 200 x 200, but the faces were found in 200 x 100"):
        scale_faces([FACE], SIZE, 2, (200, 200))


# --- faces as text


def test_saved_faces_are_read_back_exactly():
    faces = [FACE, FACE._replace(image_index=0, score=1 / 3)]
    text = to_json(faces, SIZE)
    assert from_json(text) == (faces, SIZE)
    assert len(text.splitlines()) == 2 + len(faces)
    assert from_json(to_json([], SIZE)) == ([], SIZE)


def changed(**entries) -> str:
    record = json.loads(to_json([FACE], SIZE))
    for name, value in entries.items():
        target = record if name in record else record["faces"][0]
        target[name] = value
    return json.dumps(record)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("faces", "the text is not JSON .line 1"),
        ("[]", "Found JSON of format None. Expected 'codeformer-faces'"),
        (changed(format="coco"), "Found JSON of format 'coco'"),
        (changed(version=2), "Found saved faces of version 2. Expected version 1"),
        (changed(image_size=[0, 5]), r"Found the image size \[0, 5\]"),
        (changed(image_size="big"), "Found the image size 'big'"),
        (changed(faces={}), "Found {} as saved faces. Expected a list"),
        (changed(faces=[7]), "Found nothing as the image of saved face 1"),
        (changed(image=-1), "Found -1 as the image of saved face 1"),
        (changed(image=0.5), "Found 0.5 as the image"),
        (changed(image=True), "Found True as the image"),
        (changed(box=[1, 2, 1, 4]), r"Found \[1, 2, 1, 4\] as the box of saved face 1. Expected \[x0, y0, x1, y1\]"),
        (changed(box=[1, 2, math.nan, 4]), "as the box"),
        (changed(landmarks=[[1, 2]] * 4), "as the landmarks of saved face 1. Expected 5 different points"),
        (changed(landmarks=[[1, "2"]] * 5), "as the landmarks"),
        (changed(score=1.5), "Found 1.5 as the score of saved face 1. Expected a number from 0 to 1"),
        (changed(score=None), "Found None as the score"),
    ],
)
def test_invalid_saved_faces_are_refused(text, said):
    with pytest.raises(ValueError, match=said):
        from_json(text)

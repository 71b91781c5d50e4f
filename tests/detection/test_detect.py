"""Detectors find the faces of real photographs, and no others, where the reference finds them."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import pytest
import torch

from codeformer_core import DetectionOptions, checkpoints, detect, networks
from codeformer_core.faces import Face
from codeformer_core.networks import retinaface
from codeformer_core.options import Selection
from codeformer_core.selection.select import select

GOLDEN = ["astronaut_1face.png", "nasa_sts114_crew_7faces.jpg"]


@pytest.fixture(scope="module")
def yunet(shared):
    return checkpoints.load(shared / "data" / "detectors" / "face_detection_yunet_2026may.onnx")


@pytest.fixture(params=["mobilenet", "yunet"])
def detector(request):
    return request.getfixturevalue(request.param)


def nearest(face: Face, others: list[dict]) -> dict:
    x, y = face.centre
    return min(others, key=lambda o: (x - (o["box"][0] + o["box"][2]) / 2) ** 2 + (y - (o["box"][1] + o["box"][3]) / 2) ** 2)


@pytest.mark.parametrize("name", GOLDEN)
def test_boxes_and_landmarks_match_the_reference(data, photo, mobilenet, name):
    golden = json.loads((data / "pipeline" / f"{name.split('.')[0]}.json").read_text())["faces"]
    faces, skipped = detect(photo(f"photos/{name}"), mobilenet)
    assert len(faces) == len(golden) and not skipped
    for face in faces:
        expected = nearest(face, golden)
        assert torch.allclose(torch.tensor(face.box), torch.tensor(expected["box"]), atol=0.5)
        assert torch.allclose(torch.tensor(face.landmarks), torch.tensor(expected["landmarks"]), atol=0.5)
    assert [face.score for face in faces] == sorted((face.score for face in faces), reverse=True)


def annotated(shared) -> dict[str, list[tuple[float, float, float, float]]]:
    """Image name -> boxes of its faces."""
    boxes: dict[str, list] = {}
    for file in ("training.xml", "testing.xml"):
        for image in ElementTree.parse(shared / "data" / "photos_annotated" / file).iter("image"):
            found = boxes.setdefault(image.get("file"), [])
            for box in image.iter("box"):
                x, y, w, h = (float(box.get(key)) for key in ("left", "top", "width", "height"))
                found.append((x, y, x + w, y + h))
    return {name: boxes for name, boxes in boxes.items() if (shared / "data" / "photos_annotated" / name).exists()}


def test_exactly_the_annotated_faces_are_detected(shared, photo, detector):
    images = annotated(shared)
    assert sum(map(len, images.values())) == 43
    for name, boxes in images.items():
        faces = detector.detect(photo(f"photos_annotated/{name}"), DetectionOptions())
        faces, _ = chosen(faces, (1, 1), eye_distance=DetectionOptions().eye_distance)
        hits = [any(x0 <= f.centre[0] <= x1 and y0 <= f.centre[1] <= y1 for f in faces) for x0, y0, x1, y1 in boxes]
        assert all(hits) and len(faces) == len(boxes), name


def test_no_face_is_detected_where_there_is_none(shared, photo, detector):
    names = [path.name for path in (shared / "data" / "no_face").iterdir() if "false_positive" not in path.name]
    assert len(names) >= 3
    for name in names:
        assert detect(photo(f"no_face/{name}"), detector) == ([], []), name


def test_a_batch_gives_the_faces_of_its_images_one_by_one(photo, detector):
    crew = photo("photos/nasa_sts114_crew_7faces.jpg")
    images = torch.cat([crew, torch.zeros_like(crew), crew.flip(3), crew, crew])
    together = detector.detect(images, DetectionOptions())
    assert {face.image_index for face in together} == {0, 2, 3, 4}
    for index in range(5):
        alone = detector.detect(images[index : index + 1], DetectionOptions())
        part = [face for face in together if face.image_index == index]
        assert len(part) == len(alone)
        for a, b in zip(part, alone, strict=True):
            assert torch.allclose(torch.tensor(a.box), torch.tensor(b.box), atol=0.05)


def test_options_reach_the_detector(photo, detector):
    crew = photo("photos/nasa_sts114_crew_7faces.jpg")
    assert len(detector.detect(crew, DetectionOptions(confidence=0.999999))) < 7
    assert len(detector.detect(crew, DetectionOptions(side=64))) < 7
    assert len(detector.detect(crew, DetectionOptions(overlap=0.99))) > 7


def test_resnet_loads_synthetic_weights_in_the_official_layout():
    """They load strictly and run; the official file is not part of the test data."""
    torch.manual_seed(0)
    empty = retinaface.RetinaFace(resnet=True)
    state = {f"module.{name}": torch.randn(value.shape) * 0.01 for name, value in empty.state_dict().items()}

    network = networks.load({name.removeprefix("module."): value for name, value in state.items()})
    assert network.resnet
    with torch.inference_mode():
        box, score, points = network(torch.zeros(1, 3, 96, 128))
    anchors = 2 * (12 * 16 + 6 * 8 + 3 * 4)
    assert (box.shape, score.shape, points.shape) == ((1, anchors, 4), (1, anchors, 2), (1, anchors, 10))


def chosen(faces, size, choice="all", eye_distance=0.0):
    return select(faces, size, Selection(choice=choice, eye_distance=eye_distance))


def face(x: float, y: float, size: float, eyes: float | None = None, image: int = 0) -> Face:
    eyes = size / 2 if eyes is None else eyes
    points = ((x - eyes / 2, y), (x + eyes / 2, y), (x, y + 5), (x - 5, y + 9), (x + 5, y + 9))
    return Face(image, (x - size / 2, y - size / 2, x + size / 2, y + size / 2), points, 0.9)


def test_the_eye_distance_is_measured_between_the_eyes():
    """The reference measures from the right eye to the nose and so drops faces turned to one side only."""
    turned = Face(0, (0, 0, 60, 60), ((10, 20), (32, 20), (31, 30), (15, 45), (30, 45)), 0.9)
    mirrored = Face(0, (0, 0, 60, 60), tuple((60 - x, y) for x, y in turned.landmarks), 0.9)
    for one in (turned, mirrored):
        assert chosen([one], (100, 100), eye_distance=21)[0] == [one]
        kept, skipped = chosen([one], (100, 100), eye_distance=23)
        assert not kept and skipped[0].face == one and "eyes 22.0 px apart" in skipped[0].reason


def test_the_largest_and_the_central_face_are_selected_in_each_image():
    small, large = face(50, 50, 20), face(-10, -10, 40)
    other = face(80, 80, 10, image=1)
    faces = [small, large, other]
    assert chosen(faces, (100, 100), "largest")[0] == [small, other]  # most of the larger box lies outside the image
    assert chosen([small, face(30, 30, 40), other], (100, 100), "largest")[0] == [face(30, 30, 40), other]
    kept, skipped = chosen(faces, (100, 100), "center")
    assert kept == [small, other] and [s.face for s in skipped] == [large]
    assert "not the face nearest to the centre" in skipped[0].reason


def test_a_narrow_strip_is_not_enlarged_without_limit(detector):
    assert max(retinaface.detection_size(2, 2000, 640)) <= 8 * 640
    assert detector.detect(torch.rand(1, 3, 2, 2000), DetectionOptions()) == []


def test_an_empty_batch_has_no_faces(detector):
    assert detector.detect(torch.zeros(0, 3, 100, 100), DetectionOptions()) == []


def test_faces_are_detected_in_half_precision_images(photo, detector):
    crew = photo("photos/nasa_sts114_crew_7faces.jpg")
    assert len(detector.detect(crew.half(), DetectionOptions())) == 7


def test_threads_share_a_detector(detector, photo):
    images = [photo("photos/astronaut_1face.png"), photo("photos/nasa_sts114_crew_7faces.jpg")]
    alone = [detector.detect(image, DetectionOptions()) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda index: detector.detect(images[index % 2], DetectionOptions()), range(8)))
    assert [len(faces) for faces in alone] == [1, 7]
    assert all(faces == alone[index % 2] for index, faces in enumerate(together))


def test_a_pickled_detector_finds_the_same(detector, photo):
    image = photo("photos/astronaut_1face.png")
    assert pickle.loads(pickle.dumps(detector)).detect(image, DetectionOptions()) == detector.detect(image, DetectionOptions())

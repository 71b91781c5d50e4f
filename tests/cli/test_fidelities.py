"""Several fidelities in one run, and what is shown to choose one: contact sheets and maps of certainty."""

import json
import re
from pathlib import Path

import pytest
import torch
from drawn import draw, files
from known_faces import KnownFaces
from small_clips import write_clip

from codeformer_core import checkpoints, image_io
from codeformer_core.cli import main


@pytest.fixture
def crew(data: Path) -> Path:
    """A photograph of seven people."""
    return data / "photos" / "nasa_sts114_crew_7faces.jpg"


class Counting(KnownFaces):
    """A detector that counts its searches."""

    searches = 0

    def detect(self, images, options):
        self.searches += 1
        return super().detect(images, options)


@pytest.fixture
def networks(tiny_checkpoint: Path, blind: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Counting]:
    """Options of a run with a detector of known faces, and that detector."""
    known, load = Counting(), checkpoints.load
    monkeypatch.setattr(checkpoints, "load", lambda path, **more: known if path == blind else load(path, **more))
    return ["--model", str(tiny_checkpoint), "--detector", str(blind), "--always"], known


def test_several_fidelities_make_a_result_each_with_one_search(tmp_path: Path, crew: Path, networks) -> None:
    options, detector = networks
    argv = ["fix", str(crew), "-o", str(tmp_path / "all"), *options, "--compare", "--save-faces", str(tmp_path / "f.json")]
    argv += ["--report", str(tmp_path / "r.json"), "--gallery", "-w", "0.3", "0.7", "--order", "left", "--faces", "3"]
    assert main(argv) == 0
    assert detector.searches == 1
    names = [f"{crew.stem}_w0.{w}{end}.jpg" for w in "37" for end in ("0", "0_compare")]
    assert files(tmp_path / "all") == sorted(["gallery.html", *names])
    for w in ("0.3", "0.7"):
        assert main(["fix", str(crew), "-o", str(tmp_path / w), *options, "-w", w, "--order", "left", "--faces", "3"]) == 0
        assert (tmp_path / w / crew.name).read_bytes() == (tmp_path / "all" / f"{crew.stem}_w{w}0.jpg").read_bytes()
    items = json.loads((tmp_path / "r.json").read_text())["items"]
    assert [Path(item["result"]).name for item in items] == names[::2] and [len(item["faces"]) for item in items] == [7, 7]


def test_a_fidelity_that_is_added_later_is_all_that_is_done(
    tmp_path: Path, crew: Path, networks, capsys: pytest.CaptureFixture[str]
) -> None:
    options, _ = networks
    argv = ["fix", str(crew), "-o", str(tmp_path), *options, "--only-largest", "--report", str(tmp_path / "r.json")]
    argv += ["--gallery", "-w", "0"]
    assert main([*argv, "-w", "1"]) == 0
    assert main([*argv, "-w", "0.333", "-w", "1"]) == 0
    assert "1 of 3 done, 0 failed, 2 done before" in capsys.readouterr().out
    items = json.loads((tmp_path / "r.json").read_text())["items"]
    assert [Path(item["result"]).stem.rpartition("_")[2] for item in items] == ["w0.00", "w0.333", "w1.00"]
    assert [item["faces_changed"] for item in items] == [1, 1, 1]
    assert (tmp_path / "gallery.html").read_text().count("<table>") == 3


def test_several_fidelities_make_several_videos(tmp_path: Path, without_faces: list[str]) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=3)
    argv = ["video", str(clip), "-o", str(tmp_path / "out.mp4"), *without_faces, "-w", "0", "1"]
    assert main(argv) == main(argv) == 0
    assert files(tmp_path) == ["clip.mp4", "out_w0.00.mp4", "out_w1.00.mp4"]


@pytest.mark.parametrize(
    ("typed", "values"),
    [([], 5), (["-w", "0,1"], 2), (["-w", "0", "-w", "0.5", "-w", "1"], 3), (["-w", "0.3", "0.7"], 2), (["-w", "0.3"], 1)],
)
def test_a_sheet_shows_each_face_at_each_fidelity(tmp_path: Path, crew: Path, networks, typed: list[str], values: int) -> None:
    options, _ = networks
    argv = ["sweep", str(crew), "-o", str(tmp_path), *options[:-1], "--faces", "2,3", "--format", "png", *typed]
    assert main(argv) == 0
    assert files(tmp_path) == [f"{crew.stem}_sweep.png"]
    sheet = image_io.read(tmp_path / f"{crew.stem}_sweep.png").image
    assert sheet.shape == (1, 3, 2 * 64, (1 + values) * 64)
    cells = [cell[..., :40, :] for cell in sheet[..., :64, :].chunk(1 + values, -1)]  # above the labels
    assert all((first - second).abs().max() > 0.02 for first, second in zip(cells, cells[1:], strict=False))


def test_a_map_of_certainty_tints_faces_only(tmp_path: Path, crew: Path, networks, capsys: pytest.CaptureFixture[str]) -> None:
    options, _ = networks
    argv = ["certainty", str(crew), "-o", str(tmp_path / "heat.png"), *options[:-1], "--only-center"]
    assert main(argv) == main(argv) == 0
    said = capsys.readouterr().out
    assert len(re.findall(r"face \d: \d+% guessed", said)) == 1 and "1 done before" in said
    old, new = image_io.read(crew).image, image_io.read(tmp_path / "heat.png").image
    changed = (old != new).any(1).float().mean()
    assert 0 < changed < 0.3


def test_without_a_face_there_is_nothing_to_show(
    tmp_path: Path, without_faces: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("sweep", "certainty"):
        assert main([command, str(draw(tmp_path / "a.png")), "-o", str(tmp_path / "out"), *without_faces]) == 0
        assert "no face found: nothing to show" in capsys.readouterr().out
    assert files(tmp_path) == ["a.png"]


def test_an_aligned_face_is_shown_as_it_is(tmp_path: Path, tiny_checkpoint: Path) -> None:
    face = draw(tmp_path / "in" / "face.png", size=(64, 64))
    for command in ("sweep", "certainty"):
        assert main([command, str(face), "-o", str(tmp_path), "--aligned", "--model", str(tiny_checkpoint)]) == 0
    assert files(tmp_path) == ["face_certainty.png", "face_sweep.png", "in/face.png"]
    first = image_io.read(tmp_path / "face_sweep.png").image[..., :50, :64]
    assert torch.equal(first, image_io.read(face).image[..., :50, :])
    assert image_io.read(tmp_path / "face_certainty.png").image.shape == (1, 3, 64, 64)

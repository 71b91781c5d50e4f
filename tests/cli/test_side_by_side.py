"""A folder is worked on several images at a time: the same results as one by one, and each image its own failure."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import draw
from PIL import Image, ImageEnhance

from codeformer_core import image_io
from codeformer_core.cli import local, main
from codeformer_core.cli.arguments import Arguments
from codeformer_core.cli.contents import IMAGES
from codeformer_core.cli.plan import plan


@pytest.fixture
def portraits(tmp_path: Path, data: Path) -> Path:
    """Six small images, of one or two faces."""
    folder = tmp_path / "in"
    folder.mkdir()
    with Image.open(data / "photos" / "astronaut_1face.png") as photo:
        face = photo.convert("RGB").crop((100, 0, 412, 312)).resize((112, 112))
    for index in range(6):
        one = ImageEnhance.Brightness(face).enhance(0.7 + index / 10)
        pair = Image.new("RGB", (224, 112))
        pair.paste(one)
        pair.paste(one.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (112, 0))
        (pair if index % 2 else one).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def networks(tiny_checkpoint: Path) -> list[str]:
    """Options of a run that finds faces and restores them."""
    return ["--model", str(tiny_checkpoint), "--detector", "mtcnn", "--always", "-q"]


def test_results_and_report_are_those_of_one_image_after_the_other(
    tmp_path: Path, portraits: Path, networks: list[str]
) -> None:
    """Bit for bit, since on a CPU a call of the network has one face. A file that cannot be read is its own failure."""
    (portraits / "2.wrong.png").write_text("<html>")
    together, report = tmp_path / "together", tmp_path / "report.json"
    argv = ["fix", str(portraits), "-o", str(together), *networks, "--compare", "--save-crops", str(tmp_path / "crops")]
    assert main([*argv, "--report", str(report), "--gallery"]) == 1
    items = json.loads(report.read_text())["items"]
    assert [Path(item["source"]).name for item in items] == [
        "0.png",
        "1.png",
        "2.png",
        "2.wrong.png",
        *(f"{n}.png" for n in (3, 4, 5)),
    ]
    assert [item["status"] for item in items] == ["done"] * 3 + ["failed"] + ["done"] * 3
    assert [item["faces_changed"] for item in items] == [1, 2, 1, 0, 2, 1, 2]
    for source in sorted(portraits.glob("?.png")):
        alone = tmp_path / source.stem
        argv = ["fix", str(source), "-o", str(alone), *networks, "--compare", "--save-crops", str(alone / "crops")]
        assert main(argv) == 0
        for path in [*alone.glob("*.png"), *alone.glob("crops/*.png")]:
            assert (tmp_path / "crops" if path.parent.name == "crops" else together).joinpath(
                path.name
            ).read_bytes() == path.read_bytes()
    assert len(list(together.glob("*.png"))) == 12 and len(list((tmp_path / "crops").iterdir())) == 18


def test_in_larger_batches_a_result_is_within_a_level_of_that_of_an_image_alone(
    tmp_path: Path, portraits: Path, networks: list[str]
) -> None:
    """What a batch holds depends on what else waits, and its size on the order in which the network adds."""
    assert main(["fix", str(portraits), "-o", str(tmp_path / "together"), *networks, "--batch", "4"]) == 0
    for source in sorted(portraits.iterdir()):
        assert main(["fix", str(source), "-o", str(tmp_path / "alone"), *networks]) == 0
        one, other = (np.asarray(Image.open(tmp_path / name / source.name), np.int16) for name in ("together", "alone"))
        assert np.abs(one - other).max() <= 1


def test_a_program_fault_is_raised_and_not_a_failed_image(
    tmp_path: Path, without_faces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        draw(tmp_path / "in" / name)
    monkeypatch.setattr(image_io, "read", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["fix", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *without_faces])


def test_images_that_are_larger_than_the_memory_for_all_are_worked_on_alone(
    tmp_path: Path, without_faces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory of an image is told by the head of its file, and by how much it is enlarged."""
    for index in range(6):
        draw(tmp_path / "in" / f"{index}.png")  # 40 x 30
    at_work, most, attempt = set(), [0], local.attempt

    def watched(task, context, process):
        at_work.add(task)
        most[0] = max(most[0], len(at_work))
        outcome = attempt(task, context, process)
        at_work.remove(task)
        return outcome

    monkeypatch.setattr(local, "attempt", watched)
    monkeypatch.setattr(local, "MOST_BYTES", 2 * 40 * 30 * 4 * local.PIXEL_BYTES - 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    argv = ["fix", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *without_faces, "--upscale", "2"]
    assert main(argv) == 0 and most == [1]


def test_results_that_may_have_to_be_told_apart_are_made_by_one_thread(tmp_path: Path) -> None:
    """Fidelities of one image, and two files of one name."""
    for name in ("a.jpg", "a.jpeg", "b.png"):
        draw(tmp_path / "in" / name)
    arguments = Arguments(command="fix", paths=(tmp_path / "in",), out=tmp_path / "out", fidelities=(0.3, 0.7))
    lists = [[task.target.name for task in tasks] for tasks in local.apart(plan(arguments, IMAGES).tasks)]
    assert lists == [["a_w0.30.jpeg", "a_w0.70.jpeg", "a_w0.30.jpg", "a_w0.70.jpg"], ["b_w0.30.png", "b_w0.70.png"]]

"""A folder is worked on several images at a time: the same results as one by one, and each image its own failure."""

import json
from pathlib import Path
from threading import Barrier, Lock
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from drawn import draw
from PIL import Image, ImageEnhance

from codeformer_core import image_io
from codeformer_core.cli import local, main
from codeformer_core.cli.arguments import Arguments
from codeformer_core.cli.contents import IMAGES
from codeformer_core.cli.context import RunContext
from codeformer_core.cli.plan import ImageTask, plan
from codeformer_core.cli.report import ImageResult
from codeformer_core.extras import Extras
from codeformer_core.options import FixOptions
from codeformer_core.recognition import People
from codeformer_core.runtime.sharing import SharedNetwork


@pytest.fixture
def portraits(tmp_path: Path, close_up: Image.Image) -> Path:
    """Six small images, of one or two faces."""
    folder = tmp_path / "in"
    folder.mkdir()
    face = close_up.resize((112, 112))
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


def test_a_result_is_within_a_level_of_that_of_an_image_alone_on_all_cores(
    tmp_path: Path, portraits: Path, networks: list[str]
) -> None:
    """The number of threads changes the order in which a network adds."""
    assert main(["fix", str(portraits), "-o", str(tmp_path / "together"), *networks]) == 0
    torch.set_num_threads(4)
    for source in sorted(portraits.iterdir()):
        assert main(["fix", str(source), "-o", str(tmp_path / "alone"), *networks]) == 0
        one, other = (np.asarray(Image.open(tmp_path / name / source.name), np.int16) for name in ("together", "alone"))
        assert np.abs(one - other).max() <= 1
    torch.set_num_threads(1)


@pytest.mark.parametrize(("cores", "images", "shares"), [(8, 2, [4, 4]), (2, 5, [1] * 5), (8, 5, [1] * 5), (1, 2, [1, 1])])
def test_the_cores_are_shared_out_among_the_images_and_given_back(
    tmp_path: Path, without_faces: list[str], monkeypatch: pytest.MonkeyPatch, cores: int, images: int, shares: list[int]
) -> None:
    seen, attempt = [], local.attempt

    def watched(*args):
        seen.append(torch.get_num_threads())
        return attempt(*args)

    for index in range(images):
        draw(tmp_path / "in" / f"{index}.png")
    monkeypatch.setattr(local, "attempt", watched)
    torch.set_num_threads(cores)
    try:
        assert main(["fix", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *without_faces]) == 0
        assert seen == shares and torch.get_num_threads() == cores
    finally:
        torch.set_num_threads(1)


def test_on_other_devices_every_network_takes_turns(tmp_path: Path) -> None:
    """Only one call at a time, or several images at once would need more memory than the device has."""
    seen: list[RunContext] = []

    def process(task: ImageTask, context: RunContext) -> ImageResult:
        seen.append(context)
        return ImageResult(task.target)

    network = SimpleNamespace(side=8)
    extras = Extras(parser=network, upscaler=network, face_upscaler=network, occluder=network, people=People(network))
    context = RunContext(Arguments(), torch.device("cuda"), FixOptions(), network, network, extras, background=network)
    task = ImageTask(tmp_path / "a.png", tmp_path / "b.png", False, None)
    assert list(local.side_by_side([task], {}, context, process, lambda _: (8, 8), lambda: None)) == [task]
    (at_work,) = seen
    given = [getattr(at_work.networks, name) for name in ("parser", "upscaler", "face_upscaler", "occluder")]
    assert all(isinstance(one, SharedNetwork) for one in (at_work.restorer, at_work.detector, at_work.background, *given))


def test_a_program_fault_is_raised_and_not_a_failed_image(
    tmp_path: Path, without_faces: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        draw(tmp_path / "in" / name)
    monkeypatch.setattr(image_io, "read", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["fix", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *without_faces])


@pytest.mark.parametrize("limit", [{"MOST_BYTES": 50_000_000}, {"memory_limit": lambda: 100_000_000}], ids=["own", "of half"])
def test_images_at_work_need_no_more_memory_than_there_is_for_all(
    tmp_path: Path, without_faces: list[str], monkeypatch: pytest.MonkeyPatch, limit: dict[str, Any]
) -> None:
    """What an image needs is told by the head of its file, and by how much it is enlarged; one is always at work."""
    sizes = [(40, 30), (40, 30), (400, 300), (400, 300), (800, 600), (40, 30)]
    for index, size in enumerate(sizes):
        draw(tmp_path / "in" / f"{index}.png", size=size)
    at_work, most, attempt, counting, both = {}, [0, 0], local.attempt, Lock(), Barrier(2)

    def watched(task, context, process):
        index = int(task.source.stem)
        with counting:
            at_work[task] = 4 * sizes[index][0] * sizes[index][1]
            most[:] = max(most[0], len(at_work)), max(most[1], sum(at_work.values()) if len(at_work) > 1 else 0)
        if index < 2:
            both.wait(60)  # else the first may be done before the second begins
        outcome = attempt(task, context, process)
        with counting:
            del at_work[task]
        return outcome

    monkeypatch.setattr(local, "attempt", watched)
    for name, value in limit.items():
        monkeypatch.setattr(local, name, value)
    torch.set_num_threads(4)
    try:
        argv = ["fix", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *without_faces, "--upscale", "2"]
        assert main(argv) == 0
    finally:
        torch.set_num_threads(1)
    assert most[0] > 1 and most[1] * local.PIXEL_BYTES <= 50_000_000


def test_results_that_may_have_to_be_told_apart_are_made_by_one_thread(tmp_path: Path) -> None:
    """Fidelities of one image, and two files of one name."""
    for name in ("a.jpg", "a.jpeg", "b.png"):
        draw(tmp_path / "in" / name)
    arguments = Arguments(command="fix", paths=(tmp_path / "in",), out=tmp_path / "out", fidelities=(0.3, 0.7))
    lists = [[task.target.name for task in tasks] for tasks in local.apart(plan(arguments, IMAGES).tasks)]
    assert lists == [["a_w0.30.jpeg", "a_w0.70.jpeg", "a_w0.30.jpg", "a_w0.70.jpg"], ["b_w0.30.png", "b_w0.70.png"]]

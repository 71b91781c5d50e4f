"""Seeing what became of a job: images side by side, a page for the browser, a report; and one number for each face in all."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn import draw, files

from codeformer_core import image_io
from codeformer_core.cli import main
from codeformer_core.cli.report import FORMAT
from codeformer_core.detection.faces_json import from_json
from codeformer_core.faces import Skipped
from codeformer_core.imaging.overlay import draw_faces
from codeformer_core.imaging.resize import resize
from codeformer_core.selection.select import number_faces


@pytest.fixture
def crew(data: Path) -> Path:
    """A photograph of seven people."""
    return data / "photos" / "nasa_sts114_crew_7faces.jpg"


@pytest.fixture
def seven_faces(crew: Path, data: Path, tiny_checkpoint: Path) -> list[str]:
    """Options of a run that has the faces of the crew."""
    return ["--always", "--model", str(tiny_checkpoint), "--faces-from", str(data / "faces" / f"{crew.stem}.json")]


def items(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text())["items"]


# --- numbers --------------------------------------------------------------------------------------------------------------


def test_a_face_has_one_number_everywhere(tmp_path: Path, crew: Path, data: Path, seven_faces: list[str]) -> None:
    """The number that chooses it, in the report, in the names of crops and drawn into the image; others have theirs too."""
    report, options = tmp_path / "report.json", ["--order", "left", "--faces", "3,6", "--min-size", "1", *seven_faces]
    argv = ["fix", str(crew), *options, "--save-crops", str(tmp_path / "crops"), "--report", str(report)]
    assert main([*argv, "-o", str(tmp_path / "plain.png")]) == 0
    assert files(tmp_path / "crops") == [f"plain_0{n}_{what}.png" for n in (3, 6) for what in ("aligned", "restored")]
    (item,) = items(report)
    reported = {face["number"]: face for face in item["faces"]}
    assert list(reported) == [1, 2, 3, 4, 5, 6, 7]
    assert [n for n, face in reported.items() if face["left_alone"] is None] == [3, 6]
    centres = [(face["box"][0] + face["box"][2]) / 2 for face in reported.values()]
    assert centres == sorted(centres)

    faces, size = from_json((data / "faces" / f"{crew.stem}.json").read_text())
    numbered = dict(zip(number_faces(faces, size, "left"), faces, strict=True))
    alone = [n for n in numbered if n not in (3, 6)]
    assert main(["fix", str(crew), *options, "-o", str(tmp_path / "boxes.png"), "--draw-boxes"]) == 0
    plain, boxes = (image_io.read(tmp_path / name).image for name in ("plain.png", "boxes.png"))
    drawn = draw_faces(plain, [numbered[3], numbered[6]], [Skipped(numbered[n], "") for n in alone], [3, 6, *alone])
    assert (boxes - drawn).abs().max() < 1.5 / 255


def test_the_number_in_the_list_of_left_alone_faces_is_the_one_to_ask_for(
    tmp_path: Path, crew: Path, seven_faces: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fix", str(crew), "-o", str(tmp_path / "a.png"), "--only-center", *seven_faces]) == 0
    number, x, y = re.findall(r"skipped face (\d+) at \((\d+), (\d+)\)", capsys.readouterr().out)[-1]
    report = tmp_path / "report.json"
    argv = ["fix", str(crew), "-o", str(tmp_path / "b.png"), "--faces", number, "--report", str(report), *seven_faces]
    assert main(argv) == 0
    (face,) = [face for face in items(report)[0]["faces"] if face["left_alone"] is None]
    x0, y0, x1, y1 = face["box"]
    assert abs((x0 + x1) / 2 - int(x)) < 1 and abs((y0 + y1) / 2 - int(y)) < 1


# --- side by side ---------------------------------------------------------------------------------------------------------


def test_compare_shows_the_image_before_and_after(tmp_path: Path, data: Path, with_faces: list[str]) -> None:
    photo = data / "photos" / "astronaut_1face.png"
    argv = ["fix", str(photo), "-o", str(tmp_path / "a.png"), "--compare", "--upscale", "1.5", *with_faces]
    assert main(argv) == 0
    assert files(tmp_path) == ["a.png", "a_compare.png"]
    after, both = image_io.read(tmp_path / "a.png").image, image_io.read(tmp_path / "a_compare.png").image
    left, right = both.chunk(2, -1)
    assert torch.equal(right, after)
    assert (left - resize(image_io.read(photo).image, *after.shape[-2:])).abs().max() < 1.5 / 255


# --- report ---------------------------------------------------------------------------------------------------------------


def test_the_report_tells_what_became_of_every_image(tmp_path: Path, with_faces: list[str], without_faces: list[str]) -> None:
    for name in ("a.png", "c.png"):
        draw(tmp_path / "in" / name)
    (tmp_path / "in" / "b.png").write_text("<html>")
    report = tmp_path / "report.json"
    argv = ["fix", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--report", str(report), *without_faces]
    assert main(argv) == 1
    told = json.loads(report.read_text())
    assert told["command"] == "fix" and {key: told[key] for key in FORMAT} == FORMAT
    assert [item["status"] for item in told["items"]] == ["done", "failed", "done"]
    first, failed, _ = told["items"]
    assert first["source"] == str(tmp_path / "in" / "a.png") and first["result"] == str(tmp_path / "out" / "a.png")
    assert first["size"] == [40, 30] and first["seconds"] >= 0 and first["error"] is None
    assert "is a web page" in failed["error"] and failed["result"] is None


def test_the_next_run_adds_to_the_report_and_the_page_of_the_one_before(
    tmp_path: Path, crew: Path, seven_faces: list[str], without_faces: list[str]
) -> None:
    source, report, page = tmp_path / "in", tmp_path / "report.json", tmp_path / "out" / "gallery.html"
    source.mkdir()
    (source / "crew.jpg").write_bytes(crew.read_bytes())
    argv = ["fix", str(source), "-o", str(tmp_path / "out"), "--report", str(report), "--gallery"]
    assert main([*argv, "--only-center", *seven_faces]) == 0
    draw(source / "more.png")
    assert main([*argv, *without_faces]) == 0
    first, second = items(report)
    assert (first["status"], second["status"]) == ("done before", "done")
    assert len(first["faces"]) == 7 and first["faces_changed"] == 1
    assert page.read_text().count("<section") == 2 and page.read_text().count("<td>7<td>") == 1


@pytest.mark.parametrize(("out", "page"), [("out.v2", "out.v2/gallery.html"), ("out/one.png", "out/gallery.html")])
def test_the_gallery_lies_in_the_folder_of_the_results(
    tmp_path: Path, crew: Path, seven_faces: list[str], out: str, page: str
) -> None:
    assert main(["fix", str(crew), "-o", str(tmp_path / out), "--gallery", *seven_faces]) == 0
    assert (tmp_path / page).is_file() and len(list(tmp_path.rglob("gallery.html"))) == 1


@pytest.mark.parametrize("option", ["--report", "--gallery"])
def test_another_file_is_no_report(
    tmp_path: Path, without_faces: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / ("x.json" if option == "--report" else "x.html")
    other.write_text('{"precious": 1}')
    argv = ["fix", str(draw(tmp_path / "a.png")), "-o", str(tmp_path / "out"), option, str(other), "--overwrite"]
    assert main([*argv, *without_faces]) == 2
    assert other.read_text() == '{"precious": 1}' and "name another file" in capsys.readouterr().err


def test_the_schema_in_the_documents_is_the_one_that_is_written(tmp_path: Path, crew: Path, seven_faces: list[str]) -> None:
    report = tmp_path / "report.json"
    argv = ["fix", str(crew), "-o", str(tmp_path / "out"), "--only-center", "--report", str(report), *seven_faces]
    assert main(argv) == 0
    told = json.loads(report.read_text())
    page = (Path(__file__).resolve().parents[2] / "docs" / "report.md").read_text()
    keys = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert keys == [*told, *told["items"][0], *told["items"][0]["faces"][0]]


# --- page -----------------------------------------------------------------------------------------------------------------


def test_the_page_holds_everything_and_works_from_the_disk(
    tmp_path: Path, crew: Path, seven_faces: list[str], chromium: str
) -> None:
    """In Chromium by file://, with a name that would be a script if it were not escaped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip install -e '.[browser]')")
    source, page_file = tmp_path / "in" / "<img src=x onerror=alert(1)>.jpg", tmp_path / "page.html"
    source.parent.mkdir()
    source.write_bytes(crew.read_bytes())
    argv = ["fix", str(source), "-o", str(tmp_path / "out"), "--gallery", str(page_file), "--only-center", *seven_faces]
    assert main(argv) == 0
    moved = tmp_path / "elsewhere" / "page.html"  # the page needs no other file
    moved.parent.mkdir()
    page_file.rename(moved)
    flags = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else [])]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=flags)
        page, requests, wrong = browser.new_page(), [], []
        page.on("request", lambda request: requests.append(request.url.partition(":")[0]))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on("console", lambda message: wrong.append(message.text))
        page.goto(moved.as_uri())
        assert page.locator("h2").inner_text().startswith(str(source))
        widths = page.evaluate("[...document.images].map((image) => image.naturalWidth)")
        assert len(widths) == 2 and widths[0] == widths[1] > 400
        visible = "getComputedStyle(document.images[1]).clipPath"
        assert page.evaluate(visible) == "inset(0px 0px 0px 50%)"
        box = page.locator("figure").bounding_box()
        page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
        share = float(re.findall(r"([\d.]+)%", page.evaluate(visible))[0])
        assert 75 < share < 85
        page.keyboard.press("Home")
        assert page.evaluate(visible) in ("inset(0px)", "inset(0px 0px 0px 0%)")
        assert page.locator("tr").count() == 8 and page.locator("figure b").count() == 7
        assert page.get_by_text("not the face nearest to the centre").count() == 6
        assert page.locator("tr", has_text="restored").count() == 1
        assert set(requests) <= {"file", "data"} and wrong == []
        browser.close()

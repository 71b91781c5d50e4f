"""Files are taken by their content; what is left out is said; results have names that do not get into each other's way."""

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from drawn import draw, files
from PIL import Image
from small_clips import write_clip

from codeformer_core.cli import main
from codeformer_core.cli.arguments import Arguments
from codeformer_core.cli.contents import IMAGES, VIDEOS, describe, kind_of, look_into
from codeformer_core.cli.plan import plan
from codeformer_core.cli.values import existing


def save(path: Path, kind: str, frames: int = 1) -> Path:
    """A small image of any of Pillow's formats, or an animation."""
    images = [Image.effect_noise((24, 16), 40 + index).convert("RGB") for index in range(frames)]
    path.parent.mkdir(parents=True, exist_ok=True)
    more = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
    images[0].save(path, kind, **more)
    return path


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one of each kind, under names that say so and names that do not."""
    folder = tmp_path_factory.mktemp("mixed")
    for name in ("a.png", "b.JPG", "c.bmp", "d.tif"):
        draw(folder / name)
    for name in ("scan.jfif", "scan.jpe", "scan.jfi", "photo.jpg_original", "noname"):
        save(folder / name, "JPEG")
    save(folder / "still.webp", "WEBP")
    for name, kind in (("x.tga", "TGA"), ("x.ppm", "PPM"), ("x.ico", "ICO"), ("still.gif", "GIF")):
        save(folder / name, kind)
    (folder / "raw.cr2").write_bytes((folder / "d.tif").read_bytes())
    save(folder / "moving.gif", "GIF", 3)
    save(folder / "moving.png", "PNG", 3)
    save(folder / "moving.webp", "WEBP", 3)
    write_clip(folder / "e.mp4")
    (folder / "named.dat").write_bytes((folder / "e.mp4").read_bytes())
    (folder / "broken.png").write_text("<html>")
    for name in ("notes.txt", "photo.xmp", "gallery.html"):
        (folder / name).write_text("words " * 200)
    (folder / "program").write_bytes(bytes(range(256)) * 4)
    (folder / ".hidden.jpg").touch()
    (folder / "empty").touch()
    (folder / "dead.jpg").symlink_to(folder / "nothing")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.jpg")
    return folder


def test_a_folder_of_images_is_told_by_content(mixed: Path) -> None:
    found = look_into(mixed, False, IMAGES, ())
    assert {path.name for path in found.taken} == {
        "a.png", "b.JPG", "c.bmp", "d.tif", "scan.jfif", "scan.jpe", "scan.jfi", "photo.jpg_original", "noname", "still.webp",
        "broken.png", "x.tga", "still.gif",
    }  # fmt: skip
    kinds = {kind: {path.name for path in paths} for kind, paths in found.left_out.items()}
    assert kinds["animation"] == {"moving.gif", "moving.png", "moving.webp"}
    assert kinds["foreign"] == {"x.ppm", "x.ico", "raw.cr2"}
    assert kinds["video"] == {"e.mp4", "named.dat"}
    assert kinds[""] == {"notes.txt", "photo.xmp", "gallery.html", "program", "empty"}
    assert "dead.jpg" in kinds["special"]


def test_a_folder_of_videos_is_told_by_content(mixed: Path) -> None:
    found = look_into(mixed, False, VIDEOS, ())
    assert {path.name for path in found.taken} == {"e.mp4", "named.dat", "moving.gif", "moving.png", "moving.webp"}
    said = describe(found.left_out, VIDEOS)
    assert "images" in said and "use `codeformer fix`" in said


@pytest.mark.parametrize("name", ["phone.m2ts", "phone.mts", "dvd.vob", "tape.dv.bak"])
def test_videos_of_cameras_and_discs_are_taken(tmp_path: Path, name: str) -> None:
    formats = {".m2ts": "mpegts", ".mts": "mpegts", ".vob": "vob", ".bak": "mov"}
    path = tmp_path / name
    write_clip(tmp_path / "clip.mp4")
    import av

    with av.open(str(tmp_path / "clip.mp4")) as source, av.open(str(path), "w", format=formats[path.suffix]) as out:
        stream = out.add_stream("mpeg2video" if path.suffix == ".vob" else "libx264", rate=25)
        stream.pix_fmt, stream.width, stream.height = "yuv420p", 64, 48
        for frame in source.decode(video=0):
            out.mux(stream.encode(frame.reformat(64, 48, "yuv420p")))
        out.mux(stream.encode(None))
    assert kind_of(path) == "video"
    assert look_into(tmp_path, False, VIDEOS, ()).taken == sorted([tmp_path / "clip.mp4", path])


def test_a_file_of_a_folder_that_is_named_twice_is_left_out_once(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.jpg")
    save(tmp_path / "in" / "x.ico", "ICO")
    made = plan(Arguments(command="fix", paths=(tmp_path / "in", tmp_path / "in"), out=tmp_path / "out"), IMAGES)
    assert len(made.tasks) == 1 and [note[:28] for note in made.notes] == ["Left out: 1 of other kinds ("]


def test_what_is_left_out_is_said_once_by_both_commands(
    tmp_path: Path, without_faces: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path / "in" / "a.jpg")
    save(tmp_path / "in" / "x.ico", "ICO")
    save(tmp_path / "in" / "moving.gif", "GIF", 3)
    assert main(["fix", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *without_faces]) == 0
    said = capsys.readouterr().err
    assert said.count("Left out:") == 1
    assert "1 animation (.gif): use `codeformer video`" in said
    assert "1 of other kinds (.ico): export those as TIFF or PNG first" in said
    assert main(["video", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *without_faces, "-q"]) == 0
    assert main(["video", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *without_faces]) == 0
    assert "1 image (.jpg): use `codeformer fix`" in capsys.readouterr().err
    assert files(tmp_path / "out") == ["a.jpg", "moving.mp4"]


@pytest.mark.parametrize("name", ["moving.gif", "moving.png", "named.dat", "e.mp4", "moving.webp"])
def test_an_animation_given_to_fix_names_the_command_for_it(
    mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["fix", str(mixed / name), "-o", str(tmp_path / "out")]) == 2
    assert "`codeformer video`" in capsys.readouterr().err


def test_one_image_of_an_animation_can_be_asked_for(mixed: Path, tmp_path: Path, without_faces: list[str]) -> None:
    argv = ["fix", str(mixed / "moving.gif"), "-o", str(tmp_path), "--page", "2", *without_faces]
    assert main(argv) == 0
    assert files(tmp_path) == ["moving.png"]


def test_a_jfif_stays_one(tmp_path: Path, without_faces: list[str]) -> None:
    source = save(tmp_path / "scan.jfif", "JPEG")
    assert main(["fix", str(source), "-o", str(tmp_path / "out"), *without_faces]) == 0
    assert (tmp_path / "out" / "scan.jfif").read_bytes() == source.read_bytes()


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A folder with one image, and a folder in it that this process may not read."""
    if os.name != "posix":
        pytest.skip("needs permissions of POSIX")
    folder = Path(tempfile.mkdtemp())
    draw(folder / "a.png")
    draw(folder / "secret" / "b.png")
    folder.chmod(0o755)
    (folder / "secret").chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        (folder / "secret").chmod(0o755)
        shutil.rmtree(folder)


def test_folders_that_cannot_be_read_are_said(forbidden: Path) -> None:
    found = look_into(forbidden, True, IMAGES, ())
    assert found.taken == [forbidden / "a.png"]
    assert found.unreadable == [f"{forbidden / 'secret'} cannot be read (Permission denied)."]
    for path in (forbidden / "secret", forbidden / "secret" / "b.png"):
        with pytest.raises(ValueError, match=r"cannot be read \(Permission denied\)"):
            plan(Arguments(command="fix", paths=(path,), out=forbidden / "out"), IMAGES)
        if path.suffix:
            with pytest.raises(argparse.ArgumentTypeError, match=r"cannot be read \(Permission denied\)"):
                existing(str(path))


def names(folder: Path, command: str = "fix", media=IMAGES, **options) -> dict[str, str]:
    """Which result each file of a folder gets."""
    arguments = Arguments(command=command, paths=(folder,), **{"out": folder.parent / "out", **options})
    return {task.source.name: task.target.name for task in plan(arguments, media).tasks}


def test_two_files_of_one_name_get_two_results(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in ("trip.avi", "trip.mp4", "trip.wmv", "other.avi", "two.avi", "two.wmv"):
        draw(folder / "a.png").rename(folder / name)
    videos = VIDEOS._replace(written=(".mp4", ".mkv"))
    assert names(folder, "video", videos) == {
        "other.avi": "other.mp4", "trip.avi": "trip_avi.mp4", "trip.mp4": "trip.mp4", "trip.wmv": "trip_wmv.mp4",
        "two.avi": "two.mp4", "two.wmv": "two_wmv.mp4",
    }  # fmt: skip


@pytest.mark.parametrize(("command", "options"), [("fix", {"format": "png"}), ("crop", {}), ("sweep", {"format": "png"})])
def test_two_images_of_one_name_get_two_results(tmp_path: Path, command: str, options: dict[str, str]) -> None:
    draw(tmp_path / "in" / "a.png")
    draw(tmp_path / "in" / "a.jpg")
    found = names(tmp_path / "in", command, **options)
    end = "_sweep" if command == "sweep" else ""
    assert found == {"a.png": f"a{end}.png", "a.jpg": f"a_jpg{end}.png"}


def test_a_result_that_is_called_otherwise_is_said(
    tmp_path: Path, without_faces: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.png", "a.jpg", "b.png"):
        draw(tmp_path / "in" / name)
    argv = ["fix", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--format", "png", *without_faces]
    for _ in range(2):
        assert main(argv) == 0
        assert "a_jpg.png, beside that of a.png" in capsys.readouterr().err
    assert files(tmp_path / "out") == ["a.png", "a_jpg.png", "b.png"]


@pytest.mark.parametrize(
    ("options", "results"),
    [
        ({"suffix": "fixed"}, ["a_fixed.png", "a_fixed_compare.png"]),
        ({"suffix": "fixed", "fidelities": (0.3, 0.7)}, ["a_fixed_w0.30.png", "a_fixed_w0.70_compare.png"]),
        ({"fidelities": (0.3, (0.5, 1.0))}, ["a_w0.30.png", "a_w0.50-1.00.png", "a_w0.30_compare.png"]),
        ({"command": "crop"}, ["a_01.png", "a_02.png", "a_103.png"]),
        ({"command": "sweep"}, ["a_sweep.png"]),
    ],
)
def test_results_beside_their_inputs_are_no_inputs(tmp_path: Path, options: dict, results: list[str]) -> None:
    for name in ("a.png", "holiday_01.png", "holiday_w0.30.png", "b_fixed.png", *results):
        draw(tmp_path / name)
    found = names(tmp_path, out=tmp_path, **options)
    assert sorted(found) == ["a.png", "b_fixed.png", "holiday_01.png", "holiday_w0.30.png"]


def test_a_run_into_the_folder_of_its_inputs_can_be_repeated(
    tmp_path: Path, without_faces: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path / "a.png")
    for _ in range(2):
        assert main(["fix", str(tmp_path), "-o", str(tmp_path), "--suffix", "fixed", *without_faces]) == 0
    assert files(tmp_path) == ["a.png", "a_fixed.png"]
    assert "Left out: 1 that are results of an earlier run" in capsys.readouterr().err

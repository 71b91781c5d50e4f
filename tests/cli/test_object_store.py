"""Images in an object store: a real S3 server on this machine, in a process of its own."""

import json
import sys
from pathlib import Path

import pytest
from drawn import draw

from codeformer_core.cli import main
from codeformer_core.runtime.addresses import to_path


@pytest.fixture
def scans(bucket: str, tmp_path: Path) -> Path:
    """The address of a folder with two images, one in a folder of it, a broken one and a text; and the same on disk."""
    scans = to_path(f"{bucket}/{tmp_path.name}/in")
    for name in ("a.png", "below/b.png"):
        (scans / name).write_bytes(draw(tmp_path / "in" / name).read_bytes())
    for name in ("broken.jpg", "notes.txt"):
        (tmp_path / "in" / name).write_text("<html>")
        (scans / name).write_text("<html>")
    return scans


def test_a_folder_in_a_store_is_done_as_one_on_disk(
    tmp_path: Path, scans: Path, with_faces: list[str], without_faces: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = scans.parent / "out"
    options = ["--recursive", "--format", "tiff", "--compare", *without_faces]
    assert main(["fix", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *options, "-q"]) == 1
    argv = ["fix", str(scans), "-o", str(out), *options, "--report", str(out / "job.json"), "--gallery"]
    capsys.readouterr()
    assert main(argv) == 1
    said = capsys.readouterr()
    assert "2 of 3 done, 1 failed" in said.out and f"{scans}/broken.jpg is a web page" in said.err
    for name in ("a.tif", "below/b.tif", "a_compare.tif", "below/b_compare.tif"):
        assert (out / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    items = json.loads((out / "job.json").read_text())["items"]
    assert [item["source"] for item in items] == [f"{scans}/{name}" for name in ("a.png", "below/b.png", "broken.jpg")]
    assert [item["status"] for item in items] == ["done", "done", "failed"]
    everything = said.out + said.err + (out / "job.json").read_text() + (out / "gallery.html").read_text()
    assert "the-access-key" not in everything and "the-secret-key" not in everything
    assert main(argv) == 1
    assert "0 of 3 done, 1 failed, 2 done before" in capsys.readouterr().out


def test_faces_of_one_image_go_from_the_store_to_disk_and_back(
    tmp_path: Path, scans: Path, data: Path, with_faces: list[str], blind: Path
) -> None:
    photo = data / "photos" / "astronaut_1face.png"
    (scans / "face.png").write_bytes(photo.read_bytes())
    assert main(["fix", str(photo), "-o", str(tmp_path / "out"), *with_faces, "--save-crops", str(tmp_path / "crops")]) == 0
    argv = ["fix", str(scans / "face.png"), "-o", str(scans / "fixed"), *with_faces]
    assert main([*argv, "--save-crops", str(scans / "crops")]) == 0
    assert (scans / "fixed" / "face.png").read_bytes() == (tmp_path / "out" / "astronaut_1face.png").read_bytes()
    crop = (scans / "crops" / "face_01_restored.png").read_bytes()
    assert crop == (tmp_path / "crops" / "astronaut_1face_01_restored.png").read_bytes()
    assert main([*argv[:2], "-o", str(tmp_path / "here.png"), *with_faces]) == 0
    assert (tmp_path / "here.png").read_bytes() == (scans / "fixed" / "face.png").read_bytes()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("s3://photos/nothing-here", "does not exist"),
        ("s3://no-such-bucket/in", "does not exist"),
        ("s3://key:secret@photos/in", "put them into the environment"),
    ],
)
def test_what_is_not_there_is_said(
    bucket: str, tmp_path: Path, address: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fix", address, "-o", str(tmp_path / "out")]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["video", "store/a.mp4", "-o", "out"], "a video in an object store: copy to a disk first"),
        (["fix", "store/a.mp4", "-o", "out"], "a video in an object store: copy to a disk first"),
        (["people", "store/a.mp4", "-o", "out"], "a video in an object store: copy to a disk first"),
        (["video", "store", "-o", "out"], "Found 1 video in an object store (.mp4): copy to a disk first"),
        (["video", "a.mp4", "-o", "store/out"], "where only images are written"),
        (["video", "a.mp4", "-o", "store/b.mp4"], "where only images are written"),
    ],
)
def test_videos_are_not_worked_on_there(
    bucket: str, tmp_path: Path, argv: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").touch()
    store = f"{bucket}/{tmp_path.name}"
    to_path(f"{store}/a.mp4").write_bytes(b"video")
    assert main([one.replace("store", store) for one in argv]) in (1, 2)
    assert says in capsys.readouterr().err


def test_without_credentials_or_a_server_it_is_said_before_the_work(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert main(["fix", "s3://photos/in/a.png", "-o", str(tmp_path / "out")]) == 2
    assert "cannot be re" in capsys.readouterr().err
    s3fs.S3FileSystem.clear_instance_cache()


def test_without_the_package_the_command_that_installs_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "upath", None)
    assert main(["fix", "gs://photos/a.png", "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert 'pip install "codeformer-suite[cluster]" gcsfs' in said

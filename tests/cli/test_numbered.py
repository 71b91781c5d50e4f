"""`codeformer video` with numbered frames in, out, or both."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from known_faces import KnownFaces
from PIL import Image
from small_clips import SIZE, read_clip, stripes, write_clip

from codeformer_core import checkpoints
from codeformer_core.cli import main
from codeformer_core.image_io.numbered import is_pattern, numbered_frames, pattern_in
from codeformer_core.video_io import read_frames


def images(folder: Path) -> dict[str, np.ndarray]:
    return {path.name: np.array(Image.open(path)) for path in sorted(folder.iterdir())}


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """The frames 8 to 12 in a folder with a percent sign."""
    folder = tmp_path / "100%d in"
    folder.mkdir()
    for number in range(8, 13):
        Image.fromarray(stripes(number)).save(folder / f"shot1_{number:04d}.png", dpi=(72, 72))
    return folder


def test_frames_become_a_film_of_the_rate_that_is_asked_for(frames: Path, without_faces: list[str], tmp_path: Path) -> None:
    for source, fps, rate in ((frames, [], 25), (frames / "shot1_%04d.png", ["--fps", "23.976"], Fraction(24000, 1001))):
        out = tmp_path / f"{len(fps)}.mkv"
        assert main(["video", str(source), "-o", str(out), *without_faces, *fps, "--crf", "0"]) == 0
        with av.open(str(out)) as container:
            assert container.streams.video[0].average_rate == rate
        film = read_clip(out).astype(int)
        assert film.shape == (5, *SIZE, 3)
        assert np.abs(film - np.stack([stripes(number) for number in range(8, 13)])).mean() < 3


def test_frames_go_to_frames_of_the_same_numbers_and_unchanged_ones_are_the_same_files(
    frames: Path, without_faces: list[str], tmp_path: Path
) -> None:
    assert main(["video", str(frames), "-o", str(tmp_path / "out"), *without_faces]) == 0
    before, after = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in (frames, tmp_path / "out"))
    assert after == before
    assert main(["video", str(frames), "-o", str(tmp_path / "jpg" / "%d.jpg"), *without_faces, "--start", "0.08"]) == 0
    assert list(images(tmp_path / "jpg")) == ["10.jpg", "11.jpg", "12.jpg"]


def test_a_film_becomes_frames_from_1_as_they_are_decoded(without_faces: list[str], tmp_path: Path) -> None:
    film = write_clip(tmp_path / "film.mkv", "ffv1", frames=3, pixel_format="bgr0")
    assert main(["video", str(film), "-o", str(tmp_path / "out" / "%05d.png"), *without_faces]) == 0
    found = images(tmp_path / "out")
    assert list(found) == ["00001.png", "00002.png", "00003.png"]
    assert np.array_equal(np.stack(list(found.values())), read_clip(film))
    deep = write_clip(tmp_path / "deep.mkv", "ffv1", frames=2, pixel_format="yuv420p10le")
    assert main(["video", str(deep), "-o", str(tmp_path / "deep" / "%05d.png"), *without_faces]) == 0
    assert (tmp_path / "deep" / "00001.png").read_bytes()[24] == 16  # bits per channel


def test_faces_of_frames_are_restored_and_the_rest_of_them_stays(
    data: Path, tiny_checkpoint: Path, blind: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    portrait = Image.open(data / "photos" / "astronaut_1face.png").convert("RGBA")
    portrait.putalpha(200)
    for number in (1, 2, 3):
        portrait.save(tmp_path / "in" / f"{number}.png", dpi=(300, 300))
    load = checkpoints.load
    monkeypatch.setattr(checkpoints, "load", lambda path, **more: KnownFaces() if path == blind else load(path, **more))
    options = ["--model", str(tiny_checkpoint), "--detector", str(blind), "--always"]
    assert main(["video", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *options, "--mask", "oval"]) == 0
    for name, after in images(tmp_path / "out").items():
        before = np.array(portrait).astype(int)
        changed = np.abs(after - before).max(2) > 0
        assert 0.01 < changed.mean() < 0.5 and (after[..., 3] == 200).all()
        assert Image.open(tmp_path / "out" / name).info["dpi"] == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("end", ["jpg", "png", "tif"])
def test_frames_that_a_camera_has_turned_are_upright(end: str, without_faces: list[str], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    (tmp_path / "in").mkdir()
    for number in (1, 2):
        Image.fromarray(stripes(number)).save(tmp_path / "in" / f"{number}.{end}", exif=exif)
    assert main(["video", str(tmp_path / "in"), "-o", str(tmp_path / "out" / "%d.bmp"), *without_faces]) == 0
    for number, name in enumerate(("1.bmp", "2.bmp"), 1):
        found = images(tmp_path / "out")[name].astype(int)
        assert np.abs(found - np.rot90(stripes(number), -1)).mean() < 3
    seen = next(read_frames(numbered_frames(tmp_path / "in" / f"%d.{end}"))).image()[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(seen - np.rot90(stripes(1), -1)).mean() < 3


def test_frames_that_do_not_go_together_are_refused(
    frames: Path, without_faces: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["-o", str(tmp_path / "film.mp4"), *without_faces]
    assert main(["video", str(frames), "-o", str(frames / "more_%d.png"), *without_faces]) == 2
    assert "would lie among the frames that are read" in capsys.readouterr().err
    assert main(["video", str(tmp_path / "absent_%d.png"), *argv]) == 1
    assert "stands for 0 files. Expected two frames or more" in capsys.readouterr().err
    (frames / "shot1_0010.png").unlink()
    assert main(["video", str(frames), *argv]) == 1
    assert "has the frames 8 to 12, but not shot1_0010.png" in capsys.readouterr().err
    (frames / "other_1.png").write_bytes(b"")
    assert main(["video", str(frames), *argv]) == 2
    assert "holds no video" in capsys.readouterr().err
    assert not (tmp_path / "film.mp4").exists()


def test_frames_that_are_there_already_are_not_replaced(frames: Path, without_faces: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "shot1_0009.png").write_bytes(b"precious")
    assert main(["video", str(frames), "-o", str(out), *without_faces]) == 1
    assert (out / "shot1_0009.png").read_bytes() == b"precious"
    assert main(["video", str(frames), "-o", str(out), *without_faces, "--overwrite"]) == 0
    assert (out / "shot1_0009.png").read_bytes() == (frames / "shot1_0009.png").read_bytes()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a1.png", "a2.png"), "a%d.png"),
        (("a09.png", "a10.png", "a100.png"), "a%02d.png"),
        (("50%_1.jpg", "50%_2.jpg"), "50%%_%d.jpg"),
        (("1.png", "02.png"), None),
        (("1.png", "2.jpg"), None),
        (("1.png", "cover.png"), None),
        (("1.png",), None),
        ((), None),
    ],
)
def test_the_pattern_of_a_folder(names: tuple[str, ...], expected: str | None, tmp_path: Path) -> None:
    for name in (*names, "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    found = pattern_in(tmp_path)
    assert (found and found.name) == expected
    if found:
        assert is_pattern(found) and found.parent / names[0] == tmp_path / names[0]


@pytest.mark.parametrize("name", ["a.png", "50%.png", "%%d.png", "%d_%d.png", "%s.png", "%d.mp4", "%x.png"])
def test_what_is_no_pattern(name: str, tmp_path: Path) -> None:
    assert not is_pattern(tmp_path / name)


def test_a_pattern_is_of_the_frames_with_its_own_names_alone(tmp_path: Path) -> None:
    for name in ("007.png", "008.png", "1.png", "0009.png", "x010.png"):
        (tmp_path / name).touch()
    assert numbered_frames(tmp_path / "%03d.png").first == 7

"""The command line and the system around it: threads, closed and full streams, pipes, names of files, masks that do not fit."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from drawn import draw, files
from PIL import Image
from small_clips import write_clip

from codeformer_core.cli import main
from codeformer_core.evaluation.report import write_csv

ROOT = Path(__file__).resolve().parents[2]

#: Both ways to start the program: `python -m codeformer_core`, and what pip writes for the console script.
STARTS = {
    "module": ["-m", "codeformer_core"],
    "console script": ["-c", "import sys; from codeformer_core.cli import main; sys.exit(main())"],
}


def told_by_openmp(tmp_path: Path, start: list[str], settings: dict[str, str]) -> str:
    """What OpenMP says about its settings when the command line has it loaded."""
    unset = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    argv = [sys.executable, *start, "fix", str(draw(tmp_path / "a.png")), "-o", str(tmp_path / "out"), "--device", "none"]
    environment = {**unset, "OMP_DISPLAY_ENV": "VERBOSE", **settings}
    return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120).stderr


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_threads_of_the_command_line_sleep_soon(tmp_path: Path, start: list[str]) -> None:
    said = told_by_openmp(tmp_path, start, {})
    if "GOMP_SPINCOUNT" not in said:
        pytest.skip("needs a PyTorch with GNU OpenMP")
    assert "GOMP_SPINCOUNT = '1000'" in said


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"GOMP_SPINCOUNT": "7"}, "'7'"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "'0'"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "'3")],
)
def test_what_the_user_has_set_for_threads_stays(tmp_path: Path, settings: dict[str, str], expected: str) -> None:
    said = told_by_openmp(tmp_path, STARTS["module"], settings)
    if "GOMP_SPINCOUNT" not in said:
        pytest.skip("needs a PyTorch with GNU OpenMP")
    assert f"GOMP_SPINCOUNT = {expected}" in said


def test_another_program_that_calls_the_command_line_keeps_its_threads() -> None:
    code = "import os; from codeformer_core.cli import main; main(['models', 'where']); print('GOMP_SPINCOUNT' in os.environ)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


# --- streams and pipes ----------------------------------------------------------------------------------------------------

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs a shell and /dev/full")


def in_shell(tmp_path: Path, without_faces: list[str], streams: str) -> subprocess.CompletedProcess[str]:
    """A run on one small image with its streams changed by the shell."""
    argv = [
        sys.executable,
        *STARTS["module"],
        "fix",
        str(draw(tmp_path / "a.png")),
        "-o",
        str(tmp_path / "out"),
        *without_faces,
    ]
    return subprocess.run(f"{shlex.join(argv)} {streams}", shell=True, cwd=ROOT, capture_output=True, text=True, timeout=120)


@POSIX
def test_a_full_disk_behind_the_output_is_said_and_loses_no_result(tmp_path: Path, without_faces: list[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    done = in_shell(tmp_path, without_faces, "> /dev/full")
    assert done.returncode == 1 and done.stderr == "codeformer: what is said here cannot be written: the disk is full.\n"
    assert (tmp_path / "out" / "a.png").is_file()


@POSIX
@pytest.mark.parametrize("streams", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_disturb_nothing(tmp_path: Path, without_faces: list[str], streams: str) -> None:
    done = in_shell(tmp_path, without_faces, streams)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "a.png").read_bytes() == (tmp_path / "a.png").read_bytes()


@POSIX
@pytest.mark.parametrize("option", ["--inside", "--faces-from", "--keep-out", "--fidelity-mask", "PATH", "--report"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, without_faces: list[str], option: str) -> None:
    """In a process of its own, which can be ended where it waits."""
    os.mkfifo(tmp_path / "pipe.json")
    image = tmp_path / "pipe.json" if option == "PATH" else draw(tmp_path / "a.png")
    argv = [sys.executable, *STARTS["module"], "fix", str(image), "-o", str(tmp_path / "out"), *without_faces]
    argv += [] if option == "PATH" else [option, str(tmp_path / "pipe.json")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "is neither a file nor a folder" in done.stderr or "it is no file" in done.stderr


@POSIX
def test_a_removed_current_folder_is_said(tmp_path: Path) -> None:
    argv = shlex.join([sys.executable, *STARTS["module"], "fix", str(draw(tmp_path / "a.png")), "-o", str(tmp_path / "out")])
    here = tmp_path / "here"
    here.mkdir()
    done = subprocess.run(
        f"rmdir {shlex.quote(str(here))} && exec {argv}",
        shell=True,
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2 and "has been removed: change to another one with `cd`" in done.stderr


def test_no_folder_for_temporary_files_is_said(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As in a read-only container without /tmp."""
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "absent")])
    monkeypatch.setattr(tempfile, "tempdir", None)
    assert main(["fix", str(draw(tmp_path / "a.png")), "-o", str(tmp_path / "out")]) == 2
    assert "Name one in the environment, as TMPDIR." in capsys.readouterr().err
    assert main(["models", "where"]) == 0


@POSIX
def test_a_user_who_is_only_a_number_and_has_no_home(tmp_path: Path, close_up: Image.Image) -> None:
    """As in a container with `--user 4242`, where PyTorch failed, and with it every network, as if its file were damaged."""
    close_up.resize((128, 128)).save(tmp_path / "a.png")
    code = """import pwd, sys
def unknown(uid): raise KeyError(f"getpwuid(): uid not found: {uid}")
pwd.getpwuid = unknown
from codeformer_core.cli import main
sys.exit(main())"""
    names = ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    for words, status, said in (
        (["fix", str(tmp_path / "a.png"), "-o", str(tmp_path / "out")], 0, "1 found"),
        (["models", "fetch", "yunet"], 1, "There is no home folder to download into. Set "),
    ):
        argv = [sys.executable, "-c", code, *words]
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == status and said in done.stdout + done.stderr, done.stderr


# --- names and masks ------------------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("option", [["--suffix", "fixed"], ["--save-crops", "crops"], ["--compare"], ["-w", "0", "1"]])
def test_a_name_that_becomes_too_long_is_said_before_the_work(
    tmp_path: Path, without_faces: list[str], option: list[str], capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    draw(tmp_path / "b.png").rename(tmp_path / "in" / f"{'a' * 251}.png")
    draw(tmp_path / "in" / "b.png")
    assert main(["fix", "in", "-o", "out", *without_faces, *option]) == 1
    said = capsys.readouterr().err
    assert "the disk takes no name as long as" in said and "Errno" not in said
    assert len(list((tmp_path / "out").glob("b*"))) in (1, 2) and not list((tmp_path / "out").glob("a*"))


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder with a name that is not UTF-8, as copied from an old disk."""
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    try:
        folder.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("needs a file system that takes names of any bytes")
    return folder


def test_a_name_that_is_not_utf8_is_reported_and_found_again(odd: Path, without_faces: list[str]) -> None:
    image = draw(odd / f"{odd.name}.png")
    review = ["--report", str(odd / "report.json"), "--gallery", str(odd / "gallery.html")]
    for status in ("done", "done before"):
        assert main(["fix", str(image), "-o", str(odd / "out"), *without_faces, *review]) == 0
        (item,) = json.loads((odd / "report.json").read_text("utf-8"))["items"]
        assert (item["source"], item["status"]) == (str(image), status)
        assert "<h2>" in (odd / "gallery.html").read_text("utf-8")


def test_a_video_with_a_name_that_is_not_utf8(odd: Path, without_faces: list[str]) -> None:
    clip = write_clip(odd / f"{odd.name}.mp4")
    assert main(["video", str(clip), "-o", str(odd / "out"), *without_faces]) == 0
    assert files(odd / "out") == [clip.name]


def test_scores_of_an_image_with_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    write_csv({"set": {os.fsdecode(b"caf\xe9.png"): {"PSNR": 30.0}}}, tmp_path / "scores.csv")
    assert (tmp_path / "scores.csv").read_text("utf-8") == "set,image,PSNR\nset,caf\\udce9.png,30\n"


def test_a_mask_of_other_proportions_is_refused_before_networks_are_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, mask = draw(tmp_path / "a.png"), draw(tmp_path / "mask.png", size=(10, 30))
    clip = write_clip(tmp_path / "clip.mp4")
    for command, source in (("fix", image), ("inpaint", image), ("crop", image), ("video", clip)):
        option = {"inpaint": "--mask", "crop": "--inside"}.get(command, "--keep-out")
        argv = [command, str(source), "-o", str(tmp_path / "out"), option, str(mask), "--detector", "absent.pth"]
        assert main(argv) == 1
        said = capsys.readouterr().err
        assert "mask.png is 10 x 30" in said and "absent.pth" not in said


def test_a_mask_of_an_image_that_is_turned_by_its_exif_data_fits(tmp_path: Path, without_faces: list[str]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(draw(tmp_path / "plain.png")) as image:
        image.save(tmp_path / "a.jpg", exif=exif)
    mask = draw(tmp_path / "mask.png", size=(30, 40))
    assert main(["fix", str(tmp_path / "a.jpg"), "-o", str(tmp_path / "out"), "--keep-out", str(mask), *without_faces]) == 0

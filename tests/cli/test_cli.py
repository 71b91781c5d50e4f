"""The command line does what it says, says what it does, and never loses a file."""

import dataclasses
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import draw, files
from PIL import Image, ImageCms

from codeformer_core import checkpoints, cli, image_io
from codeformer_core.cli import arguments, main
from codeformer_core.cli.arguments import Arguments
from codeformer_core.cli.parser import parsed_arguments
from codeformer_core.image_io.encode import FORMATS
from codeformer_core.imaging.resize import resize
from codeformer_core.imaging.tiling import TILE
from codeformer_core.masks.holes import TOLERANCE
from codeformer_core.networks.precision import CHOICES as PRECISIONS
from codeformer_core.options import FixOptions, OptionField, option_fields, with_values
from codeformer_core.options.option import option

ROOT = Path(__file__).resolve().parents[2]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# --- arguments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["fix", "--help"],
        ["colorize", "--help"],
        ["inpaint", "--help"],
        ["video", "--help"],
        ["models", "where"],
        ["crop", "--help"],
    ],
)
def test_help_and_models_where_do_not_import_torch(argv: list[str]) -> None:
    code = f"import sys; from codeformer_core.cli import main; print(main({argv!r}), {{'torch', 'cv2'}} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert out.endswith("0 set()\n")


def test_python_m_codeformer_core_is_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "codeformer_core", "models", "fetch", "nonsense"], capture_output=True, cwd=ROOT
    )
    assert done.returncode == 2


def typed(*words: str) -> Arguments:
    """What a command gets from a command line."""
    return parsed_arguments(cli.build_parser().parse_args(words))


def test_choices_and_defaults_match_the_core() -> None:
    ends = {end for end in arguments.FORMATS.values() if end}
    assert ends <= FORMATS.keys() and arguments.PRECISIONS == PRECISIONS
    assert (FixOptions().tile, arguments.Arguments().tolerance) == (TILE, TOLERANCE * 255)
    for command in cli.COMMANDS:
        found = typed(command, "a.png", "-o", "out")
        assert found.options == FixOptions() and found.command == command
        assert found.model is None  # what the command does says which
        assert found.detector is None  # what is installed says which
        assert checkpoints.lookup(found.parser).role == "parser"  # type: ignore[union-attr]


def another_value(field: OptionField) -> tuple[list[str], object]:
    """Words that set an option to another value than its default, and that value."""
    if field.about.switches:
        flag, value, _ = field.about.switches[-1]
        return [flag], value
    if isinstance(field.default, bool):
        return [field.flags[0]], not field.default
    if field.about.choices:
        value = field.about.choices[-1]
        return [field.flags[0], value.replace(" ", "-")], (value,) if "tuple" in str(field.type) else value
    if field.default == ():
        return [field.flags[0], "2,3"], (2, 3)
    low, high, _ = field.about.span or (0, 0, 0)
    value = next(value for value in (high, low) if value != field.default)
    return [field.flags[0], str(value)], value


def fix_fields(defaults: Arguments) -> Iterator[OptionField]:
    return (field for field in option_fields(defaults) if field.path[0] == "options" and field.about.command_line)


@pytest.mark.parametrize("field", list(fix_fields(Arguments())), ids=lambda field: field.path[-1])
def test_every_option_of_a_fix_can_be_typed_and_arrives(field: OptionField) -> None:
    words, value = another_value(field)
    only = "video" if field.group == "steadiness" else "fix" if field.path[-1] == "likeness" else None
    for command in (only,) if only else ("fix", "video"):
        found = typed(command, "a", "-o", "out", *words)
        assert found.options == with_values(FixOptions(), {field.path[1:]: value}) != FixOptions()


def test_a_new_field_is_an_option_of_fix_and_video_with_nothing_else_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    sparkle = option(0.25, "How much the eyes sparkle: 5 % is plenty.", span=(0.0, 1.0, 0.05))
    extended = dataclasses.make_dataclass("Extended", [("sparkle", float, sparkle)], bases=(FixOptions,), frozen=True)
    defaults = Arguments(options=extended())
    parser = cli.build_parser(defaults)
    for command in ("fix", "video"):
        with pytest.raises(SystemExit):
            parser.parse_args([command, "--help"])
        assert "sparkle: 5 % is plenty. (default 0.25)" in " ".join(capsys.readouterr().out.split())
        for words, value in ((["--sparkle", "0.5"], 0.5), ([], 0.25)):
            found = parsed_arguments(parser.parse_args([command, "a", "-o", "out", *words]), defaults)
            assert found.options.sparkle == value


def test_bench_says_where_the_benchmark_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--full"]) == 2
    assert "`python -m benchmarks`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["fix"],
        ["fix", "IN"],
        ["fix", "IN", "-o", "OUT", "--fidelity", "1.5"],
        ["fix", "IN", "-o", "OUT", "--fidelity", "nan"],
        ["fix", "IN", "-o", "OUT", "--upscale", "0"],
        ["fix", "IN", "-o", "OUT", "--batch", "-1"],
        ["fix", "IN", "-o", "OUT", "--only-center", "--only-largest"],
        ["fix", "IN", "-o", "OUT", "--aligned", "--upscale", "2"],
        ["colorize", "IN", "-o", "OUT", "--aligned", "--count", "1"],
        ["fix", "IN", "-o", "OUT", "--only-largest", "--first", "2"],
        ["fix", "IN", "-o", "OUT", "--only-largest", "--order", "left"],
        ["fix", "IN", "-o", "OUT", "--only-largest", "--first", "2", "--order", "found"],
        ["video", "IN", "-o", "OUT", "-w", "0.3,0.8"],
        ["crop", "IN", "-o", "OUT.png"],
        ["fix", "IN", "-o", "OUT", "--colour", "as restored"],
        ["fix", "IN", "-o", "OUT", "--faces", "0"],
        ["fix", "IN", "-o", "OUT", "--fidelity", "0.5,2"],
        ["fix", "IN", "-o", "OUT", "--parts", "skin,wings"],
        ["fix", "IN", "-o", "OUT", "--grow", "3"],
        ["fix", "IN", "-o", "OUT", "--bg-tile", "3"],
        ["fix", "IN", "-o", "OUT", "--keep-out", "absent.png"],
        ["fix", "IN", "-o", "OUT", "--save-faces", "IN/a.png"],
        ["fix", "IN/a.png", "-o", "OUT", "--faces-from", "IN/faces.json", "--rotated"],
        ["fix", "IN/a.png", "-o", "IN/out.png", "--inside", "IN"],
        ["inpaint", "IN", "-o", "MASKS", "--mask", "MASKS"],
        ["inpaint", "IN", "-o", "OUT", "--mask", "absent.png"],
        ["inpaint", "IN", "-o", "OUT", "--mask", "MASKS", "--tolerance", "3"],
        ["fix", "IN", "-o", "OUT", "--device", "toaster"],
        ["fix", "absent.png", "-o", "OUT"],
        ["fix", "EMPTY", "-o", "OUT"],
        ["fix", "IN", "-o", "IN"],
        ["fix", "IN", "-o", "OUT.png"],
        ["fix", "IN/a.png", "-o", "OUT.png", "--format", "jpg"],
        ["fix", "IN", "-o", "OUT", "--suffix", "/../elsewhere"],
        ["fix", "IN", "-o", "OUT", "--faces-from", "IN/faces.json", "--save-faces", "IN/../IN/faces.json", "--overwrite"],
        ["fix", "IN/a.png", "-o", "IN/a.png", "--overwrite"],
        ["fix", "IN/a.png", "-o", "IN/notes.txt"],
        ["models", "fetch", "nonsense"],
    ],
)
def test_wrong_usage_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argv: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "IN" / "a.png")
    (tmp_path / "IN" / "notes.txt").touch()
    (tmp_path / "IN" / "faces.json").touch()
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "MASKS").mkdir()
    assert main(argv) == 2
    assert files(tmp_path) == ["IN/a.png", "IN/faces.json", "IN/notes.txt"]
    assert capsys.readouterr().err.strip()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [("-w", "0.3,,1", "found '', expected a number"), ("--faces", "1,b", "found 'b', expected a whole number")],
)
def test_a_value_that_is_no_number_is_quoted(capsys: pytest.CaptureFixture[str], option: str, value: str, said: str) -> None:
    assert main(["fix", "a.png", "-o", "out", option, value]) == 2
    assert said in capsys.readouterr().err


# --- files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif"])
def test_an_image_without_faces_is_copied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], without_faces: list[str], suffix: str
) -> None:
    source = draw(tmp_path / f"a{suffix}")
    assert main(["fix", str(source), "-o", str(tmp_path / "out"), *without_faces]) == 0
    assert (tmp_path / "out" / source.name).read_bytes() == source.read_bytes()
    said = capsys.readouterr().out
    assert "no face found" in said and "1 of 1 done" in said and "0 found" in said


def test_without_faces_pixels_are_the_same_in_another_format_and_resized_when_asked(
    tmp_path: Path, without_faces: list[str]
) -> None:
    source = image_io.read(draw(tmp_path / "a.png", "RGBA"))
    assert main(["fix", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.tif"), *without_faces]) == 0
    found = image_io.read(tmp_path / "b.tif")
    assert torch.equal(found.image, source.image) and torch.equal(found.alpha, source.alpha)
    assert main(["fix", str(tmp_path / "a.png"), "-o", str(tmp_path / "c.png"), "--upscale", "1.5", *without_faces]) == 0
    assert image_io.read(tmp_path / "c.png").image.shape[-2:] == (45, 60)


def test_one_page_of_several_is_chosen_and_written_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], without_faces: list[str]
) -> None:
    pages = [Image.new("RGB", (60, 40), colour) for colour in ("red", "lime", "blue")]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert main(["fix", str(tmp_path / "a.tif"), "-o", str(tmp_path / "out"), *without_faces]) == 1
    assert "holds 3 images" in capsys.readouterr().err
    assert main(["fix", str(tmp_path / "a.tif"), "-o", str(tmp_path / "out"), "--page", "2", *without_faces]) == 0
    assert "Page 2 of 3." in capsys.readouterr().out
    assert image_io.read(tmp_path / "out" / "a.tif").image[0, :, 0, 0].tolist() == [0, 1, 0]


def test_one_bad_file_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], without_faces: list[str]
) -> None:
    for name in ("a.png", "c.JPG"):
        draw(tmp_path / "in" / name)
    (tmp_path / "in" / "b.png").write_text("<html>")
    (tmp_path / "in" / ".hidden.png").write_text("no image")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    assert main(["fix", str(tmp_path / "in"), "-o", str(tmp_path / "out"), *without_faces]) == 1
    assert files(tmp_path / "out") == ["a.png", "c.JPG"]
    said = capsys.readouterr()
    assert "2 of 3 done, 1 failed" in said.out
    assert f"{tmp_path / 'in' / 'b.png'} is a web page" in said.err


@pytest.mark.parametrize("second", ["b/x.png", "b/X.png"])
def test_two_inputs_with_one_result_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], without_faces: list[str], second: str
) -> None:
    first, other = draw(tmp_path / "a" / "x.png"), draw(tmp_path / second)
    assert main(["fix", str(first), str(other), "-o", str(tmp_path / "out"), *without_faces]) == 2
    assert not (tmp_path / "out").exists()
    said = capsys.readouterr().err
    assert str(first) in said and str(other) in said


def test_recursive_mirrors_sub_folders_and_skips_earlier_results(tmp_path: Path, without_faces: list[str]) -> None:
    for name in ("x.png", "a/x.png", "a/b/y.jpg"):
        draw(tmp_path / "in" / name)
    out = tmp_path / "in" / "fixed"
    assert main(["fix", str(tmp_path / "in"), "-o", str(out), *without_faces]) == 0
    assert files(out) == ["x.png"]
    argv = ["fix", str(tmp_path / "in"), "-o", str(out), "--recursive", "--overwrite", *without_faces]
    assert main(argv) == 0
    assert main(argv) == 0  # the results of the first run are not taken for inputs
    assert files(out) == ["a/b/y.jpg", "a/x.png", "x.png"]


def test_names_and_formats_of_results(tmp_path: Path, without_faces: list[str]) -> None:
    draw(tmp_path / "ä.png")
    argv = ["fix", str(tmp_path / "ä.png"), "-o", str(tmp_path), "--suffix", "fixed", "--format", "webp", *without_faces]
    assert main(argv) == 0
    assert torch.equal(image_io.read(tmp_path / "ä_fixed.webp").image, image_io.read(tmp_path / "ä.png").image)


def test_an_image_that_its_format_cannot_hold_becomes_a_png(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], without_faces: list[str]
) -> None:
    draw(tmp_path / "in" / "a.jpg", "RGBA")  # a PNG in truth
    argv = ["fix", str(tmp_path / "in"), *without_faces]
    assert main([*argv, "-o", str(tmp_path / "out")]) == 0
    assert files(tmp_path / "out") == ["a.png"]
    assert main([*argv, "-o", str(tmp_path / "forced"), "--format", "jpg", "--upscale", "2"]) == 1
    assert files(tmp_path / "forced") == []
    assert "transparency" in capsys.readouterr().err
    draw(tmp_path / "in" / "a.png")
    for _ in range(2):
        assert main([*argv, "-o", str(tmp_path / "both")]) == 0
        assert files(tmp_path / "both") == ["a.png", "a_jpg.png"]
    assert "2 done before" in capsys.readouterr().out
    mixed = ["fix", str(tmp_path / "in" / "a.jpg"), str(draw(tmp_path / "b" / "a.png")), *without_faces]
    before = (tmp_path / "b" / "a.png").read_bytes()
    assert main([*mixed, "-o", str(tmp_path / "b"), "--suffix", "", "--overwrite"]) == 2
    (tmp_path / "b" / "a.png").rename(tmp_path / "b" / "a_x.png")
    mixed = ["fix", str(tmp_path / "in" / "a.jpg"), str(tmp_path / "b" / "a_x.png"), *without_faces]
    assert main([*mixed, "-o", str(tmp_path / "b"), "--suffix", "x", "--overwrite"]) == 0  # not as a_x.png, an input
    assert (tmp_path / "b" / "a_x.png").read_bytes() == before


def test_quiet_prints_nothing_on_success(tmp_path: Path, capsys: pytest.CaptureFixture[str], without_faces: list[str]) -> None:
    draw(tmp_path / "a.png")
    assert main(["fix", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "--quiet", *without_faces]) == 0
    said = capsys.readouterr()
    assert said.out == "" and said.err == ""


# --- faces ----------------------------------------------------------------------------------------------------------------


def test_sixteen_bits_alpha_and_profile_are_kept(tmp_path: Path, with_faces: list[str], portrait: np.ndarray) -> None:
    image = torch.from_numpy(portrait.astype(np.float32) / 255).permute(2, 0, 1)[None] * 0.999 + 0.0003  # between 8-bit steps
    alpha = torch.linspace(0, 1, 512 * 512).reshape(1, 1, 512, 512)
    image_io.write(image_io.ImageFile(image, alpha, bits=16, icc=SRGB), tmp_path / "a.png")
    source = image_io.read(tmp_path / "a.png")
    assert main(["fix", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.tif"), *with_faces]) == 0
    found = image_io.read(tmp_path / "b.tif")
    assert (found.bits, found.icc) == (16, SRGB)
    assert torch.equal(found.alpha, source.alpha)
    changed = (found.image != source.image).any(1)[0]
    assert changed.any() and not changed[:, :40].any() and not changed[400:].any()
    assert main(["fix", str(tmp_path / "a.png"), "-o", str(tmp_path / "twice.png"), "--upscale", "2", *with_faces]) == 0
    twice = image_io.read(tmp_path / "twice.png")
    assert twice.bits == 16 and twice.image.shape == (1, 3, 1024, 1024)
    assert (twice.alpha - resize(source.alpha, 1024)).abs().max() < 1e-4


def test_a_grey_image_stays_grey(tmp_path: Path, with_faces: list[str], portrait: np.ndarray) -> None:
    Image.fromarray(portrait).convert("L").save(tmp_path / "a.png")
    assert main(["fix", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), *with_faces]) == 0
    with Image.open(tmp_path / "b.png") as image:
        assert image.mode == "L"
        assert not np.array_equal(np.asarray(image), np.asarray(Image.fromarray(portrait).convert("L")))


def test_crops_boxes_and_masks(tmp_path: Path, with_faces: list[str], portrait: np.ndarray) -> None:
    Image.fromarray(portrait).save(tmp_path / "a.png", icc_profile=SRGB)
    argv = ["fix", str(tmp_path / "a.png"), *with_faces]
    assert main([*argv, "-o", str(tmp_path / "b.png"), "--save-crops", str(tmp_path / "crops"), "--mask", "box"]) == 0
    assert files(tmp_path / "crops") == ["b_01_aligned.png", "b_01_restored.png"]
    aligned, restored = (image_io.read(tmp_path / "crops" / f"b_01_{name}.png") for name in ("aligned", "restored"))
    assert aligned.image.shape == restored.image.shape == (1, 3, 64, 64)
    assert aligned.icc == SRGB and not torch.equal(aligned.image, restored.image)
    options = ["--draw-boxes", "--mask", "box"]
    assert main([*argv, "-o", str(tmp_path / "c.png"), *options]) == 0
    assert main([*argv, "-o", str(tmp_path / "d.png"), "--upscale", "2", *options]) == 0
    plain, boxed = image_io.read(tmp_path / "b.png").image, image_io.read(tmp_path / "c.png").image
    drawn = (plain != boxed).any(1)[0].nonzero()
    assert len(drawn) > 100
    twice = image_io.read(tmp_path / "d.png").image[0]
    pure = [((i[1] > 0.99) & (i[0] < 0.01) & (i[2] < 0.01)).nonzero() for i in (boxed[0], twice)]
    assert (pure[0].float().mean(0) * 2 - pure[1].float().mean(0)).abs().max() < 16  # the same place in the larger image


def test_the_report_says_which_faces_were_skipped_and_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], with_faces: list[str], data: Path
) -> None:
    source = data / "photos" / "nasa_sts114_crew_7faces.jpg"
    with_faces = [*with_faces[:-1], str(data / "faces" / f"{source.stem}.json")]
    assert main(["fix", str(source), "-o", str(tmp_path), "--only-largest", *with_faces]) == 0
    said = capsys.readouterr().out
    assert "7 found, 1 restored" in said and "not the largest" in said and "6 skipped" in said
    assert main(["fix", str(source), "-o", str(tmp_path / "b.jpg"), "--eye-distance", "500", *with_faces]) == 0
    assert "7 found, 0 restored, copied as it was" in capsys.readouterr().out


def test_aligned_images_are_restored_without_detection(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path
) -> None:
    draw(tmp_path / "a.png", "RGBA", (100, 100))
    argv = [
        "fix",
        str(tmp_path / "a.png"),
        "-o",
        str(tmp_path / "out"),
        "--aligned",
        "--always",
        "--model",
        str(tiny_checkpoint),
    ]
    assert main(argv) == 0
    found = image_io.read(tmp_path / "out" / "a.png")
    assert found.image.shape == (1, 3, 100, 100) and found.alpha is not None
    assert "1 restored" in capsys.readouterr().out


# --- model files ----------------------------------------------------------------------------------------------------------


def test_a_missing_model_file_is_named_with_the_command_that_fetches_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path / "a.png")
    argv = ["fix", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "--mask", "face"]
    argv += ["--detector", "retinaface-resnet50"]
    (tmp_path / "mine").mkdir()
    assert main([*argv, "--weights", str(tmp_path / "mine")]) == 1
    said = capsys.readouterr().err
    for name in ("codeformer", "retinaface-resnet50", "parsenet"):
        assert f"`codeformer models fetch {name}`" in said
    assert str(tmp_path / "mine") in said and "376.6 MB" in said
    assert main([*argv, "--model", "nonsense.pth", "--download"]) == 1
    assert "nonsense.pth" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_of_the_wrong_role_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny_checkpoint: Path, blind: Path
) -> None:
    draw(tmp_path / "a.png")
    argv = ["fix", str(tmp_path / "a.png"), "-o", str(tmp_path / "out")]
    assert main([*argv, "--model", str(blind), "--detector", str(blind)]) == 1
    assert "detector.pth is a face detector. Needed is a restorer" in capsys.readouterr().err
    assert main([*argv, "--model", str(tiny_checkpoint), "--detector", str(tiny_checkpoint)]) == 1
    assert "is a restorer for restoration. Needed is a detector" in capsys.readouterr().err


@pytest.fixture
def mirror(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The detectors' files on a server of this machine, which is asked before the real ones."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(shared / "data" / "detectors"))
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("CODEFORMER_MIRROR", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


def test_fetch_announces_verifies_and_is_found_again(tmp_path: Path, capsys: pytest.CaptureFixture[str], mirror: None) -> None:
    place = ["--weights", str(tmp_path / "mine")]
    assert main(["models", "fetch", "retinaface-mobile0.25", *place]) == 0
    said = capsys.readouterr().out
    assert said.index("1.8 MB") < said.index("MIT") < said.index("ok")
    assert files(tmp_path / "mine") == ["detection_mobilenet0.25_Final.pth"]
    assert main(["models", "verify", *place]) == 0
    assert main(["models", "list", *place]) == 0
    listed = capsys.readouterr().out
    assert str(tmp_path / "mine" / "detection_mobilenet0.25_Final.pth") in listed
    for model in checkpoints.catalogue():  # what somebody without a network has to know
        assert model.urls[0] in listed and (model.sha256 or "SHA-256 not known") in listed
    assert main(["models", "where", *place]) == 0
    assert str(tmp_path / "mine") in capsys.readouterr().out


def test_download_fetches_missing_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mirror: None, tiny_checkpoint: Path
) -> None:
    draw(tmp_path / "a.png")
    argv = ["fix", str(tmp_path / "a.png"), "-o", str(tmp_path / "out"), "--model", str(tiny_checkpoint)]
    argv += ["--detector", "yunet", "--weights", str(tmp_path / "mine"), "--download"]
    assert main(argv) == 0
    assert "Fetching face_detection_yunet_2026may.onnx (0.2 MB)" in capsys.readouterr().out
    assert files(tmp_path / "mine") == ["face_detection_yunet_2026may.onnx"]


@pytest.mark.parametrize("command", ["fix", "evaluate", "models list", "models verify"])
def test_a_folder_of_model_files_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    draw(tmp_path / "a.png")
    argv = [*command.split(), *([] if "models" in command else [str(tmp_path), "-o", str(tmp_path / "out")]), "--weights"]
    assert main([*argv, str(tmp_path / "nowhere")]) == 2
    advice = "make it by `codeformer models fetch`" if "models" in command else "say --download to download into it"
    assert f"--weights {tmp_path / 'nowhere'} does not exist: correct the name, or {advice}." in capsys.readouterr().err
    assert main([*argv, str(tmp_path / "a.png")]) == 2
    assert f"--weights {tmp_path / 'a.png'} is a file, expected a folder" in capsys.readouterr().err


def test_models_fetch_without_names_shows_its_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fetch"]) == 2
    assert "usage: codeformer models fetch [-h]" in capsys.readouterr().err


def test_verify_reports_a_wrong_file_and_a_named_one_that_is_absent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "detection_Resnet50_Final.pth").write_bytes(b"half a file")
    place = ["--weights", str(tmp_path)]
    assert main(["models", "verify", *place]) == 1
    said = capsys.readouterr().out
    assert "wrong   retinaface-resnet50" in said and "absent  codeformer" in said
    assert main(["models", "verify", "yunet", *place]) == 1
    assert main(["models", "fetch", "retinaface-resnet50", *place]) == 1
    assert (tmp_path / "detection_Resnet50_Final.pth").read_bytes() == b"half a file"


def test_a_closed_pipe_ends_the_listing_quietly() -> None:
    command = f"{sys.executable} -u -m codeformer_core models list | head -n 1"
    run = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.count("\n") == 1 and run.stderr == ""


@pytest.mark.parametrize("argv", [["fix", "", "-o", "out"], ["fix", "a.png", "-o", ""]], ids=["input", "output"])
def test_an_empty_name_is_not_the_current_folder(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert "found an empty name, expected a file or folder" in capsys.readouterr().err

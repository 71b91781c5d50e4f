"""`codeformer degrade`, `evaluate` and `reconstruct`: results, and a sentence for every folder that does not fit."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from codeformer_core.cli import main
from codeformer_core.detection.faces_json import from_json

pytest.importorskip("torchmetrics", reason="needs pip install 'codeformer-suite[evaluate]'")


def save(path: Path, seed: int, side: int = 64, mode: str = "RGB") -> None:
    """A face of smooth colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).convert(mode).save(path)


@pytest.fixture
def faces(tmp_path) -> Path:
    for number in range(5):
        save(tmp_path / "faces" / f"{number}.png", number)
    return tmp_path / "faces"


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch):
    """Nothing of this machine is found, neither weights nor packages for identity."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("CODEFORMER_WEIGHTS", raising=False)
    monkeypatch.chdir(tmp_path)


def rows(folder: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (folder / "scores.csv").open() as file:
        return {(row["set"], row["image"]): row for row in csv.DictReader(file)}


def test_a_folder_is_scored_against_its_truth(faces, tmp_path, capsys):
    for number in range(5):
        save(tmp_path / "restored" / f"{number}.jpg", number + (number == 3) * 10)  # one is another face
    assert main(["evaluate", "restored", "--truth", "faces", "-o", "scores", "--device", "cpu"]) == 0
    said = capsys.readouterr()
    assert "5 images" in said.out and "PSNR ↑" in said.out and "alexnet-owt-7be5be79.pth" in said.out
    assert "landmarks is left out: it found no face" in said.out
    found = json.loads((tmp_path / "scores" / "scores.json").read_text())["sets"]["restored"]
    psnr = {image: row["PSNR"] for image, row in found["images"].items()}
    assert min(psnr, key=psnr.__getitem__) == "3" and psnr["0"] > 30
    mean = found["means"]["PSNR"]
    assert mean["value"] == pytest.approx(sum(psnr.values()) / 5) and mean["low"] < mean["value"] < mean["high"]
    assert float(rows(tmp_path / "scores")["restored", "0"]["PSNR"]) == pytest.approx(psnr["0"], rel=1e-4)
    with Image.open(tmp_path / "scores" / "sheet.png") as sheet:  # best, median, worst; restored beside the truth
        assert sheet.size == (2 * 256, 3 * 256)


def test_no_plot_of_an_earlier_evaluation_stays_beside_new_scores(faces, tmp_path, capsys):
    words = ["--truth", "faces", "--device", "cpu", "-o", "scores"]
    save(tmp_path / "restored" / "1.png", 1)
    assert main(["evaluate", "restored", "faces", *words]) == 0
    assert (tmp_path / "scores" / "plot.png").exists() and "1 image. Means" in capsys.readouterr().out
    assert main(["evaluate", "restored", *words]) == 0
    assert not (tmp_path / "scores" / "plot.png").exists() and (tmp_path / "scores" / "sheet.png").exists()


def test_identity_is_the_cosine_of_a_recogniser_in_a_file(tmp_path, data, capsys):
    onnx_files = pytest.importorskip("onnx_files", reason="the tests build networks with the package onnx")
    pytest.importorskip("onnxruntime", reason="ONNX files need the package onnxruntime")
    name = "nasa_sts114_crew_7faces"
    faces, _ = from_json((data / "faces" / f"{name}.json").read_bytes())
    with Image.open(data / "photos" / f"{name}.jpg") as photo:
        squares = [(x - size, y - size, x + size, y + size) for (x, y), size in ((face.centre, face.pixels) for face in faces)]
        people = [photo.convert("RGB").resize((160, 160), box=square) for square in squares[:2]]
    for folder in ("restored", "clear"):
        (tmp_path / folder).mkdir()
        people[0].save(tmp_path / folder / "same.png")
        people[folder == "clear"].save(tmp_path / folder / "other.png")
    words = ["evaluate", "restored", "--truth", "clear", "--detector", "mtcnn", "--device", "cpu", "-o", "scores"]
    assert main([*words, "--recogniser", str(onnx_files.recogniser(tmp_path / "arcface.onnx"))]) == 0
    found = rows(tmp_path / "scores")
    assert float(found["restored", "same"]["identity"]) == pytest.approx(1, abs=1e-4)
    assert -1 < float(found["restored", "other"]["identity"]) < 0.9
    assert json.loads((tmp_path / "scores" / "scores.json").read_text())["settings"]["recogniser"].endswith("arcface.onnx")
    for file, sentence in (
        (
            onnx_files.restorer(tmp_path / "gpen.onnx"),
            "gpen.onnx is a restorer for restoration. Needed is a recogniser: an ONNX",
        ),
        ("nowhere.onnx", "nowhere.onnx is not found."),
    ):
        assert main([*words, "--recogniser", str(file)]) == 1
        assert sentence in capsys.readouterr().err


def test_sets_without_truth_have_an_fid_when_that_is_all_there_is(faces, tmp_path, monkeypatch, capsys):
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3", reason="needs the extra [evaluate]")
    words = ["evaluate", "faces", "--reference", "faces", "--weights", ".", "--device", "cpu", "-o", "scores"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "no metric can be computed:\nNIQE needs niqe_pris" in said and "FID needs weights-inception-2015" in said
    file = tmp_path / "weights-inception-2015-12-05-6726825d.pth"
    torch.save({}, file)
    with monkeypatch.context() as patch:
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(file))
    torch.save(network.state_dict(), file)
    assert main(words) == 0
    means = json.loads((tmp_path / "scores" / "scores.json").read_text())["sets"]["faces"]["means"]
    assert list(means) == ["FID"] and means["FID"]["value"] == pytest.approx(0, abs=1e-4)


def test_degrading_restoring_and_scoring_in_one_command_is_the_same_as_one_by_one(faces, tmp_path, tiny_checkpoint):
    model = ["--model", str(tiny_checkpoint), "--device", "cpu"]
    recipe, weights = ["--seed", "3"], ["-w", "0", "-w", "1"]
    assert main(["evaluate", "--truth", "faces", "--degrade", "severe", *model, *recipe, *weights, "-o", "one"]) == 0
    assert main(["degrade", "faces", "-o", "low", "--recipe", "severe", *recipe]) == 0
    assert main(["fix", "low", "--aligned", "--always", "--colour", "as-restored", "-o", "high", *model, *weights]) == 0
    assert main(["evaluate", "high", "--truth", "faces", "--input", "low", "-o", "two"]) == 0
    one, two = rows(tmp_path / "one"), rows(tmp_path / "two")
    for ours, theirs in (("degraded", "input"), ("w = 0", "high, w = 0"), ("w = 1", "high, w = 1")):
        for image in map(str, range(5)):
            assert float(one[ours, image]["PSNR"]) == pytest.approx(float(two[theirs, image]["PSNR"]), abs=2e-3)
    for folder in ("one", "two"):
        assert (tmp_path / folder / "plot.png").is_file()


def test_another_engine_computes_what_is_scored(faces, tmp_path, tiny_checkpoint, capsys):
    pytest.importorskip("openvino", reason="needs the package openvino, the extra of that name")
    words = ["evaluate", "--truth", "faces", "--model", str(tiny_checkpoint), "--device", "cpu", "--precision", "exact"]
    for engine in ("torch", "openvino"):
        assert main([*words, "--degrade", "mild", "--engine", engine, "-o", engine]) == 0
    one, other = rows(tmp_path / "torch"), rows(tmp_path / "openvino")
    for key, row in one.items():
        assert float(other[key]["PSNR"]) == pytest.approx(float(row["PSNR"]), abs=0.05)
    assert main(["evaluate", "faces", "--truth", "faces", "--engine", "openvino"]) == 2
    assert "--engine is for --degrade" in capsys.readouterr().err


def test_a_degraded_face_depends_on_seed_and_name_alone(faces, tmp_path):
    for out, more in (("a", []), ("b", ["--seed", "1"])):
        assert main(["degrade", "faces", "-o", out, *more]) == 0
    (faces / "0.png").unlink()
    assert main(["degrade", "faces", "-o", "c"]) == 0
    a, b, c = ((tmp_path / out / "1.png").read_bytes() for out in "abc")
    assert a == c != b
    (tmp_path / "mine.toml").write_text("blur = [0.1, 0.1]\nshrink = [1, 1]\nnoise = [0, 0]\njpeg = [100, 100]\n")
    assert main(["degrade", "faces", "-o", "mild", "--recipe", "mine.toml"]) == 0
    pixels = [np.asarray(Image.open(tmp_path / folder / "2.png"), float) for folder in ("mild", "faces")]
    assert np.abs(pixels[0] - pixels[1]).mean() < 3


def wrong_size(faces: Path) -> None:
    save(faces.parent / "restored" / "1.png", 1, 32)


def other_names(faces: Path) -> None:
    save(faces.parent / "restored" / "1_fixed.png", 1)


def twice(faces: Path) -> None:
    save(faces.parent / "restored" / "1.png", 1)
    save(faces.parent / "restored" / "1.jpg", 1)


def transparent(faces: Path) -> None:
    (faces.parent / "restored").mkdir()
    Image.new("RGBA", (64, 64), (9, 9, 9, 100)).save(faces.parent / "restored" / "1.png")


def damaged(faces: Path) -> None:
    (faces.parent / "restored").mkdir()
    (faces.parent / "restored" / "1.png").write_bytes((faces / "1.png").read_bytes()[:60])


def empty(faces: Path) -> None:
    (faces.parent / "restored").mkdir()


def text_only(faces: Path) -> None:
    (faces.parent / "restored").mkdir()
    (faces.parent / "restored" / "notes.txt").write_text("none")


def a_file(faces: Path) -> None:
    (faces.parent / "restored").write_bytes((faces / "1.png").read_bytes())


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (wrong_size, "restored/1.png has 32 x 32 pixels, its truth faces/1.png has 64 x 64; expected equal sizes"),
        (other_names, "no image is in all folders under the same name (faces: 0, 1, 2, ...; restored: 1_fixed)"),
        (twice, "restored/1.jpg and restored/1.png have one name"),
        (transparent, "restored/1.png has transparent parts, expected an opaque image"),
        (damaged, "restored/1.png: damaged"),
        (empty, "restored holds no image. Found nothing"),
        (text_only, "restored holds no image. Found 1 that are neither"),
        (a_file, "restored is a file: name a folder of images"),
        (lambda faces: faces.rename(faces.parent / "restored"), "faces does not exist: name a folder of images"),
        (lambda faces: None, "restored does not exist: name a folder of images"),
    ],
)
def test_a_folder_that_does_not_fit_is_told_in_a_sentence(faces, capsys, make, sentence):
    make(faces)
    assert main(["evaluate", "restored", "--truth", "faces"]) == 1
    said = capsys.readouterr().err
    assert sentence in said and "Traceback" not in said


def test_other_sizes_grey_images_and_images_without_truth_are_scored_with_a_notice(faces, capsys):
    save(faces.parent / "restored" / "1.png", 1, 32)
    save(faces.parent / "restored" / "2.png", 2, 32, "L")
    save(faces.parent / "restored" / "other.png", 2, 32)
    assert main(["evaluate", "restored", "--truth", "faces", "--side", "32"]) == 0
    said = capsys.readouterr()
    assert "2 images." in said.out and "4 of 6 images are left out" in said.err
    assert "1 image is grey while its truth is in colour: restored/2.png" in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "name folders of restored images, or say --degrade RECIPE --truth DIR"),
        (["faces", "-w", "0.3", "--seed", "2"], "-w, --seed is for --degrade"),
        (["faces", "--recogniser", "arcface.onnx"], "--recogniser compares faces with those of the truth: say --truth DIR"),
        (["faces", "--truth", "faces", "--degrade", "mild"], "leave out --degrade, or the folders"),
        (["--degrade", "mild"], "say --truth DIR"),
        (["faces", "--truth", "faces", "-o", "faces/1.png"], "faces/1.png is a file: name a folder with -o"),
    ],
)
def test_options_that_do_not_go_together(faces, capsys, words, sentence):
    assert main(["evaluate", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_a_recipe_and_a_face_that_do_not_fit_are_told_in_a_sentence(faces, capsys):
    assert main(["degrade", "faces", "-o", "out", "--recipe", "nothing"]) == 2
    assert "Name a TOML file, or one of brush, celeba-test, faded, mild, severe." in capsys.readouterr().err
    assert main(["degrade", "faces/1.png", "-o", "out.jpg"]) == 2
    assert "out.jpg does not end in .png" in capsys.readouterr().err
    Image.new("RGB", (30, 20)).save(faces / "wide.png")
    Image.new("RGBA", (30, 30), (0, 0, 0, 0)).save(faces / "clear.png")
    assert main(["degrade", "faces", "-o", "out"]) == 1
    said = capsys.readouterr()
    assert "wide.png has 30 x 20 pixels, expected a square" in said.err and "clear.png has transparent parts" in said.err
    assert "5 of 7 done" in said.out


def test_a_codebook_draws_faces(faces, tmp_path, tiny_checkpoint, capsys):
    assert main(["reconstruct", "faces", "-o", "drawn", "--model", str(tiny_checkpoint), "--device", "cpu"]) == 0
    assert Image.open(tmp_path / "drawn" / "1.png").size == (64, 64)
    for words, sentence in (
        (["--side", "50"], "Found a side of 50 pixels; this codebook needs a multiple of 4"),
        (["--model", "retina.pth"], "retina.pth is not found"),
    ):
        assert main(["reconstruct", "faces", "-o", "other", "--model", str(tiny_checkpoint), *words]) == 2
        assert sentence in capsys.readouterr().err
    assert main(["reconstruct", "faces", "-o", "other"]) == 2
    assert "say which codebook with --model" in capsys.readouterr().err

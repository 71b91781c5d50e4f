"""Configuration, degradation and sampling of training faces."""

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from codeformer_core.cli import main
from codeformer_core.training import config, config_file, dataset, degrade
from codeformer_core.training.config import Degradation, TrainingFaces

SIDE = 64


def face(seed: int = 0, side: int = SIDE) -> np.ndarray:
    """Smooth colours with fine lines: (side, side, 3) in [0, 1]."""
    draw = np.random.default_rng(seed)
    coarse = Image.fromarray(draw.integers(0, 256, (5, 5, 3), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    lines = np.zeros((side, side, 1), np.float32)
    lines[::4] = 0.2
    return np.clip(np.asarray(coarse, np.float32) / 255 * 0.8 + lines, 0, 1).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """Ten faces."""
    for number in range(10):
        Image.fromarray((face(number) * 255).astype(np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.mark.parametrize("name", sorted(preset.stem for preset in config_file.PRESETS.glob("*.toml")))
def test_every_preset_can_be_read(name):
    assert config_file.read(name).optimiser.steps > 0


BASE = """
stage = 1
out = "o"
[faces]
folder = "f"
[network]
channels = [32, 32]
res_blocks = 1
attention = []
codebook_size = 32
code_dim = 16
code_side = 8
embed_dim = 32
layers = 1
fuse_sides = []
[optimiser]
steps = 5
"""


@pytest.mark.parametrize(
    ("was", "becomes", "sentence"),
    [
        ("stage = 1", "stage = 4", "expected one of 1, 2, 3"),
        ("stage = 1", "stage = 2", "check `start`"),
        ("stage = 1", 'stage = 3\nstart = "a"', "check `codes_from`"),
        ("stage = 1", 'stage = 1\ncodes_from = "a"', "remove `codes_from`"),
        ("steps = 5", "steps = 'many'", "steps is 'many'; expected int"),
        ("steps = 5", "step = 5", "says step; expected steps"),
        ("steps = 5", "", "does not say steps"),
        ("stage = 1", "stage = true", "stage is True; expected int"),
        ("stage = 1", "stage = 1\nthreads = '2'", "threads is '2'; expected int"),
        ('out = "o"', "out = 5", "out is 5; expected str"),
        ("attention = []", "attention = 3", "attention is 3; expected list"),
        ("attention = []", "attention = [1.5]", "attention is 1.5; expected int"),
        ("steps = 5", "steps = 5\nrate = 'fast'", "rate is 'fast'; expected float"),
        ("stage = 1", "stage = 1\nlosses = 3", "losses is 3; expected a table, [losses]"),
        ("layers = 1", "layers = 1.5", "layers is 1.5; expected int"),
        ("steps = 5", "steps = 5\n[degradation]\nblur = 3", "expected a range of two numbers"),
        ("steps = 5", "steps = 5\n[degradation]\ntask = 'magic'", "expected one of restoration"),
        ("steps = 5", "steps = 5\n[losses]\nperceptual = 1", "perceptual_file"),
        ("[faces]", "[faces", "is no TOML file"),
        ("channels = [32, 32]", "channels = [30, 32]", "multiples of 32"),
    ],
)
def test_a_wrong_configuration_is_refused(tmp_path, was, becomes, sentence):
    file = tmp_path / "run.toml"
    file.write_text(BASE.replace(was, becomes))
    with pytest.raises(ValueError, match=sentence.replace("[", r"\[")):
        config_file.read(file)


def test_single_settings_take_the_place_of_the_files(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(BASE)
    changed = config_file.read(file, ["steps=7", "faces.folder=~/my faces", "every.log = 3", "jpeg=[10, 20]", "precision=fp32"])
    assert (changed.optimiser.steps, changed.every.log, changed.degradation.jpeg) == (7, 3, (10.0, 20.0))
    assert changed.faces.folder == Path("~/my faces").expanduser() and changed.optimiser.precision == "fp32"
    for change, sentence in (
        ("step=7", "there is no setting step. Did you mean steps?"),
        ("steps", "has no value. Say --set steps=VALUE"),
        ("steps=many", "steps is 'many'; expected int"),
        ("batch=0", "Found batch = 0. Expected 1 or more"),
        ("=7", "there is no setting"),
    ):
        with pytest.raises(ValueError, match=sentence.replace("?", r"\?")):
            config_file.read(file, [change])


@pytest.mark.parametrize("name", ["starter-1", "starter-3", "colorization-2"])
def test_what_is_shown_is_the_same_configuration_and_explains_every_setting(tmp_path, name, capsys):
    assert main(["train", name, "--set", "steps=7", "--show"]) == 0
    shown = capsys.readouterr().out
    (tmp_path / "mine.toml").write_text(shown)
    assert config_file.read(tmp_path / "mine.toml") == config_file.read(name, ["steps=7"])
    for _, setting, _, told in config_file.settings():
        assert any(line.startswith((f"{setting} =", f"# {setting} =")) and told in line for line in shown.splitlines()), setting


@pytest.mark.parametrize("name", sorted(recipe.stem for recipe in config_file.RECIPES.glob("*.toml")))
def test_every_recipe_can_be_read(name):
    assert config_file.read_recipe(name).task in get_args(config.Task)


def test_the_network_layout_must_match_the_task(tmp_path):
    file = tmp_path / "run.toml"
    third = 'stage = 3\nstart = "a"\ncodes_from = "b"'
    file.write_text(
        BASE.replace("stage = 1", third).replace("fuse_sides = []", "fuse_sides = [16]") + "[degradation]\ntask='inpainting'"
    )
    with pytest.raises(ValueError, match="would be taken for one for restoration; expected one for inpainting"):
        config_file.read(file)


@pytest.mark.parametrize("task", get_args(config.Task))
def test_degradation_is_reproducible(task):
    how = Degradation(task=task, grey=0.5, tint=0.5, jitter=0.5)
    first, again, other = (degrade.degrade(face(), how, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (SIDE, SIDE, 3) and first.dtype == np.float32 and first.min() >= 0 and first.max() <= 1


def test_a_strong_degradation_loses_more_than_a_slight_one():
    slight = Degradation(blur=(0.1, 0.2), shrink=(1, 1), noise=(0, 0), jpeg=(95, 95))
    strong = Degradation(blur=(15, 15), shrink=(30, 30), noise=(20, 20), jpeg=(30, 30))
    errors = [np.abs(degrade.degrade(face(), how, np.random.default_rng(0)) - face()).mean() for how in (slight, strong)]
    assert errors[0] < 0.02 < 0.05 < errors[1]


def test_lengths_scale_with_the_face():
    """A factor of 16 of a face of 512 pixels leaves 32; one of 64 pixels is only a sixteenth as large: it keeps them."""
    how = Degradation(blur=(0.01, 0.01), shrink=(16, 16), noise=(0, 0))
    assert [degrade.degrade_small(face(side=side), how, np.random.default_rng(0)).shape[0] for side in (512, 64)] == [32, 32]


def test_grey_faces_have_equal_channels():
    grey = degrade.recolour(face(), Degradation(grey=1.0), np.random.default_rng(0))
    assert np.ptp(grey, axis=2).max() == 0


def test_brush_strokes_hide_a_part_and_nothing_else():
    hidden = degrade.degrade(face(), Degradation(task="inpainting"), np.random.default_rng(3))
    white = (hidden == 1).all(axis=2)
    assert 0.03 < white.mean() < 0.9
    assert np.array_equal(hidden[~white], face()[~white])


def sampler(folder, **changes):
    augmentation = TrainingFaces(folder, shift=0.1, zoom=0.1, colour=0.2)
    settings = {"augmentation": augmentation, "degradation": Degradation(), "side": 32, "batch": 4, "seed": 0}
    return dataset.Sampler(dataset.split(folder, 0)[0], **(settings | changes))


def test_a_step_always_sees_the_same_faces(folder):
    first, again, other = sampler(folder)(7), sampler(folder)(7), sampler(folder)(8)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.clear, other.clear)
    assert first.clear.shape == first.degraded.shape == (4, 3, 32, 32) and first.clear.abs().max() <= 1


def test_every_face_is_seen_once_before_any_is_seen_again_by_all_processes_together(folder):
    seen = [sampler(folder, batch=1, rank=rank, world=2)(step).faces.item() for step in range(5) for rank in range(2)]
    assert sorted(seen) == list(range(10))


def test_held_out_faces_are_not_trained_on(folder):
    learnt, held = dataset.split(folder, 5)
    assert [path.name for path in held] == ["0.png", "5.png"]
    assert not set(learnt) & set(held) and len(learnt) == 8


def test_faces_and_folders_that_do_not_fit_are_told_in_a_sentence(tmp_path, folder):
    Image.new("RGB", (30, 20)).save(tmp_path / "wide.png")
    Image.new("RGBA", (30, 30), (0, 0, 0, 128)).save(tmp_path / "clear.png")
    (tmp_path / "cut.png").write_bytes((folder / "0.png").read_bytes()[:100])
    for name, sentence in (
        ("wide.png", "30 x 20 pixels, expected a square: use `codeformer crop`"),
        ("clear.png", "clear.png has transparent parts, expected an opaque image"),
        ("cut.png", f"{tmp_path}/cut.png: damaged"),
    ):
        with pytest.raises(ValueError, match=sentence):
            dataset.read_face(tmp_path / name)
    (tmp_path / "empty").mkdir()
    for path, hold_out, sentence in (
        (tmp_path / "nothing", 0, "does not exist; expected a folder of aligned faces"),
        (tmp_path / "wide.png", 0, "is a file; expected a folder of aligned faces"),
        (tmp_path / "empty", 0, "holds no image"),
    ):
        with pytest.raises(ValueError, match=sentence):
            dataset.split(path, hold_out)


def test_faces_of_other_kinds_are_read_as_they_look(tmp_path):
    grey = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    Image.fromarray(grey).save(tmp_path / "sixteen.png")  # Pillow alone would cut it off at 255
    Image.fromarray((grey // 257).astype(np.uint8)).save(tmp_path / "eight.png")
    sixteen, eight = (dataset.read_face(tmp_path / f"{name}.png").astype(int) for name in ("sixteen", "eight"))
    assert sixteen.shape == (64, 64, 3) and np.abs(sixteen - eight).max() <= 1
    Image.new("RGBA", (30, 30), (1, 2, 3, 255)).save(tmp_path / "opaque.png")
    assert (dataset.read_face(tmp_path / "opaque.png") == [1, 2, 3]).all()

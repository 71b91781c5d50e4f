"""Training: trained parameters of each stage, convergence, bit-identical resuming, and files that inference loads."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from children import child
from PIL import Image

from benchmarks import claims
from codeformer_core import checkpoints
from codeformer_core.cli import main
from codeformer_core.networks.vqgan import Architecture
from codeformer_core.training import codes, distributed, losses, saving
from codeformer_core.training.config import (
    Codebook,
    Config,
    Degradation,
    Intervals,
    LossWeights,
    Optimiser,
    TrainingFaces,
)
from codeformer_core.training.config_file import read
from codeformer_core.training.learner import Run, autocast, ema_of, rate
from codeformer_core.training.run import train
from codeformer_core.training.stages import SAVED, TRAINED

ROOT = Path(__file__).resolve().parents[2]
TINY = Architecture(
    channels=(32, 32, 32, 32),
    res_blocks=1,
    attention=(),
    codebook_size=32,
    code_dim=16,
    code_side=4,
    embed_dim=64,
    layers=1,
    fuse_sides=(),
)
MILD = Degradation(blur=(0.1, 3.0), shrink=(1.0, 4.0), noise=(0.0, 5.0), jpeg=(80.0, 95.0))
ALONE = distributed.Process(0, 1, torch.device("cpu"))


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks are not worth more, and on a busy computer several threads wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> Path:
    """Two faces of smooth colours."""
    folder = tmp_path_factory.mktemp("faces")
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(pixels).resize((48, 48), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


def told(faces: Path, out: Path, stage: int = 1, **changes) -> Config:
    """A tiny run: faces of 32 pixels."""
    base = Config(
        stage=stage,
        out=out,
        faces=TrainingFaces(faces),
        network=replace(TINY, fuse_sides=(16,)) if stage == 3 else TINY,
        optimiser=Optimiser(steps=6, batch=2, rate=2e-3, last_rate=2e-3, precision="fp32", average=0.5),
        start=None if stage == 1 else out.parent / f"{stage - 1}" / "network.pth",
        codes_from=out.parent / "1" / "network.pth" if stage == 3 else None,
        degradation=MILD,
        losses=LossWeights(structure=1.0, adversarial_from=2),
        every=Intervals(log=1, checkpoint=2, sheet=1000),
        threads=1,
    )
    return replace(base, **changes)


def toml(value: object) -> str:
    """A configuration as the file that it could come from."""
    tables, lines = [], []
    for each in fields(value):
        found = getattr(value, each.name)
        if is_dataclass(found):
            tables.append(f"[{each.name}]\n{toml(found)}")
        elif found is not None:
            lines.append(f"{each.name} = {json.dumps(str(found) if isinstance(found, Path) else found)}")
    return "\n".join(lines + tables) + "\n"


def command(config: Config, file: Path) -> list[str]:
    """What a user calls for a run."""
    file.write_text(toml(config))
    assert read(file) == config
    return [sys.executable, "-m", "codeformer_core", "train", str(file), "--quiet"]


@pytest.fixture(scope="module")
def trained(faces, tmp_path_factory) -> Path:
    """A folder with the stages 1, 2 and 3 of a run that learnt two faces: `trained / "1" / "network.pth"`."""
    folder = tmp_path_factory.mktemp("runs")
    torch.set_num_threads(1)
    for stage, steps in ((1, 80), (2, 30), (3, 50)):
        precision = "bf16" if stage == 3 else "fp32"
        how = Optimiser(steps=steps, batch=2, rate=3e-3, last_rate=3e-3, precision=precision, average=0.9)
        change = {"codebook": Codebook(continuous=20, revive=25)} if stage == 1 else {}
        change["losses"] = LossWeights(structure=1.0, adversarial=0.0)
        train(told(faces, folder / str(stage), stage, optimiser=how, every=Intervals(log=1), **change), quiet=True)
    return folder


def history(folder: Path) -> list[dict[str, float]]:
    """The log of a run."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("precision", "gains", "enabled"), [("auto", True, True), ("auto", False, False), ("bf16", False, True)]
)
def test_a_processor_that_emulates_bfloat16_trains_in_float32(monkeypatch, precision, gains, enabled):
    monkeypatch.setattr("codeformer_core.networks.precision._processor_gains", lambda: gains)
    with autocast(precision, torch.device("cpu")):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == (torch.bfloat16 if enabled else torch.float32)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_step_updates_the_trained_parameters_only(faces, trained, stage):
    run = Run(told(faces, trained / str(stage), stage), ALONE)
    before = {name: value.clone() for name, value in run.stage.network.state_dict().items()}
    for step in range(2):  # at the very first step of stage III the fusion's last layers, which begin at zero, hide the others
        run.learn(run.sampler(step))
    moved = {name for name, value in run.stage.network.state_dict().items() if not torch.equal(value, before[name])}
    expected = {name for name in before if name.split(".")[0] in TRAINED[stage]}
    assert moved == expected
    assert {name.split(".")[0] for name in moved} == set(TRAINED[stage]) - (set() if stage == 3 else {"fuse_convs_dict"})


def test_the_discriminator_takes_part_from_its_step_on(faces, tmp_path):
    run = Run(told(faces, tmp_path), ALONE)
    assert run.discriminator is not None
    before = [parameter.clone() for parameter in run.discriminator.parameters()]
    assert "adversarial" not in run.learn(run.sampler(0)) | run.learn(run.sampler(1))
    assert all(map(torch.equal, before, run.discriminator.parameters()))
    assert {"adversarial", "discriminator"} <= run.learn(run.sampler(2)).keys()
    assert not all(map(torch.equal, before, run.discriminator.parameters()))


def test_the_adaptive_weight_balances_the_gradients():
    last = torch.tensor([3.0, 4.0], requires_grad=True)
    weight = losses.adaptive_weight((2 * last).sum(), (0.5 * last).sum(), last)
    assert weight.item() == pytest.approx(4, rel=1e-3)


@pytest.mark.parametrize(("stage", "names"), [(1, ("pixel", "structure")), (2, ("token", "feature")), (3, ("pixel", "token"))])
def test_two_faces_are_overfitted(trained, stage, names):
    log = history(trained / str(stage))
    for name in names:
        start, end = (np.mean([row[name] for row in part]) for part in (log[:3], log[-5:]))
        assert end < 0.75 * start, (name, start, end)


def test_the_codebook_is_initialised_by_k_means(trained):
    log = history(trained / "1")
    assert "code" not in log[19] and log[20]["code"] < 0.5


def test_codes_are_predicted_by_the_end(trained):
    assert history(trained / "2")[-1]["agreement"] > 0.6 > history(trained / "2")[0]["agreement"]


def test_a_killed_run_resumes_bit_identically(faces, tmp_path):
    endless = told(faces, tmp_path / "killed", codebook=Codebook(continuous=1, revive=2))
    endless = replace(endless, optimiser=replace(endless.optimiser, steps=10**6))
    log, deadline = tmp_path / "killed" / "log.jsonl", time.monotonic() + 120
    with child(command(endless, tmp_path / "run.toml"), stdout=None, stderr=None):  # killed when the log has three lines
        while not (log.is_file() and log.read_text().count("\n") >= 3) and time.monotonic() < deadline:
            time.sleep(0.01)
    state = saving.load(tmp_path / "killed" / "state.pt")
    assert state and state["step"] % 2 == 0
    for name in ("killed", "whole"):
        ends = replace(endless.optimiser, steps=state["step"] + 3)
        train(replace(endless, out=tmp_path / name, optimiser=ends), quiet=True)
    assert len(history(tmp_path / "whole")) == state["step"] + 3
    assert history(tmp_path / "killed") == history(tmp_path / "whole")
    first, second = (checkpoints.read(tmp_path / name / "network.pth") for name in ("killed", "whole"))
    assert all(torch.equal(first[name], second[name]) for name in second)


def test_sigterm_saves_the_last_step(faces, tmp_path):
    endless = told(faces, tmp_path / "run", every=Intervals(log=1, checkpoint=10**6, sheet=10**6))
    endless = replace(endless, optimiser=replace(endless.optimiser, steps=10**6))
    log, deadline = tmp_path / "run" / "log.jsonl", time.monotonic() + 120
    with child(command(endless, tmp_path / "run.toml"), stdout=None, stderr=None) as process:
        while not (log.is_file() and "\n" in log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    state = saving.load(tmp_path / "run" / "state.pt")
    assert state and 0 < state["step"] == history(tmp_path / "run")[-1]["step"] + 1


def test_the_handlers_of_the_caller_are_restored(faces, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    train(told(faces, tmp_path), quiet=True)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_state_of_another_run_is_refused(faces, tmp_path):
    train(told(faces, tmp_path, optimiser=Optimiser(steps=1, batch=2)), quiet=True)
    with pytest.raises(ValueError, match="holds another run"):
        train(told(faces, tmp_path, seed=1), quiet=True)


def test_a_run_is_not_resumed_with_faces_held_out_that_it_may_have_been_trained_on(faces, tmp_path):
    """Another hold_out makes them so, and another number of files in the folder."""
    folder = tmp_path / "faces"
    folder.mkdir()
    for number in range(5):
        shutil.copy(faces / "0.png", folder / f"{number}.png")

    def trained(hold_out: int, steps: int) -> int:
        config = told(folder, tmp_path / "run", optimiser=replace(told(folder, tmp_path).optimiser, steps=steps))
        return train(replace(config, faces=TrainingFaces(folder, hold_out=hold_out)), quiet=True)

    assert trained(2, 2) == 2  # 0, 2 and 4 are held out
    with pytest.raises(ValueError, match=r"evaluated on 1 that it may have been trained on, such as 3.png. Keep hold_out and"):
        trained(3, 4)
    assert trained(4, 4) == 4, "0 and 4 were held out before"
    shutil.copy(faces / "0.png", folder / "!.png")
    with pytest.raises(ValueError, match="evaluated on 2 that it may have been trained on, such as !.png"):
        trained(4, 6)
    assert trained(0, 6) == 6, "on none"


def test_an_adversarial_loss_can_join_a_run_and_leave_it(faces, tmp_path):
    without, how = LossWeights(structure=1.0, adversarial=0.0), told(faces, tmp_path).optimiser
    for steps, weights in ((2, without), (4, told(faces, tmp_path).losses), (6, without)):
        assert train(told(faces, tmp_path, losses=weights, optimiser=replace(how, steps=steps)), quiet=True) == steps
    joined = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert ["adversarial" in line for line in joined] == [False, False, True, True, False, False]


@pytest.mark.parametrize("kind", ["cut off", "empty", "a text", "weights"])
def test_a_damaged_state_is_named_with_what_to_do(faces, tmp_path, kind):
    train(told(faces, tmp_path), quiet=True)
    state = tmp_path / "state.pt"
    whole = state.read_bytes()
    weights = (tmp_path / "network.pth").read_bytes()
    state.write_bytes({"cut off": whole[: len(whole) // 2], "empty": b"", "a text": b"hello", "weights": weights}[kind])
    with pytest.raises(ValueError, match=r"state.pt is damaged, or no file of a run. Delete it|holds another run \(of another"):
        train(told(faces, tmp_path, optimiser=replace(told(faces, tmp_path).optimiser, steps=8)), quiet=True)


@pytest.mark.parametrize("error", [torch.cuda.OutOfMemoryError("CUDA out of memory."), RuntimeError("can't allocate memory")])
def test_a_state_for_which_there_is_no_memory_is_not_called_damaged(tmp_path, monkeypatch, error):
    """Whoever had followed the advice would have deleted the run."""

    def fail(*_, **__):
        raise error

    saving.save({"a": torch.ones(3)}, tmp_path / "state.pt")
    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(type(error), match=str(error)):
        saving.load(tmp_path / "state.pt")


def test_the_ema_decay_warms_up():
    network = torch.nn.Linear(2, 2)
    ema = ema_of(network, decay=0.3)
    expected = network.weight.detach().clone()
    for step in range(6):
        torch.nn.init.normal_(network.weight)
        expected.lerp_(network.weight.detach(), 1 - min(0.3, (1 + step) / (10 + step)))
        ema.update_parameters(network)
    assert torch.equal(ema.module.weight, expected)


def test_the_state_file_keeps_its_layout_and_the_ema_resumes(faces, tmp_path):
    """Version 0.1.0 wrote the EMA as named parameters, without a count, which follows from the step; and not `held_out`."""
    first = Run(told(faces, tmp_path), ALONE)
    for step in range(3):
        first.learn(first.sampler(step))
    state = first.state()
    assert state.pop("held_out") == []
    keys = {"same", "step", "network", "average", "used", "optimiser", "discriminator", "critic"}
    assert state.keys() == keys and state["average"].keys() == dict(first.stage.network.named_parameters()).keys()
    saving.save(state, tmp_path / "state.pt")
    second = Run(told(faces, tmp_path), ALONE)
    second.resume(saving.load(tmp_path / "state.pt"))
    for run in (first, second):
        run.learn(run.sampler(3))
    assert second.ema.n_averaged == first.ema.n_averaged == 5
    averages = [run.ema.module.state_dict() for run in (first, second)]
    assert all(torch.equal(averages[0][name], averages[1][name]) for name in averages[0])


def test_files_are_written_atomically(tmp_path):
    saving.save({"a": torch.ones(3)}, tmp_path / "state.pt")

    class Unsaveable:
        def __reduce__(self):
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError, match="disk is full"):
        saving.save({"a": Unsaveable()}, tmp_path / "state.pt")
    assert torch.equal(saving.load(tmp_path / "state.pt")["a"], torch.ones(3))


def test_two_processes_train_like_one(faces, trained, tmp_path):
    """Two gloo processes that see one face each move as one process that sees both."""
    one = told(faces, tmp_path / "one", 2, start=trained / "1" / "network.pth")
    one = replace(one, optimiser=replace(one.optimiser, steps=3))
    train(one, quiet=True)
    two = replace(one, out=tmp_path / "two", optimiser=replace(one.optimiser, batch=1))
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*launch, *command(two, tmp_path / "two.toml")[2:]], cwd=ROOT, env=environment, check=True, timeout=300)
    begun = checkpoints.read(one.start)
    ways = []
    for name in ("one", "two"):
        ended = checkpoints.read(tmp_path / name / "network.pth")
        ways.append(torch.cat([(ended[key] - begun[key]).flatten() for key in begun if key.startswith("encoder.")]))
    assert torch.cosine_similarity(*ways, dim=0) > 0.95  # not 1: Adam makes steps of roundings where there is no gradient


def test_codes_of_unaugmented_faces_are_cached(faces, trained):
    run = Run(told(faces, trained / "2", 2), ALONE)
    batch = run.sampler(5)
    assert run.stage.table is not None and run.stage.table.shape == (2, 2, 16)
    looked_up = run.stage.table[batch.faces, batch.mirrored.long()]
    assert torch.equal(looked_up, run.stage.true_codes(batch.clear))
    varied = replace(told(faces, trained / "2", 2), faces=TrainingFaces(faces, zoom=0.1))
    assert Run(varied, ALONE).stage.table is None


def test_cached_codes_serve_the_same_faces_and_weights_only(faces, trained, tmp_path):
    own = tmp_path / "faces"
    shutil.copytree(faces, own)
    kept = tmp_path / "out" / "codes.pt"

    def table(start=trained / "1" / "network.pth"):
        return Run(replace(told(own, tmp_path / "out", 2), start=start), ALONE).stage.table

    (tmp_path / "out").mkdir()
    first = table()
    wrong = torch.load(kept, weights_only=True)
    saving.save(wrong | {"codes": torch.zeros_like(wrong["codes"])}, kept)
    assert not table().any()  # taken from the file
    changed = checkpoints.read(trained / "1" / "network.pth")
    changed["quantize.embedding.weight"] = changed["quantize.embedding.weight"].flip(0)
    torch.save({"params_ema": changed}, tmp_path / "other.pth")
    assert torch.equal(table(tmp_path / "other.pth"), TINY.codebook_size - 1 - first)
    saving.save(wrong | {"codes": torch.zeros_like(wrong["codes"])}, kept)
    for face in own.iterdir():
        Image.open(face).rotate(90).save(face)
    assert table().any()


def test_the_fingerprint_of_cached_codes_depends_on_files_side_and_weights(tmp_path):
    face, weights = tmp_path / "face.png", [torch.ones(2), torch.zeros(3)]
    face.write_bytes(b"one")
    before = codes.fingerprint([face], 64, weights)
    assert codes.fingerprint([face], 64, [one.clone() for one in weights]) == before
    assert codes.fingerprint([face], 32, weights) != before
    assert codes.fingerprint([face], 64, [torch.ones(2), torch.ones(3)]) != before
    face.write_bytes(b"another")
    assert codes.fingerprint([face], 64, weights) != before


@pytest.mark.parametrize(("task", "entries"), [("colorization", 32), ("inpainting", 512)])
def test_the_other_tasks_are_trained_and_their_files_do_them(faces, tmp_path, task, entries):
    how = Degradation(task=task, grey=1.0)
    for stage in (1, 2, 3):
        network = replace(TINY, codebook_size=entries, fuse_sides=(8,) if stage == 3 else ())
        settings = {"network": network, "degradation": how, "optimiser": Optimiser(steps=2, batch=2)}
        train(told(faces, tmp_path / str(stage), stage, **settings), quiet=True)
    network = checkpoints.load(tmp_path / "3" / "network.pth")
    assert network.task == task
    crops = torch.rand(1, 3, 32, 32)
    done = network.colorize(crops) if task == "colorization" else network.inpaint(crops, torch.ones(1, 1, 32, 32))
    assert done.shape == crops.shape and done.isfinite().all()


def test_a_stage_starts_from_the_one_before_only(faces, trained, tmp_path):
    with pytest.raises(ValueError, match="lacks parts of stage 2"):
        Run(told(faces, tmp_path, 3, start=trained / "1" / "network.pth", codes_from=trained / "1" / "network.pth"), ALONE)
    wide = replace(TINY, code_dim=32)
    with pytest.raises(ValueError, match=r"does not fit \[network\]"):
        Run(told(faces, tmp_path, 2, start=trained / "1" / "network.pth", network=wide), ALONE)


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_a_whole_restorer_can_be_fine_tuned_from_each_stage(faces, trained, tmp_path, stage):
    whole = checkpoints.read(trained / "3" / "network.pth")
    codebook = {name: value + 0.01 for name, value in checkpoints.read(trained / "1" / "network.pth").items()}
    torch.save({"params_ema": codebook}, tmp_path / "codebook.pth")
    given = {"start": trained / "3" / "network.pth", "codes_from": tmp_path / "codebook.pth" if stage > 1 else None}
    run = Run(told(faces, tmp_path, stage, **given), ALONE)
    run.save()
    begun = checkpoints.read(tmp_path / "network.pth")
    assert {name.split(".")[0] for name in begun} == set(SAVED[stage])
    for name, value in begun.items():
        of_codebook = stage > 1 and name.split(".")[0] in ("quantize", "generator")
        assert torch.equal(value, codebook[name] if of_codebook else whole[name]), name
    if run.stage.encoder is not None:
        assert all(torch.equal(value, codebook[f"encoder.{name}"]) for name, value in run.stage.encoder.state_dict().items())


def test_the_codes_of_clear_faces_come_from_no_encoder_of_degraded_ones(faces, trained, tmp_path):
    for start in ("2", "3"):
        with pytest.raises(ValueError, match="Name the network.pth of stage 1"):
            Run(told(faces, tmp_path, 2, start=trained / start / "network.pth"), ALONE)


def test_a_contact_sheet_shows_clear_degraded_and_generated_faces(faces, trained):
    sheet = Image.open(trained / "3" / "sheets" / "0000050.png")
    assert sheet.size == (2 * 32, 3 * 32)
    drawn, clear = (np.asarray(sheet, float)[rows] for rows in (slice(64, 96), slice(0, 32)))
    assert np.abs(drawn - clear).mean() < 60


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_held_out_faces_are_scored_while_it_trains_and_change_nothing(faces, trained, tmp_path, stage):
    for number in (1, 2):
        shutil.copytree(
            trained / str(number), tmp_path / str(number), ignore=lambda *_: ["state.pt", "log.jsonl", "tensorboard"]
        )
    run = told(faces, tmp_path / "run", stage)
    run = replace(run, faces=TrainingFaces(faces, hold_out=2), every=Intervals(log=1, checkpoint=9, sheet=9, validation=2))
    run = replace(run, start=tmp_path / f"{stage - 1}" / "network.pth" if stage > 1 else None)
    train(run, quiet=True)
    scored = [row for row in history(run.out) if "validation PSNR" in row]
    assert [row["step"] for row in scored] == [1, 3, 5]
    assert ("validation agreement" in scored[0]) == (stage > 1) and all(5 < row["validation PSNR"] < 60 for row in scored)
    train(replace(run, out=tmp_path / "unscored", every=replace(run.every, validation=0)), quiet=True)
    assert [row for row in history(run.out) if row not in scored] == history(tmp_path / "unscored")


def test_a_run_needs_faces_that_are_not_held_out(faces, tmp_path):
    with pytest.raises(ValueError, match="hold_out = 1 leaves no face to train with"):
        train(replace(told(faces, tmp_path / "run"), faces=TrainingFaces(faces, hold_out=1)), quiet=True)


@pytest.mark.parametrize("wrong", ["no folder", "no face", "nothing to start from", "a damaged face"])
def test_a_run_that_trains_nothing_leaves_no_folder(faces, tmp_path, wrong):
    folder, run = tmp_path / "faces", told(faces, tmp_path / "runs" / "1")
    if wrong == "nothing to start from":
        run = replace(run, stage=2, start=tmp_path / "absent.pth")
    else:
        if wrong != "no folder":
            folder.mkdir()
        if wrong == "a damaged face":
            (folder / "0.png").write_bytes(b"PNG")
        run = replace(run, faces=TrainingFaces(folder))
    before = set(tmp_path.iterdir())
    for _ in range(2):  # of new folders, and of one that was there
        with pytest.raises((ValueError, OSError)):
            train(run, quiet=True)
        assert set(tmp_path.iterdir()) == before
        run = replace(run, out=tmp_path / "mine")
        run.out.mkdir(exist_ok=True)
        before.add(run.out)


def test_the_log_is_there_for_tensorboard_too(trained):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="needs tensorboard")
    events = reader.EventAccumulator(str(trained / "1" / "tensorboard"))
    events.Reload()
    logged = {row["step"]: row["pixel"] for row in history(trained / "1")}
    assert {event.step: event.value for event in events.Scalars("pixel")} == pytest.approx(logged, rel=1e-4)


def test_a_codebook_of_stage_one_draws_the_faces_that_it_has_learnt(trained, faces, tmp_path):
    codebook = ["--model", str(trained / "1" / "network.pth"), "--side", "32", "--device", "cpu"]
    assert main(["reconstruct", str(faces), "-o", str(tmp_path), *codebook]) == 0
    for name in ("0.png", "1.png"):
        drawn, face = Image.open(tmp_path / name), Image.open(faces / name)
        assert drawn.size == (32, 32)
        difference = np.asarray(drawn, float) - np.asarray(face.resize((32, 32), Image.Resampling.BOX), float)
        assert np.abs(difference).mean() < 20


def test_the_perceptual_loss_needs_a_file_and_sees_differences(tmp_path):
    from torchvision.models import vgg

    torch.manual_seed(0)
    features = vgg.make_layers(vgg.cfgs["D"])
    torch.save({f"features.{name}": value for name, value in features.state_dict().items()}, tmp_path / "vgg16.pth")
    distance = losses.Perceptual(tmp_path / "vgg16.pth")
    a, b = torch.rand(2, 1, 3, 32, 32)
    assert distance(a, a).item() == 0 < distance(a, b).item()


def test_the_learning_rate_warms_up_and_decays():
    how = Optimiser(steps=100, rate=1.0, last_rate=0.1, warm_up=10)
    assert [rate(step, how) for step in (0, 9, 10, 55, 100)] == pytest.approx([0.1, 1.0, 1.0, 0.55, 0.1])


def test_a_loss_that_is_not_finite_stops_the_run(faces, tmp_path):
    with pytest.raises(FloatingPointError, match="is not finite"):
        train(told(faces, tmp_path, losses=LossWeights(structure=float("nan"))), quiet=True)
    assert not (tmp_path / "network.pth").exists()


def test_the_command_resumes_and_reports(faces, tmp_path, capsys):
    for steps in (1, 2):
        command(told(faces, tmp_path / "run", optimiser=Optimiser(steps=steps, batch=2)), tmp_path / "run.toml")
        assert main(["train", str(tmp_path / "run.toml")]) == 0
    assert f"stage 1, 2 of 2 steps -> {tmp_path / 'run' / 'network.pth'}" in capsys.readouterr().out
    command(told(faces, tmp_path / "run", optimiser=Optimiser(steps=1, batch=2)), tmp_path / "run.toml")
    assert main(["train", str(tmp_path / "run.toml")]) == 0
    assert "holds a run of 2 steps already, more than steps = 1: nothing was trained" in capsys.readouterr().out


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["train", str(tmp_path / "none.toml")]) == 2
    assert "does not exist. Name a TOML file, or one of" in capsys.readouterr().err
    command(told(tmp_path, tmp_path / "run"), tmp_path / "run.toml")
    assert main(["train", str(tmp_path / "run.toml")]) == 1
    assert "holds no image" in capsys.readouterr().err


@pytest.mark.parametrize("stage", [2, 3])
def test_a_trained_network_restores(trained, faces, tmp_path, stage):
    out, weights = tmp_path / "out.png", trained / str(stage) / "network.pth"
    assert main(["fix", str(faces / "0.png"), "-o", str(out), "--aligned", "--model", str(weights), "-w", "1", "-q"]) == 0
    fixed, given = (np.asarray(Image.open(path).convert("RGB").resize((32, 32)), float) for path in (out, faces / "0.png"))
    assert Image.open(out).size == Image.open(faces / "0.png").size  # never fewer pixels than came in
    assert 0.5 < np.abs(fixed - given).mean() < 60


def test_a_codebook_alone_is_no_restorer_yet(trained, faces, tmp_path, capsys):
    weights = str(trained / "1" / "network.pth")
    assert main(["fix", str(faces / "0.png"), "-o", str(tmp_path), "--aligned", "--model", weights]) == 1
    assert "position_emb is missing" in capsys.readouterr().err


def test_faces_are_cut_out_of_photos(shared, tmp_path):
    photos, weights = shared / "data" / "photos", shared / "data" / "detectors"
    how = ["--side", "64", "--detector", "retinaface-mobile0.25", "--weights", str(weights), "--device", "cpu", "-q"]
    crop = ["crop", str(photos / "nasa_sts114_crew_7faces.jpg"), "-o", str(tmp_path), *how]
    assert main([*crop, "--count", "3"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"nasa_sts114_crew_7faces_{n:02d}.png" for n in (1, 2, 3)]
    assert all(Image.open(path).size == (64, 64) for path in tmp_path.iterdir())
    assert main(crop) == 0 and len(list(tmp_path.iterdir())) == 7  # three were done before
    assert main(["crop", str(photos), "-o", str(tmp_path / "one.png"), *how]) == 2


def test_the_claims_are_measured_and_written(trained, faces, tmp_path, monkeypatch):
    paths = [trained / "3" / "network.pth", trained / "1" / "network.pth", faces, tmp_path / "claims.md"]
    monkeypatch.setattr(sys, "argv", ["claims", *map(str, paths), "--hold-out", "1"])
    claims.main()
    text = (tmp_path / "claims.md").read_text()
    assert text.startswith("Means over 2 faces")
    assert all(f"### ({name})" in text for name in "abcd") and "| w = 0.75 |" in text and "nan" not in text
    assert Image.open(tmp_path / "claims_severe.png").size == (2 * 32, 6 * 32)


def test_a_claim_holds_only_where_every_number_says_so():
    good = {"PSNR": 20.0, "SSIM": 0.6, "crispness": 0.8, "distance": 1.0} | dict.fromkeys(claims.AS_A_SET, 1.0)
    bad = {"PSNR": 19.0, "SSIM": 0.5, "crispness": 0.4, "distance": 2.0} | dict.fromkeys(claims.AS_A_SET, 2.0)
    names = ("degraded (bilinear)", "bicubic", "restored, w = 0.0", "restored, w = 0.5", "restored, w = 1.0")
    tables = {
        "a": {"transformer": {"any": 10.0, "severe": 10.0}, "nearest": {"any": 5.0, "severe": 8.0}},
        "b": {f"w = {w}": {"PSNR": 20 + w, "distance": 2 - w} for w in claims.WEIGHTS},
        "c": dict(zip(names, (bad, bad, bad, good, good), strict=True)),
        "d": {"codes, predicted": good, "continuous latent": bad},
    }
    assert claims.holds(tables) == {"a": False, "b": True, "c": True, "d": True}
    tables["c"]["restored, w = 0.5"] = good | {"SSIM": 0.4}
    assert not claims.holds(tables)["c"]

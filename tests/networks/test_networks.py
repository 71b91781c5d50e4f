"""Loading the family of networks from any of its state dicts, and what CodeFormer promises beyond parity."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from codeformer_core import checkpoints, networks
from codeformer_core.networks.codeformer import CodeFormer
from codeformer_core.networks.encoded import join_encoded
from codeformer_core.networks.transformer import join_attention, split_attention
from codeformer_core.networks.vqgan import Architecture

SMALL = {
    "fewer channels": Architecture((32, 32, 64), 2, (2,), 64, 32, 16, 64, 2, (32,)),
    "one layer": Architecture((32, 64), 1, (1,), 16, 32, 16, 128, 1, (32,)),
    "no attention in the last level": Architecture((32, 64, 64), 1, (), 16, 64, 8, 64, 3, (16, 32)),
    "attention in two levels": Architecture((32, 32, 32), 2, (1, 2), 16, 32, 4, 64, 1, ()),
}


def state_of(architecture: Architecture) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return join_attention(CodeFormer(architecture).state_dict())


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint) -> CodeFormer:
    return checkpoints.load(tiny_checkpoint)


@pytest.fixture
def crops(tiny) -> torch.Tensor:
    return torch.rand(3, 3, tiny.side, tiny.side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("architecture", SMALL.values(), ids=SMALL)
def test_the_architecture_is_read_from_the_tensors(architecture):
    network = networks.load(state_of(architecture))
    assert network.arch == architecture
    assert network.restore(torch.rand(1, 3, network.side, network.side), 0.5).shape == (1, 3, network.side, network.side)


def test_attention_survives_the_round_trip():
    state = state_of(SMALL["fewer channels"])
    assert "ft_layers.0.self_attn.in_proj_weight" in state
    again = join_attention(split_attention(state))
    assert again.keys() == state.keys() and all(torch.equal(again[key], state[key]) for key in state)


def test_half_precision_weights_compute_in_single():
    network = networks.load({key: value.half() for key, value in state_of(SMALL["fewer channels"]).items()})
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda state: state.pop("generator.blocks.0.bias"), "generator.blocks.0.bias"),
        (lambda state: state.pop("encoder.blocks.2.conv2.weight"), "encoder.blocks.2.conv2.weight"),
        (lambda state: state.update({"extra.weight": torch.zeros(1)}), "extra.weight"),
        (lambda state: state.update({"feat_emb.bias": torch.zeros(3)}), "feat_emb.bias"),
    ],
    ids=["missing", "missing from the layout", "superfluous", "another shape"],
)
def test_loading_is_strict(change, says):
    state = state_of(SMALL["fewer channels"])
    change(state)
    with pytest.raises(ValueError, match=says.replace(".", r"\.")) as error:
        networks.load(state, name="codeformer.pth")
    assert "codeformer.pth looks like CodeFormer but does not fit" in str(error.value)


def test_an_unknown_file_is_refused():
    with pytest.raises(ValueError, match="not a network this pack knows .*It has 1 tensors, the first are weight"):
        networks.load({"weight": torch.zeros(1)}, name="other.pth")


def test_another_task_is_refused(filled):
    network = networks.load(filled("inpainting"))
    with pytest.raises(ValueError, match="the inpainting checkpoint .*restoration was asked for: choose codeformer.pth"):
        network.restore(torch.zeros(1, 3, 512, 512), 0.5)


@pytest.fixture(scope="module")
def colorizer() -> CodeFormer:
    """A small network that fuses below half the side, as colorization does."""
    return networks.load(state_of(Architecture((32, 32, 32, 64), 1, (3,), 64, 32, 8, 64, 1, (16,))))


@pytest.fixture(scope="module")
def inpainter() -> CodeFormer:
    """The same with the codebook of inpainting."""
    return networks.load(state_of(Architecture((32, 32, 32, 64), 1, (3,), 512, 32, 8, 64, 1, (16,))))


def test_colorizing_is_the_network_without_fidelity(colorizer, crops):
    assert colorizer.task == "colorization" and colorizer.side == 64
    with torch.inference_mode():
        expected = ((colorizer(crops * 2 - 1, 0.0, match_style=True) + 1) / 2).clamp(0, 1)
    assert torch.allclose(colorizer.colorize(crops), expected, atol=1e-6)


def test_inpainting_keeps_what_is_known(inpainter, crops):
    holes = torch.zeros(3, 1, 64, 64)
    holes[:, :, 20:40, 10:30] = 1
    filled = inpainter.inpaint(crops, holes)
    known = (holes == 0).expand_as(crops)
    assert torch.equal(filled[known], crops[known])
    assert not torch.allclose(filled[~known], crops[~known], atol=0.01)


def test_inpainting_does_not_see_what_the_hole_covers(inpainter, crops):
    holes = torch.zeros(3, 1, 64, 64)
    holes[:, :, 20:40, 10:30] = 1
    scribbled = torch.where(holes > 0, torch.rand_like(crops), crops)
    assert torch.equal(inpainter.inpaint(crops, holes), inpainter.inpaint(scribbled, holes))


@pytest.mark.parametrize("call", ["restore", "colorize", "inpaint", "sweep"])
def test_each_task_refuses_the_weights_of_another(call, tiny, colorizer, inpainter):
    arguments = {"inpaint": (torch.zeros(1, 1, 64, 64),), "sweep": ((0.5,),)}.get(call, ())
    wrong = colorizer if call in ("restore", "inpaint", "sweep") else tiny
    with pytest.raises(ValueError, match="was asked for: choose codeformer"):
        getattr(wrong, call)(torch.zeros(1, 3, 64, 64), *arguments)


def test_a_sweep_is_its_weights_one_by_one(tiny, crops):
    sweep = tiny.sweep(crops, (0.0, 0.3, 1.0))
    assert sweep.shape == (3, 3, 3, tiny.side, tiny.side)
    for index, fidelity in enumerate((0.0, 0.3, 1.0)):
        assert torch.allclose(sweep[:, index], tiny.restore(crops, fidelity), atol=1e-5)


def test_a_sweep_encodes_once(tiny, crops):
    calls = []
    handle = tiny.encoder.register_forward_hook(lambda *_: calls.append(1))
    try:
        tiny.sweep(crops, (0.0, 0.25, 0.5, 0.75, 1.0))
    finally:
        handle.remove()
    assert len(calls) == 1


def test_certainty_is_the_probability_of_the_chosen_code(tiny, crops):
    sure = tiny.certainty(crops)
    assert sure.shape == (3, 1, 16, 16)
    with torch.inference_mode():
        probabilities = tiny.predict(tiny.encode(crops * 2 - 1)[0]).softmax(2)
    assert torch.allclose(sure.flatten(1), probabilities.max(2).values, atol=1e-6)
    assert sure.min() >= 1 / 64 and sure.max() <= 1


def test_no_fidelity_means_no_fusion(tiny, crops):
    calls = []
    handles = [block.register_forward_hook(lambda *_: calls.append(1)) for block in tiny.fuse_convs_dict.values()]
    try:
        tiny.restore(crops, 0.0)
        tiny.restore(crops, torch.zeros(3))
        assert not calls
        tiny.restore(crops, 0.5)
        assert calls
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.skipif(not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++"))), reason="needs a C++ compiler")
def test_a_compiled_network_restores_the_same():
    state = state_of(SMALL["one layer"])  # every kind of layer, and few of each: compiling takes long
    plain, compiled = networks.load(state), networks.load(state).compiled()
    crops = torch.rand(1, 3, plain.side, plain.side, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(compiled.restore(crops, 0.5), plain.restore(crops, 0.5), atol=1e-4)


def test_fidelity_per_face(tiny, crops):
    together = tiny.restore(crops, torch.tensor([0.0, 0.4, 1.0]))
    for index, fidelity in enumerate((0.0, 0.4, 1.0)):
        assert torch.allclose(together[index], tiny.restore(crops[index : index + 1], fidelity)[0], atol=1e-5)
    assert not torch.allclose(together[1], tiny.restore(crops[1:2], 0.9)[0], atol=1e-3)


def test_one_fidelity_in_a_tensor_serves_every_face(tiny, crops):
    assert torch.equal(tiny.restore(crops, torch.tensor([0.4])), tiny.restore(crops, 0.4))


def test_fidelity_as_a_map(tiny, crops):
    flat = torch.full((3, 1, 20, 20), 0.4)
    assert torch.allclose(tiny.restore(crops, flat), tiny.restore(crops, 0.4), atol=1e-5)
    left = torch.zeros(3, 1, 20, 20)
    left[..., :8] = 1
    painted, plain = tiny.restore(crops, left), tiny.restore(crops, 0.0)
    changed = (painted - plain).abs().mean(dim=(0, 1, 2))
    # Group normalisation behind the fusion spreads a little of it over the whole face.
    assert changed[: tiny.side // 4].mean() > 1.5 * changed[-tiny.side // 4 :].mean()


@pytest.mark.parametrize("shape", [(2,), (3, 1), (3, 2, 8, 8)])
def test_fidelity_of_the_wrong_shape_is_refused(tiny, crops, shape):
    with pytest.raises(ValueError, match="Give a number, one value per face"):
        tiny.restore(crops, torch.ones(shape))


def test_crops_of_another_side_are_refused(tiny):
    with pytest.raises(ValueError, match="Found faces of 32 x 32 pixels; this network takes 64 x 64"):
        tiny.restore(torch.zeros(1, 3, 32, 32), 0.5)


def test_a_batch_is_its_faces_one_by_one(tiny, crops):
    alone = torch.cat([tiny.restore(crop[None], 0.5) for crop in crops])
    assert torch.allclose(tiny.restore(crops, 0.5), alone, atol=1e-5)


def test_inputs_are_not_modified(tiny, crops):
    before = crops.clone()
    tiny.restore(crops, 0.5)
    assert torch.equal(crops, before)


#: MiB that one face at w = 0.5 adds to the process, measured on the official network under the settings below.
REFERENCE_GROWTH = 582

#: Large blocks are mapped and given back at once, so that what is measured is what is held, and not what the allocator keeps.
EXACT = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}

PEAK = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from codeformer_core.networks.codeformer import CodeFormer
from codeformer_core.networks.vqgan import Architecture

def kilobytes(name):  # of this program alone: getrusage's peak is inherited from the one that started it
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name))

network = CodeFormer(Architecture((64, 128, 128, 256, 256, 512), 2, (5,), 1024, 256, 16, 512, 9, (32, 64, 128, 256)))
before = kilobytes("VmRSS")
with torch.inference_mode():
    network(torch.zeros(1, 3, 512, 512), 0.5)
print((kilobytes("VmHWM") - before) >> 10)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc to measure resident memory")
def test_peak_memory_is_below_the_reference():
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", PEAK, str(root)]
    run = subprocess.run(command, env=os.environ | EXACT, capture_output=True, text=True, check=True)
    assert int(run.stdout) < REFERENCE_GROWTH


@pytest.mark.parametrize("fidelity", [0.0, 0.5, torch.tensor([0.0, 0.3, 1.0])], ids=["none", "half", "one per face"])
def test_restore_is_encode_and_decode(tiny, crops, fidelity):
    encoded = tiny.encode_faces(crops, fidelity)
    assert bool(encoded.kept) == bool(torch.as_tensor(fidelity).max() > 0)
    assert torch.equal(tiny.decode_faces(encoded, fidelity), tiny.restore(crops, fidelity))


def test_encoded_faces_can_be_split_and_joined(tiny, crops):
    encoded = tiny.encode_faces(crops, 0.5)
    again = join_encoded([encoded.rows([2]), encoded.rows(slice(0, 2))])
    assert torch.allclose(tiny.decode_faces(again, 0.5), tiny.decode_faces(encoded, 0.5)[[2, 0, 1]], atol=1e-5)


def test_results_can_be_used_in_autograd_and_changed_in_place(tiny, colorizer, inpainter, crops):
    """They are ordinary tensors, not inference tensors, which PyTorch forbids both."""
    encoded = tiny.encode_faces(crops, 0.5)
    results = {
        "restore": tiny.restore(crops, 0.5),
        "decode_faces": tiny.decode_faces(encoded, 0.5),
        "sweep": tiny.sweep(crops, [0, 1]),
        "certainty": tiny.certainty(crops),
        "colorize": colorizer.colorize(crops),
        "inpaint": inpainter.inpaint(crops, torch.zeros(len(crops), 1, *crops.shape[-2:])),
    }
    for name, result in results.items():
        assert not result.is_inference() and not result.requires_grad, name
        weight = torch.ones((), requires_grad=True)
        (result * weight).sum().backward()
        result.clamp_(0, 0.5)

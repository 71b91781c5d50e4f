"""What each precision promises, and that faster forms of layers compute the same as the plain ones."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from codeformer_core import load, networks
from codeformer_core.checkpoints import read
from codeformer_core.cli.networks import load_network
from codeformer_core.networks import parsers, precision
from codeformer_core.networks.encoded import EncodedFaces
from codeformer_core.networks.folding import folded_kernel
from codeformer_core.networks.normalisation import GroupNorm
from codeformer_core.networks.retinaface import RetinaFace
from codeformer_core.runtime.batching import automatic_batch

CPU = torch.device("cpu")


def decibels(a: torch.Tensor, b: torch.Tensor) -> float:
    """The peak signal-to-noise ratio of images in [0, 1]."""
    return float(-10 * (a - b).square().mean().log10())


def corner(encoded: EncodedFaces) -> EncodedFaces:
    """The top left sixteenth of encoded faces: where a processor emulates bfloat16, to decode a whole one takes minutes."""

    def cut(maps: torch.Tensor) -> torch.Tensor:
        return maps[..., : maps.shape[-2] // 4, : maps.shape[-1] // 4]

    height, width = encoded.features.shape[-2:]
    cells = cut(torch.arange(height * width).reshape(height, width)).flatten()
    return EncodedFaces(encoded.logits[:, cells], cut(encoded.features), {side: cut(one) for side, one in encoded.kept.items()})


@torch.inference_mode()
def test_balanced_predicts_the_golden_codes_and_decodes_the_same_face(data, filled):
    with np.load(data / "parity" / "golden_restoration.npz") as file:
        codes, margin = file["smooth/codes"], file["smooth/margin"]
    crops = torch.from_numpy(filled.make_input("smooth")).permute(2, 0, 1)[None].float() / 255
    restored = {}
    for name in ("exact", "balanced"):
        network = networks.load(filled("restoration"), precision=name)
        encoded = network.encode_faces(crops, 0.5)
        chosen = encoded.logits.argmax(2)[0].numpy()
        assert np.array_equal(chosen[margin > 1e-2], codes[margin > 1e-2])
        restored[name] = network.decode_faces(corner(encoded), 0.5)
    assert restored["balanced"].dtype == torch.float32
    assert decibels(restored["balanced"], restored["exact"]) > 45


@pytest.mark.parametrize(("name", "kept"), [("exact", torch.float32), ("balanced", torch.bfloat16), ("fast", torch.bfloat16)])
def test_each_half_computes_in_its_dtype(tiny_checkpoint, name, kept):
    network = networks.load(read(tiny_checkpoint), precision=name)
    crops = torch.rand(2, 3, network.side, network.side, generator=torch.Generator().manual_seed(1))
    encoded = network.encode_faces(crops, 0.5)
    encoder_dtype, generator_dtype = precision.PRECISIONS[name]
    assert encoded.features.dtype == torch.float32 and {one.dtype for one in encoded.kept.values()} == {kept}
    first, *blocks, last = network.encoder.blocks
    assert {p.dtype for part in (first, last, network.ft_layers) for p in part.parameters()} == {torch.float32}
    assert {p.dtype for p in blocks[0].parameters()} == {encoder_dtype}
    assert {p.dtype for p in network.generator.parameters()} == {generator_dtype}
    assert encoded.logits.dtype == network.decode_faces(encoded, 0.5).dtype == torch.float32


def test_fidelity_maps_and_values_per_face_work_in_bfloat16(tiny_checkpoint):
    network = networks.load(read(tiny_checkpoint), precision="balanced")
    crops = torch.rand(2, 3, network.side, network.side, generator=torch.Generator().manual_seed(1))
    flat = network.restore(crops, 0.5)
    for fidelity in (torch.tensor([0.5, 0.5]), torch.full((2, 1, 9, 9), 0.5)):
        assert torch.equal(network.restore(crops, fidelity), flat)


def test_an_unknown_precision_is_refused(tiny_checkpoint):
    with pytest.raises(ValueError, match="'half' is no precision. Use one of: exact, balanced, fast"):
        networks.load(read(tiny_checkpoint), precision="half")
    with pytest.raises(ValueError, match="'half' is no precision. Use one of: auto, exact"):
        precision.suited("half", CPU)


AVX512 = {"architecture": "x86_64", "avx2": True, "avx512_f": True}

#: Kind of processor -> what torch says of it, and what suits it.
PROCESSORS = {
    "AVX2 alone": ({"architecture": "x86_64", "avx2": True, "sse4a": True}, "exact"),
    "Intel, AVX-512": (AVX512, "exact"),
    "Intel, AVX-512 BF16 without AMX (Cooper Lake)": (AVX512 | {"avx512_bf16": True}, "exact"),
    "Intel, AMX (from Sapphire Rapids on)": (AVX512 | {"avx512_bf16": True, "amx_tile": True, "amx_bf16": True}, "balanced"),
    "AMD Zen 4 and 5": (AVX512 | {"sse4a": True, "avx512_bf16": True}, "balanced"),
    "Apple": ({"architecture": "arm64", "neon": True, "bf16": True}, "exact"),
    "ARM server": ({"architecture": "arm64", "neon": True, "bf16": True, "sve_bf16": True}, "exact"),
}


@pytest.mark.parametrize("kind", PROCESSORS)
def test_auto_on_every_kind_of_processor(monkeypatch, kind):
    found, suited = PROCESSORS[kind]
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found, raising=False)
    assert precision.suited("auto", CPU) == suited
    assert precision.suited("fast", CPU) == "fast"


@pytest.mark.parametrize(("tells", "suited"), [(True, "balanced"), (False, "exact"), (None, "exact")])
def test_auto_on_a_processor_of_which_an_older_torch_tells_less(monkeypatch, tells, suited):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    if tells is not None:
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: tells, raising=False)
    assert precision.suited("auto", CPU) == suited


#: Kind of card -> compute capability, the version of HIP, and what suits it.
CARDS = {
    "NVIDIA Turing": ((7, 5), None, "exact"),
    "NVIDIA Ampere": ((8, 0), None, "balanced"),
    "NVIDIA Ada": ((8, 9), None, "balanced"),
    "NVIDIA Blackwell": ((12, 0), None, "balanced"),
    "AMD": ((11, 0), "6.4", "exact"),
}


@pytest.mark.parametrize("kind", CARDS)
def test_auto_on_every_kind_of_card(monkeypatch, kind):
    capability, hip, suited = CARDS[kind]
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert precision.suited("auto", torch.device("cuda")) == suited


@pytest.mark.parametrize("device", ["mps", "xpu", "privateuseone"])
def test_auto_is_exact_on_other_devices(device):
    assert precision.suited("auto", torch.device(device)) == "exact"


def test_the_command_line_s_precision_reaches_the_network(tiny_checkpoint):
    network = load_network(tiny_checkpoint, "restorer", "restoration", CPU, "fast")
    assert network.precision == precision.PRECISIONS["fast"]
    assert automatic_batch(network) == 1


def test_folded_upsampling_equals_upsampling_and_convolution():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 7, 9, generator=generator)
    weight = torch.randn(6, 5, 3, 3, generator=generator)
    plain = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), weight, padding=1)
    assert torch.allclose(F.conv_transpose2d(x, folded_kernel(weight), stride=2, padding=1), plain, atol=1e-4)


@pytest.mark.parametrize("kind", ["noise", "flat", "far from zero"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_channels_last_group_norm_is_accurate(kind, dtype):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 64, 96, 80, generator=generator)
    offset = torch.randn(2, 64, 1, 1, generator=generator)
    x = {"noise": noise, "flat": offset + 1e-4 * noise, "far from zero": noise + 30 * offset}[kind].to(dtype)
    norm = GroupNorm(32, 64, 1e-6)
    torch.nn.init.normal_(norm.weight, generator=generator)
    torch.nn.init.normal_(norm.bias, generator=generator)
    exact = F.group_norm(x.double(), 32, norm.weight.double(), norm.bias.double(), 1e-6)
    found = norm(x.contiguous(memory_format=torch.channels_last))
    assert found.dtype == dtype
    difference = (found.double() - exact).abs() / exact.abs().clamp(min=1)
    assert difference.max() < (1e-5 if dtype == torch.float32 else 3e-2)


def edges() -> torch.Tensor:
    """Something with edges and gradients, (1, 3, 128, 128)."""
    y, x = torch.meshgrid(torch.linspace(0, 1, 128), torch.linspace(0, 1, 128), indexing="ij")
    return torch.stack([x, y, ((x - 0.5).hypot(y - 0.5) < 0.3).float()])[None]


@pytest.fixture(scope="module")
def parser():
    """facexlib's ParseNet with random weights; the scores of all classes have the same mean and standard deviation."""
    from facexlib.parsing.parsenet import ParseNet

    torch.manual_seed(0)
    network = ParseNet(in_size=512, out_size=512, parsing_ch=len(parsers.CLASSES)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):  # so that the image outweighs the biases
            torch.nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 1.5)
    last = network.out_mask_conv.conv2d
    with torch.inference_mode():
        spread, mean = torch.std_mean(network(edges() * 2 - 1)[0], dim=(0, 2, 3))
        last.weight /= spread[:, None, None, None]
        last.bias.copy_((last.bias - mean) / spread)
    return network


@pytest.mark.parametrize(("name", "lead", "least"), [("exact", 0.0, 0.9999), ("balanced", 0.1, 0.99)])
@torch.inference_mode()
def test_labels_are_unchanged_where_one_class_leads(parser, monkeypatch, name, lead, least):
    scores = parser(edges() * 2 - 1)[0]
    best = scores.topk(2, dim=1)
    clear = best.values[:, 0] - best.values[:, 1] > lead
    assert best.indices[:, 0].unique().numel() >= 5 and clear.float().mean() > 0.8
    network = networks.load(parser.state_dict(), precision=name)
    monkeypatch.setattr(parsers, "SIDE", 128)
    assert (network.parse(edges()) == best.indices[:, 0])[clear].float().mean() >= least


class Rounded(torch.nn.Conv2d):
    """A convolution that rounds images and weights to the ten mantissa bits of NVIDIA's TF32, and accumulates in float32."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        pixels, weight = (self.rounded(one).contiguous(memory_format=torch.channels_last) for one in (input, self.weight))
        return F.conv2d(pixels, weight, self.bias, self.stride, self.padding)

    @staticmethod
    def rounded(values: torch.Tensor) -> torch.Tensor:
        bits = values.contiguous().view(torch.int32)
        return ((bits + 0xFFF + (bits >> 13 & 1)) & ~0x1FFF).view(torch.float32)


@torch.inference_mode()
def test_confident_codes_survive_tf32_rounding(data, filled):
    """PyTorch allows TF32 on CUDA by default, in the convolutions of "exact" and "balanced" too."""
    layers = SimpleNamespace(**vars(torch.nn) | {"Conv2d": Rounded})
    network = networks.load(filled("restoration"), operations=layers)
    with np.load(data / "parity" / "golden_restoration.npz") as file:
        codes, margin = file["smooth/codes"], file["smooth/margin"]
    crops = torch.from_numpy(filled.make_input("smooth")).permute(2, 0, 1)[None].float() / 255
    chosen = network.encode_faces(crops, 0.0).logits.argmax(2)[0].numpy()
    assert np.array_equal(chosen[margin > 1e-2], codes[margin > 1e-2])
    assert (chosen == codes).mean() >= 0.99


CALLS = {"restorer": "restore", "detector": "detect", "parser": "parse", "background": "fill"}


@pytest.mark.parametrize("cast", ["half", "bfloat16", "double"])
@pytest.mark.parametrize("kind", ["CodeFormer", "RestoreFormer", "RetinaFace", "MTCNN", "ParseNet", "BiSeNet", "LaMa"])
def test_a_network_that_was_cast_as_a_whole_says_how_it_is_done(
    tiny_checkpoint, restoreformer_checkpoint, lama_checkpoint, kind, cast
):
    files = {"CodeFormer": tiny_checkpoint, "RestoreFormer": restoreformer_checkpoint, "LaMa": lama_checkpoint}
    made = {"RetinaFace": lambda: RetinaFace(resnet=False), "ParseNet": parsers.ParseNet, "BiSeNet": parsers.BiSeNet}
    network = getattr(made[kind]() if kind in made else load(files.get(kind, "mtcnn")), cast)()
    side = getattr(network, "side", 64)
    given = [torch.zeros(1, 3, side, side), torch.zeros(1, 1, side, side)][: 2 if kind == "LaMa" else 1]
    with pytest.raises(ValueError, match=r'with weights of torch.* leave out .half.* load\(name, precision="fast"\)'):
        getattr(network, CALLS[network.role])(*given)

"""Checkpoints that are packed otherwise, damaged, or made to harm: read rightly, or refused with the file's name."""

import json
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from codeformer_core import checkpoints
from codeformer_core.checkpoints import archive, read
from codeformer_core.networks.retinaface import RetinaFace
from codeformer_core.upscaler import load_upscaler

#: Compresses well but not fully, and its first bytes are no valid floats when they are read compressed.
WEIGHTS = {"encoder.weight": torch.arange(60000.0).reshape(200, 300), "encoder.bias": torch.ones(2, dtype=torch.half)}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.save(WEIGHTS, tmp_path / "saved.pth")
    return tmp_path / "saved.pth"


def packed(source: Path, target: Path, change: Any = lambda name, data: data, **options: Any) -> Path:
    """A zip-format file packed again by another program."""
    method = options.pop("compression", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(target, "w", method) as after:
        for entry in before.infolist():
            with after.open(entry.filename, "w", **options) as file:
                file.write(change(entry.filename, before.read(entry)))
    return target


def same(tensors: dict[str, torch.Tensor]) -> None:
    assert tensors.keys() == WEIGHTS.keys()
    assert all(torch.equal(tensors[key], value) for key, value in WEIGHTS.items())


def mapped(path: Path) -> bool:
    """Whether a file is mapped into memory while its tensors live."""
    tensors = read(path)
    return str(path) in Path("/proc/self/maps").read_text(encoding="utf-8") and bool(tensors)


# --- zip archives ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mapping", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"compression": zipfile.ZIP_STORED}, {"force_zip64": True}, {"compression": 0, "force_zip64": True}]
)
def test_a_checkpoint_that_was_zipped_again_has_its_weights(saved: Path, options: dict[str, Any], mapping: bool) -> None:
    same(read(packed(saved, saved.with_name("again.pth"), **options), mapped=mapping))


@pytest.mark.parametrize("compressed", ["saved/data/0", "saved/data/1", "saved/data.pkl"])
def test_a_single_compressed_entry_is_not_taken_for_numbers(saved: Path, compressed: str) -> None:
    target = saved.with_name("mixed.pth")
    with zipfile.ZipFile(saved) as before, zipfile.ZipFile(target, "w") as after:
        for entry in before.infolist():
            method = zipfile.ZIP_DEFLATED if entry.filename == compressed else zipfile.ZIP_STORED
            after.writestr(entry.filename, before.read(entry), method)
    same(read(target))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc/self/maps to see what is mapped")
def test_only_stored_and_aligned_entries_are_mapped(saved: Path) -> None:
    assert mapped(saved)
    assert not mapped(packed(saved, saved.with_name("deflated.pth")))
    unaligned = packed(saved, saved.with_name("stored.pth"), compression=zipfile.ZIP_STORED)
    assert not mapped(unaligned)


def test_a_damaged_compressed_entry_is_noticed(saved: Path) -> None:
    path = packed(saved, saved.with_name("codeformer.pth"))
    with zipfile.ZipFile(path) as file:
        entry = file.getinfo("saved/data/0")
    data = bytearray(path.read_bytes())
    data[entry.header_offset + 30 + len(entry.filename) + entry.compress_size // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"codeformer.pth is cut off, damaged.*Delete it and fetch it again"):
        read(path)


@pytest.mark.parametrize("entry", ["saved/data.pkl", "saved/data/0"])
def test_a_small_file_that_inflates_to_gigabytes_is_refused_before(saved: Path, tmp_path: Path, entry: str) -> None:
    """The sizes are those of the table of contents, so that the test writes no gigabytes either."""
    path = packed(saved, tmp_path / "bomb.pth")
    data = path.read_bytes()
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(entry.encode()))  # its record in the table of contents
    path.write_bytes(data[: at + 24] + struct.pack("<I", 4_000_000_000) + data[at + 28 :])
    begun = time.perf_counter()
    with pytest.raises(ValueError, match=r"bomb.pth (holds|inflates to) 4,000,.* it was not inflated\."):
        read(path)
    assert time.perf_counter() - begun < 1


def test_a_real_bomb_is_refused_by_what_it_inflates_to(saved: Path, tmp_path: Path) -> None:
    zeros = bytes(archive.LARGEST_PICKLE + 1)
    path = packed(saved, tmp_path / "bomb.pth", lambda name, data: data + zeros if name.endswith("data.pkl") else data)
    assert path.stat().st_size < 200_000
    with pytest.raises(ValueError, match=r"bytes of names and shapes, expected at most 16,777,216; it was not inflated"):
        read(path)


def test_shapes_that_claim_more_than_a_file_can_hold_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(()).expand(100_000, 100_000)}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"x.pth claims 40,000,000,000 bytes of weights, expected at most"):
        read(tmp_path / "x.pth")


def test_archives_that_are_no_checkpoints_say_what_to_do(saved: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "zipped.pth", "w") as file:
        file.write(saved, "codeformer.pth")
    with pytest.raises(ValueError, match=r"zipped.pth is a zip archive of codeformer.pth, expected a checkpoint. Unpack it"):
        read(tmp_path / "zipped.pth")
    with pytest.raises(ValueError, match=r"is compressed with bzip2, expected .* zip what was inside without compression"):
        read(packed(saved, tmp_path / "bzip2.pth", compression=zipfile.ZIP_BZIP2))
    locked = bytearray(saved.read_bytes())
    locked[locked.rindex(b"PK\x01\x02") + 8] |= 1  # the flag of an encrypted entry
    (tmp_path / "locked.pth").write_bytes(locked)
    with pytest.raises(ValueError, match=r"locked.pth is an encrypted zip archive, expected a checkpoint. Unpack it"):
        read(tmp_path / "locked.pth")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_entry_that_is_there_twice_is_refused(saved: Path) -> None:
    with zipfile.ZipFile(saved, "a") as file:
        file.writestr("saved/data/0", bytes(240_000))
    with pytest.raises(ValueError, match=r"saved.pth holds saved/data/0 twice, expected every entry once"):
        read(saved)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_truncated_archive_is_refused(saved: Path, share: float, method: int) -> None:
    path = packed(saved, saved.with_name("codeformer.pth"), compression=method)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(ValueError, match="codeformer.pth is cut off, damaged"):
        read(path)


@pytest.mark.filterwarnings("ignore:.*TorchScript", "ignore:`torch.jit")
def test_a_real_torchscript_program_is_refused(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "x.pt")
    with pytest.raises(ValueError, match="x.pt is a TorchScript program, expected a checkpoint of tensors"):
        read(tmp_path / "x.pt")


# --- safetensors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        {"a": ("F32", [2], [0, 8]), "b": ("F32", [2], [4, 12])},  # overlapping
        {"a": ("F32", [200], [0, 800])},  # beyond the end
        {"a": ("F32", [2], [0, 16])},  # fewer numbers than bytes
        {"a": ("F32", [-4], [0, 16])},
        {"a": ("F32", [2**63, 2], [0, 16])},
        {"a": ("F32", [2], [8, 16])},  # a gap
        {"a": ("WORDS", [4], [0, 16])},
    ],
)
def test_safetensors_with_impossible_offsets_are_refused(tmp_path: Path, header: dict[str, Any]) -> None:
    entries = {key: dict(zip(("dtype", "shape", "data_offsets"), value, strict=True)) for key, value in header.items()}
    text = json.dumps(entries).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))
    with pytest.raises(ValueError, match="x.safetensors is incomplete or no safetensors file"):
        read(tmp_path / "x.safetensors")


def test_a_safetensors_header_of_absurd_length_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(ValueError, match="x.safetensors is incomplete or no safetensors file"):
        read(tmp_path / "x.safetensors")


# --- tensors --------------------------------------------------------------------------------------------------------------

ODD = {
    "complex64": torch.ones(3, dtype=torch.cfloat),
    "sparse coo": torch.eye(3).to_sparse(),
    "qint8": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
}


@pytest.mark.filterwarnings("ignore:.*nested", "ignore:.*[Ss]parse", "ignore:TypedStorage", "ignore:.*quantize")
@pytest.mark.parametrize("reader", [read, checkpoints.load, load_upscaler])
@pytest.mark.parametrize("kind", ODD)
def test_tensors_that_are_no_plain_numbers_are_refused(tmp_path: Path, kind: str, reader: Any) -> None:
    torch.save({"params_ema": {"good": torch.ones(1), "odd": ODD[kind]}}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=rf"x.pth holds a {kind} tensor \(odd\), expected plain numbers\. Choose"):
        reader(tmp_path / "x.pth")


def test_shapes_without_values_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.empty(3, device="meta")}, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="x.pth holds the shape of a without its values"):
        read(tmp_path / "x.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.half, torch.bfloat16, torch.float64])
def test_weights_that_are_not_finite_are_refused(tmp_path: Path, value: float, dtype: torch.dtype) -> None:
    broken = {key: tensor.to(dtype) / 1000 for key, tensor in WEIGHTS.items()}
    broken["encoder.weight"][7, 9] = value
    torch.save(broken, tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"x.pth holds weights that are not finite \(encoder.weight\), expected numbers"):
        read(tmp_path / "x.pth")


def test_short_floats_are_read(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(3).to(torch.float8_e4m3fn), "b": torch.ones(2, dtype=torch.int64)}, tmp_path / "x.pth")
    assert read(tmp_path / "x.pth")["a"].float().sum() == 3


#: What is done to every tensor, or to the last one alone.
CHANGES: dict[str, Any] = {
    "empty": lambda value: torch.zeros(0),
    "scalar": lambda value: torch.ones(()),
    "of another shape": lambda value: torch.ones(3, 3),
    "whole numbers": lambda value: torch.ones(value.shape, dtype=torch.int8),
}


@pytest.fixture(scope="module")
def families(tiny_checkpoint: Path, restoreformer_checkpoint: Path) -> dict[str, dict[str, torch.Tensor]]:
    """A small state dict of each family that can be had without its published file."""
    from facexlib.parsing.bisenet import BiSeNet
    from spandrel.architectures.ESRGAN import ESRGAN

    return {
        "CodeFormer": read(tiny_checkpoint),
        "RestoreFormer": read(restoreformer_checkpoint),
        "MTCNN": read(Path(str(checkpoints.find("mtcnn")))),
        "RetinaFace": RetinaFace(resnet=False).state_dict(),
        "BiSeNet": BiSeNet(num_class=19).state_dict(),
        "an upscaler": ESRGAN(num_filters=8, num_blocks=1).state_dict(),
    }


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("every", [True, False])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("family", ["CodeFormer", "RestoreFormer", "MTCNN", "RetinaFace", "BiSeNet", "an upscaler"])
def test_tensors_that_fit_no_network_are_refused_by_every_reader(families, tmp_path, family, change, every, suffix) -> None:
    state = families[family]
    last = [key for key, value in state.items() if value.ndim][-1]
    broken = {
        key: CHANGES[change](value) if every or key == last else value.clone().contiguous() for key, value in state.items()
    }
    path = tmp_path / f"mine{suffix}"
    save_file(broken, path) if suffix == ".safetensors" else torch.save(broken, path)
    reader = load_upscaler if family == "an upscaler" else checkpoints.load
    with pytest.raises(ValueError, match=rf"^mine{suffix} (looks like|is not) .*(again|Choose|choose)"):
        reader(path)


@pytest.mark.parametrize("name", ["empty", "meta", "scalar", "shapes"])
def test_the_files_of_the_fault_campaign_are_refused_by_name(shared: Path, name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}.pth (looks like CodeFormer but|holds the shape of).*(download|Choose)"):
        checkpoints.load(shared / "data" / "cases" / "model_files" / f"{name}.pth")

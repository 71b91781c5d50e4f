"""Upscaling: goldens of a real model, tiling without seams, out-of-memory, and files that are not upscalers."""

import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from codeformer_core.imaging.tiling import GRID, run_tiled, upscale_images
from codeformer_core.upscaler import Upscaler, load_upscaler

spandrel = pytest.importorskip("spandrel", reason="upscaling needs the package spandrel")

ROOT = Path(__file__).resolve().parent.parent


def noise(height: int, width: int, batch: int = 1) -> torch.Tensor:
    """Noise, in which a misplaced pixel is noticed."""
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(height * width))


def doubled(image: torch.Tensor) -> torch.Tensor:
    """An upscaler without a network: nearest neighbour, exactly."""
    return image.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


class Doubling:
    """`doubled` with the interface of a model."""

    scale = 2

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return doubled(image)


def levels(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Differences in levels of 255."""
    return (a - b).abs() * 255


@pytest.fixture(scope="module")
def upscaler(shared: Path) -> Upscaler:
    return load_upscaler(shared / "data" / "upscaler" / "2x_dctlsa_X2.pt")


def esrgan(path: Path, **options) -> Path:
    """A small file of the family of RealESRGAN, with random weights."""
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(0)
    network = ESRGAN(num_filters=8, num_blocks=1, **options)
    torch.save({"params_ema": network.state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def x2plus(tmp_path_factory: pytest.TempPathFactory) -> Upscaler:
    """As RealESRGAN_x2plus.pth: a 4x network on pixels folded two by two, whose sides must be multiples of 4."""
    return load_upscaler(
        esrgan(tmp_path_factory.mktemp("upscaler") / "x2.pth", in_nc=12, scale=4, plus=False, shuffle_factor=2)
    )


# --- the network ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [16, 32, 64])
def test_the_real_model_matches_spandrels_goldens(upscaler, photo, side):
    result = upscaler.upscale(photo(f"upscaler/input_{side}x{side}.png"))
    golden = photo(f"upscaler/golden_2x_dctlsa_{side}x{side}.png")
    assert levels(result, golden).max() < 0.6  # half a level is the golden file's own rounding


def test_tiles_of_the_real_model_have_no_seams(upscaler, photo):
    image = photo("photos/astronaut_1face.png")[:, :, 100:180, 140:300]  # two tiles, side by side
    whole, parts = upscaler.upscale(image, tile=0), upscaler.upscale(image, tile=80)
    difference = levels(whole, parts)
    border = 2 * 32
    assert difference[..., border:-border, border:-border].max() < 0.5
    # This model wraps around (its windows are rolled without a mask), so the border of the whole image shows the
    # opposite side, and the border of a tile does not.
    assert difference.mean() < 0.1 and difference.max() < 10


@pytest.mark.parametrize(("height", "width"), [(1, 40), (40, 1), (1, 1), (17, 23)])
def test_small_and_odd_images_have_the_expected_size(x2plus, height, width):
    result = x2plus.upscale(noise(height, width))
    assert result.shape == (1, 3, 2 * height, 2 * width)
    assert result.isfinite().all() and result.min() >= 0 and result.max() <= 1


def test_a_network_that_needs_multiples_of_four_takes_any_size_in_tiles(x2plus):
    image = noise(67, 90)
    whole, parts = x2plus.upscale(image, tile=0), x2plus.upscale(image, tile=32)
    assert whole.shape == (1, 3, 134, 180)
    assert levels(whole, parts).max() < 0.01  # convolutions only: the context covers all that they see


def test_the_images_are_not_modified(x2plus):
    images = noise(30, 41, batch=2)
    before = images.clone()
    x2plus.upscale(images, tile=16)
    upscale_images(images, x2plus, 1.5)
    assert torch.equal(images, before)


def test_the_images_of_a_batch_do_not_mix(x2plus):
    images = noise(20, 33, batch=3)
    single = torch.cat([x2plus.upscale(image[None]) for image in images])
    assert torch.equal(x2plus.upscale(images), single)


# --- tiles ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tile", [0, 16, 40, 64, 400])
@pytest.mark.parametrize("overlap", [0, 5, 40])
@pytest.mark.parametrize(("height", "width"), [(1, 100), (65, 64), (97, 131)])
def test_tiling_places_every_pixel_exactly(height, width, overlap, tile):
    images = noise(height, width, batch=2)
    assert torch.equal(run_tiled(images, doubled, 2, tile, overlap), doubled(images))


def test_tiles_have_context_and_begin_on_the_grid():
    seen = []

    def run(piece: torch.Tensor) -> torch.Tensor:
        seen.append((tuple(int(v) for v in piece[0, :2, 0, 0]), tuple(piece.shape[2:])))
        return piece

    y, x = torch.meshgrid(torch.arange(150.0), torch.arange(200.0), indexing="ij")
    run_tiled(torch.stack([y, x, y])[None], run, 1, tile=64, overlap=20)
    assert len(seen) == 12  # 150 is three tiles of at most 64, 200 is four
    for (top, left), (height, width) in seen:
        assert top % GRID == 0 and left % GRID == 0
        assert height <= 64 + 2 * 32 and width <= 64 + 2 * 32  # 20 pixels of context reach the grid at 32
        assert top + height == 150 or (top + height) % GRID == 0
        assert left + width == 200 or (left + width) % GRID == 0


def test_the_result_keeps_the_dtype_and_the_network_gets_contiguous_float32():
    def run(piece: torch.Tensor) -> torch.Tensor:
        assert piece.dtype == torch.float32 and piece.is_contiguous()
        return doubled(piece)

    images = noise(20, 30).half().to(memory_format=torch.channels_last)
    result = run_tiled(images, run, 2, tile=16)
    assert result.dtype == torch.float16 and torch.equal(result, doubled(images))


def test_a_network_that_works_in_place_gets_a_copy():
    images = noise(40, 40)
    before = images.clone()
    run_tiled(images, lambda piece: piece.mul_(0), 1, tile=16)
    assert torch.equal(images, before)


@pytest.mark.parametrize(("tile", "overlap"), [(-1, 40), (5, 40), (400, -1)])
def test_a_tile_or_overlap_that_is_no_size_is_refused(tile, overlap):
    with pytest.raises(ValueError, match="Expected a tile of 16 or more, or 0"):
        run_tiled(noise(20, 20), doubled, 2, tile, overlap)


def test_a_network_whose_scale_is_wrong_is_refused():
    with pytest.raises(RuntimeError, match=r"gave a result of \(1, 3, 40, 40\), expected \(1, 3, 80, 80\)"):
        run_tiled(noise(20, 20), doubled, 4)


def test_a_result_that_is_not_finite_is_refused():
    image = noise(20, 20)
    image[0, 1, 3, 4] = torch.nan
    with pytest.raises(RuntimeError, match="not finite"):
        run_tiled(image, doubled, 2)


# --- memory ---------------------------------------------------------------------------------------------------------------


class Limited:
    """Doubles images up to a size and runs out of memory on larger ones."""

    def __init__(self, largest: int, error: Exception | None = None) -> None:
        self.largest = largest
        self.error = error or torch.OutOfMemoryError("no room")
        self.sides: list[int] = []
        self.failed = 0

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        self.sides.append(max(image.shape[2:]))
        if self.sides[-1] > self.largest:
            self.failed += 1
            raise self.error
        return doubled(image)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError(),
        MemoryError(),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 40000 bytes."),
    ],
    ids=lambda error: f"{type(error).__name__}: {error}",
)
@pytest.mark.parametrize("tile", [0, 256])
def test_a_tile_that_does_not_fit_is_halved(tile, error):
    images = noise(300, 200)
    assert torch.equal(run_tiled(images, Limited(200, error), 2, tile, overlap=16), doubled(images))


def test_the_halved_tile_is_kept_for_the_following_images():
    run = Limited(200)
    images = noise(256, 256, batch=3)
    assert torch.equal(run_tiled(images, run, 2, tile=256, overlap=16), doubled(images))
    assert run.failed == 1 and len(run.sides) == 1 + 3 * 4


def test_tiles_finished_before_memory_runs_out_are_kept():
    calls = []

    def run(image: torch.Tensor) -> torch.Tensor:
        calls.append(max(image.shape[2:]))
        if len(calls) > 2 and calls[-1] > 100:  # another program took memory in the meantime
            raise torch.OutOfMemoryError("no room")
        return doubled(image)

    images = noise(128, 512)
    assert torch.equal(run_tiled(images, run, 2, tile=128, overlap=0), doubled(images))
    assert calls == [128, 128, 128] + [64] * 8


def test_a_smallest_tile_that_does_not_fit_raises_with_advice():
    run = Limited(10)
    with pytest.raises(RuntimeError, match=r"not enough memory to upscale even a tile of \d+ pixels\. Close") as failure:
        run_tiled(noise(300, 300), run, 2, tile=256)
    assert isinstance(failure.value.__cause__, torch.OutOfMemoryError)
    assert run.failed == 2  # tiles of 160 (two to a side) and 80; the next half would be below 64


def test_other_errors_of_the_network_rise_at_once():
    run = Limited(10, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        run_tiled(noise(300, 300), run, 2)
    assert run.failed == 1


# --- progress -------------------------------------------------------------------------------------------------------------


def test_progress_counts_the_tiles_of_all_images():
    seen = []
    run_tiled(noise(64, 96, batch=2), doubled, 2, tile=32, overlap=0, tick=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 12) for done in range(13)]


def test_the_total_grows_when_tiles_are_halved_and_the_end_is_reached():
    seen = []
    run = Limited(128)
    run_tiled(noise(256, 256, batch=2), run, 2, 256, overlap=0, tick=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 2)] + [(done, 8) for done in range(1, 9)]


def test_a_tick_that_raises_stops_after_that_tile():
    runs = []

    def run(piece: torch.Tensor) -> torch.Tensor:
        runs.append(piece.shape)
        return doubled(piece)

    def tick(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tiled(noise(96, 96), run, 2, tile=32, tick=tick)
    assert len(runs) == 2


# --- any factor -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upscale", [0.5, 1, 1.3, 2, 2.75, 4])
def test_any_factor_gives_the_size_rounded_down(upscale):
    result = upscale_images(noise(31, 44, batch=2), Doubling(), upscale)
    assert result.shape == (2, 3, int(31 * upscale), int(44 * upscale))
    assert result.min() >= 0 and result.max() <= 1


@pytest.mark.parametrize(("upscale", "decibels"), [(1.5, 43), (3, 48)])
def test_a_fractional_factor_is_close_to_the_references_lanczos(x2plus, photo, upscale, decibels):
    import cv2

    image = photo("photos/astronaut_1face.png")[:, :, 100:164, 190:254]
    pixels = (x2plus.upscale(image)[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    side = int(64 * upscale)
    reference = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_LANCZOS4) / 255
    ours = upscale_images(image, x2plus, upscale)[0].permute(1, 2, 0).numpy()
    assert -10 * np.log10(((ours - reference) ** 2).mean()) > decibels


def test_shrinking_the_models_result_leaves_no_moire():
    stripes = torch.zeros(1, 3, 60, 61)
    stripes[..., ::2] = 1  # at 0.51 of the size this pattern would come out as broad bands

    class Same:
        scale = 1

        def __call__(self, image: torch.Tensor) -> torch.Tensor:
            return image

    assert upscale_images(stripes, Same(), 0.51)[..., 3:-3].std() < 0.05


def test_a_result_at_the_models_scale_is_not_resized(x2plus):
    images = noise(20, 24)
    assert torch.equal(upscale_images(images, x2plus, 2), x2plus.upscale(images))


def test_the_images_of_a_batch_do_not_mix_when_resized():
    images = noise(40, 50, batch=3)
    single = torch.cat([upscale_images(image[None], Doubling(), 1.5) for image in images])
    assert torch.equal(upscale_images(images, Doubling(), 1.5, tile=16), single)


def test_an_image_of_one_pixel_and_an_empty_batch_are_enlarged():
    assert upscale_images(noise(1, 1), Doubling(), 0.4).shape == (1, 3, 1, 1)
    assert upscale_images(noise(8, 8)[:0], Doubling(), 1.5).shape == (0, 3, 12, 12)


@pytest.mark.parametrize("upscale", [0, -1])
def test_a_factor_that_is_no_size_is_refused(upscale):
    with pytest.raises(ValueError, match="Expected a number above 0"):
        upscale_images(noise(8, 8), Doubling(), upscale)


def test_a_spandrel_model_is_used_directly(x2plus):
    images = noise(20, 24)
    assert torch.equal(upscale_images(images, x2plus.descriptor, 1.5), upscale_images(images, x2plus, 1.5))


# --- files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1, 4])
def test_a_network_of_any_scale_is_an_upscaler(tmp_path, scale):
    model = load_upscaler(esrgan(tmp_path / "model.pth", scale=scale))
    assert model.scale == scale
    assert model.upscale(noise(9, 12)).shape == (1, 3, 9 * scale, 12 * scale)


def test_half_precision_weights_are_run_in_fp32(tmp_path):
    path = esrgan(tmp_path / "model.pth", scale=2)
    weights = {name: value.half() for name, value in torch.load(path, weights_only=True)["params_ema"].items()}
    torch.save(weights, tmp_path / "half.pth")
    result = load_upscaler(tmp_path / "half.pth").upscale(noise(9, 12))
    assert levels(result, load_upscaler(path).upscale(noise(9, 12))).max() < 1


def test_a_face_detector_is_refused(shared):
    with pytest.raises(ValueError, match=r"detection_mobilenet0.25_Final.pth is not an upscaler .* has 300 tensors.*Choose"):
        load_upscaler(shared / "data" / "detectors" / "detection_mobilenet0.25_Final.pth")


def test_a_network_for_grey_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a network from 1 to 1 channels. Expected an upscaler of RGB"):
        load_upscaler(esrgan(tmp_path / "grey.pth", in_nc=1, out_nc=1, scale=2))


def test_a_network_for_aligned_faces_is_refused(tmp_path):
    from spandrel.architectures.RestoreFormer import RestoreFormer

    torch.save(RestoreFormer(n_embed=8, embed_dim=32, ch=32, ch_mult=(1, 2), z_channels=32).state_dict(), tmp_path / "face.pth")
    with pytest.raises(ValueError, match=r"a face network \(RestoreFormer\), which takes aligned faces"):
        load_upscaler(tmp_path / "face.pth")


def test_a_network_that_needs_a_mask_is_refused(tmp_path):
    from spandrel.architectures.LaMa import LaMa

    with torch.device("meta"):
        shapes = {name: (value.shape, value.dtype) for name, value in LaMa().state_dict().items()}
    torch.save({name: torch.zeros((), dtype=d).expand(s) for name, (s, d) in shapes.items()}, tmp_path / "lama.pth")
    with pytest.raises(ValueError, match="an inpainting network, which needs a mask"):
        load_upscaler(tmp_path / "lama.pth")


def test_weights_that_fit_no_network_are_refused(tmp_path):
    path = esrgan(tmp_path / "model.pth", scale=2)
    weights = torch.load(path, weights_only=True)["params_ema"]
    weights["model.0.bias"] = torch.zeros(9)
    torch.save(weights, path)
    with pytest.raises(ValueError, match="model.pth looks like an upscaler, and its weights fit no network"):
        load_upscaler(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_nothing_in_a_file_is_executed(tmp_path):
    class Attack:
        def __reduce__(self):
            return Path.touch, (tmp_path / "executed",)

    for name in ("attack.pth", "attack.pt", "attack.ckpt"):
        torch.save({"conv_first.weight": Attack()}, tmp_path / name)
        with pytest.raises(ValueError, match="which is code, expected nothing but tensors"):
            load_upscaler(tmp_path / name)
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Attack()))
    with pytest.raises(ValueError, match="Nothing of it was run"):
        load_upscaler(tmp_path / "plain.pt")
    assert not (tmp_path / "executed").exists()


@pytest.mark.filterwarnings("ignore:.*looks like a TorchScript archive")
def test_a_torchscript_program_is_refused_and_not_run(tmp_path):
    path = tmp_path / "program.pt"
    with zipfile.ZipFile(path, "w") as archive:  # what torch.load looks at to tell a program from weights
        archive.writestr("program/constants.pkl", pickle.dumps(()))
        archive.writestr("program/data.pkl", pickle.dumps({}))
        archive.writestr("program/version", "3\n")
    with pytest.raises(ValueError, match="is a TorchScript program"):
        load_upscaler(path)


def test_a_missing_spandrel_is_reported_with_advice():
    code = (
        "import sys; sys.modules['spandrel'] = None\n"
        "from codeformer_core.upscaler import load_upscaler\n"
        "try:\n    load_upscaler('x.pth')\nexcept ImportError as error:\n    print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "pip install spandrel" in result.stdout


def test_spandrel_is_loaded_only_when_a_file_is():
    code = "import sys, codeformer_core.upscaler; print('spandrel' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout.strip() == "False"

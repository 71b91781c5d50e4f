"""Every operation gives the same result on another device as on the CPU, without copying images between them."""

import copy
from collections.abc import Callable
from dataclasses import replace

import av
import cv2
import pytest
import torch
from fake_cuda import DEVICE, HOST, Cuda, FakeCuda
from half_face_parser import HalfFaceParser
from torch import Tensor

from benchmarks.scenes import scene
from codeformer_core import checkpoints, networks
from codeformer_core.align import align
from codeformer_core.certainty import paste_maps, uncertainty_maps
from codeformer_core.detection.tiled_rotated import RotatedDetector, TiledDetector
from codeformer_core.fidelity import fidelity_maps, sweep
from codeformer_core.imaging.overlay import draw_faces, draw_heatmap
from codeformer_core.imaging.tiling import upscale_images
from codeformer_core.masks.holes import fade_edges, white_brush_mask
from codeformer_core.masks.limits import exclude, restrict_to, restrict_to_parts, with_opacity
from codeformer_core.networks.codeformer import CodeFormer
from codeformer_core.networks.transformer import join_attention
from codeformer_core.networks.vqgan import Architecture
from codeformer_core.options import DetectionOptions, FixOptions, Selection
from codeformer_core.paste import paste
from codeformer_core.pipeline import Extras, apply_to_faces, fix_aligned, fix_faces
from codeformer_core.restoration import colorize, inpaint, restore
from codeformer_core.selection.sharpness import measure_crop_sharpness, measure_sharpness
from codeformer_core.video.pipeline import fix_frames, fix_stream
from codeformer_core.video_io import planes, read_frames

#: The mean difference that results may have: PyTorch's warp interpolates as OpenCV 5 does. OpenCV 4 samples at 1/32 of a pixel.
CLOSE = 1e-5 if int(cv2.__version__[0]) > 4 else 1e-3

#: The bytes that a copy between the devices may have without being an image or a crop: numbers for each face, the cells of the
#: test for grey.
SMALL = 1 << 14


class Known:
    """Finds the faces that it was given, and knows nothing of devices."""

    def __init__(self, faces) -> None:
        self.faces = faces

    def detect(self, images: Tensor, options: DetectionOptions) -> list:
        return [face._replace(image_index=index) for index in range(len(images)) for face in self.faces]


class Twice:
    """An upscaler that repeats pixels."""

    scale = 2

    def __call__(self, image: Tensor) -> Tensor:
        return image.repeat_interleave(2, -1).repeat_interleave(2, -2)


def small_network(**changes) -> CodeFormer:
    torch.manual_seed(0)
    architecture = replace(Architecture((32, 32, 64), 1, (2,), 64, 32, 16, 64, 1, (32,)), **changes)
    return networks.load(join_attention(CodeFormer(architecture).state_dict()))


@pytest.fixture(scope="module")
def picture():
    return scene((320, 200), 3)


@pytest.fixture(scope="module")
def made() -> dict:
    """The networks, by device."""
    here = {
        "restorer": small_network(),
        "colorizer": small_network(channels=(32, 32, 32, 64), code_side=8, attention=(3,), fuse_sides=(16,)),
        "inpainter": small_network(codebook_size=512, channels=(32, 32, 32, 64), code_side=8, attention=(3,), fuse_sides=(16,)),
    }
    with Cuda():
        there = {name: copy.deepcopy(network).to(DEVICE) for name, network in here.items()}
    return {HOST: here, DEVICE: there}


#: A mask over the left half of an image, coarser than it, on the CPU: as files and nodes bring it.
HALF = torch.cat([torch.ones(1, 1, 20, 16), torch.zeros(1, 1, 20, 16)], dim=3)  # of 320 x 200


def fixed(extras: Extras = Extras(), **options) -> Callable:
    options = FixOptions(batch=2, **options)
    return lambda image, faces, have: fix_faces(image, Known(faces), have["restorer"], options, extras).images


def stepped(step: Callable) -> Callable:
    return lambda image, faces, have: apply_to_faces(image, Known(faces), 64, lambda aligned: step(aligned, have)).images


WAYS: dict[str, Callable] = {
    "plain": fixed(),
    "box": fixed(mask="box"),
    "face": fixed(Extras(parser=HalfFaceParser()), mask="face"),
    "keep detail": fixed(keep_detail=True),
    "enlarged": fixed(upscale=1.5),
    "reduced": fixed(upscale=0.5),
    "mean and spread": fixed(colour="mean and spread"),
    "coarse colours": fixed(colour="coarse colours"),
    "grey": fixed(grey="on"),
    "a fidelity for each": fixed(fidelity=(0.2, 0.5, 0.8)),
    "a painted fidelity": fixed(Extras(fidelity_mask=torch.linspace(0, 1, 40).reshape(1, 1, 5, 8))),
    "in an area": fixed(Extras(inside=HALF)),
    "not sharp": fixed(selection=Selection(sharpness=4e-4)),
    "blended": stepped(lambda faces, have: with_opacity(restore(faces, have["restorer"]), torch.tensor([0.2, 1, 0.5]))),
    "parts": stepped(
        lambda faces, have: restrict_to_parts(restore(faces, have["restorer"]), ["skin"], HalfFaceParser(), grow=-2, feather=3)
    ),
    "kept out": stepped(lambda faces, have: exclude(restore(faces, have["restorer"]), HALF)),
    "kept inside": stepped(lambda faces, have: restrict_to(restore(faces, have["restorer"]), HALF)),
    "colorize": stepped(lambda faces, have: colorize(faces, have["colorizer"], keep_luminance=True)),
    "inpaint": stepped(lambda faces, have: inpaint(faces, have["inpainter"], HALF)),
    "faces enlarged": fixed(Extras(face_upscaler=Twice()), upscale=2.0),
    "picture enlarged": lambda image, faces, have: upscale_images(image, Twice(), 3.0, tile=64),
    "frames": lambda image, faces, have: (
        fix_frames(
            torch.cat([image, image.roll(1, 3), image]), Known(faces), have["restorer"], FixOptions(batch=2, chunk=2)
        ).images
    ),
    "aligned": lambda image, faces, have: fix_aligned(image[:, :, :64, :64], have["restorer"]).images,
    "brushed": lambda image, faces, have: fade_edges(white_brush_mask(image.clamp(max=0.6) / 0.6), 4),
    "sweep": lambda image, faces, have: sweep(align(image, faces, 64), have["restorer"], 2, [0, 0.5, 1]),
    "fidelity painted": lambda image, faces, have: fidelity_maps(align(image, faces, 64), 0.2, HALF, 0.9),
    "certainty": lambda image, faces, have: paste_maps(
        uncertainty_maps(align(image, faces, 64), have["restorer"]), align(image, faces, 64), (1, *image.shape[-2:])
    )[0],
    "preview": lambda image, faces, have: draw_faces(image, faces),
    "heat": lambda image, faces, have: draw_heatmap(image, image[:, :1], image[:, :1]),
}


@pytest.mark.parametrize("way", WAYS)
def test_another_device_gives_the_same(picture, made, way):
    near = WAYS[way](*picture, made[HOST])
    with Cuda():
        far = WAYS[way](picture.image.to(DEVICE), picture.faces, made[DEVICE])
        assert far.device == DEVICE and far.dtype == near.dtype
        assert (far.to(HOST) - near).abs().mean() < CLOSE


def test_faces_are_found_where_the_picture_is(shared, photo):
    image, file = photo("photos/two_people.jpg"), shared / "data" / "detectors" / "detection_mobilenet0.25_Final.pth"
    for searches, wrapped in ((1, lambda detector: detector), (4, RotatedDetector), (4, lambda one: TiledDetector(one, 400))):
        near = wrapped(checkpoints.load(file)).detect(image, DetectionOptions())
        with Cuda() as device:
            detector = wrapped(checkpoints.load(file).to(DEVICE))
            there = image.to(DEVICE)
            device.copies.clear()
            far = detector.detect(there, DetectionOptions())
            # What the network answered.
            assert [copy.to_device for copy in device.copies] == [False] * searches
        assert len(near) == len(far) == 2
        # Images are shrunk in another way there, to which the boxes are sensitive.
        assert torch.allclose(torch.tensor([face.box for face in far]), torch.tensor([face.box for face in near]), atol=2)


@pytest.mark.parametrize("faces", [1, 3])
@pytest.mark.parametrize(
    "options",
    [
        *({}, {"always": True, "mask": "square"}, {"always": True, "mask": "box", "sampling": "reference"}),
        {"always": True, "mask": "face", "blend": 0.5, "keep_detail": "on", "colour": "mean and spread"},
    ],
    ids=str,
)
def test_a_device_is_waited_for_twice_in_an_image_whatever_its_faces(picture, made, options, faces):
    """Nothing but few numbers comes between finding the faces and having them pasted, and nothing goes."""
    with Cuda() as device:
        image = picture.image.to(DEVICE)
        image = image if faces == 1 else image.mean(1, keepdim=True).expand_as(image)  # many are grey too
        device.copies.clear()
        how = FixOptions(batch=4, **options), Extras(parser=HalfFaceParser())
        fix_faces(image, Known(picture.faces[:faces]), made[DEVICE]["restorer"], *how)
        assert [copy.to_device for copy in device.copies] == [False, False]
        assert all(copy.bytes <= SMALL for copy in device.copies)


@pytest.mark.parametrize("kind", ["yuv420p", "yuv420p10le"])
def test_a_frame_of_a_video_goes_to_a_device_once_and_is_seldom_waited_for(picture, made, tmp_path, kind):
    """Detection, alignment, paste and what is written share its samples, which travel as they are in the file."""
    rgb = (picture.image[0].permute(1, 2, 0) * 255).byte().numpy()
    frame, count = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=kind), 2
    with av.open(str(tmp_path / "a.mkv"), "w") as file:
        stream = file.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = *rgb.shape[:2], kind
        for _ in range(count):
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    with Cuda() as device:
        device.copies.clear()
        frames, options = read_frames(tmp_path / "a.mkv"), FixOptions(batch=8, chunk=count, always=True)
        for done in fix_stream(frames, Known(picture.faces), made[DEVICE]["restorer"], options, device=DEVICE):
            planes.write(frame, done.frame.video.colours, done.image, done.mask, done.frame.samples(DEVICE))
        size = sum(plane.nbytes for plane in planes.arrays(frame))
        assert [copy for copy in device.copies if copy.to_device] == [(True, size, False)] * count
        # Of all frames what scene cuts are found by; of each whether it is grey and finite, where it was changed and to what.
        assert sum(copy.waits for copy in device.copies) == 1 + 4 * count


@pytest.mark.parametrize("smaller", [1, 5])
def test_a_face_costs_few_kernels_however_often_its_pixels_are_sampled(smaller):
    """A face five times smaller than its crop is averaged over 25 samples a pixel."""
    with Cuda() as device:
        made = scene((640 // smaller, 480 // smaller), 1)
        image = made.image.to(DEVICE)
        device.kernels = 0
        aligned = align(image, made.faces, 128)
        aligning, device.kernels = device.kernels, 0
        paste(image, aligned, "square")
        assert aligning <= 40 and device.kernels <= 50


def test_a_device_is_asked_once_about_many_faces(picture):
    """The sharpness of faces and of crops, and each of the images of a batch."""
    with Cuda() as device:
        images = picture.image.to(DEVICE).repeat(2, 1, 1, 1)
        faces = Known(picture.faces).detect(images, DetectionOptions())
        aligned = align(images, faces, 64)
        for ask in (
            lambda: align(images, faces, 64),
            lambda: measure_sharpness(images, faces),
            lambda: measure_crop_sharpness(aligned.crops),
        ):
            device.copies.clear()
            ask()
            assert [copy.to_device for copy in device.copies] == [False]
        device.copies.clear()
        aligned.subset([2, 0])
        assert not device.copies


def test_the_grain_of_an_image_is_read_once_a_face():
    picture = scene((640, 480), 2)
    with Cuda() as device:
        noise = torch.randn(picture.image.shape, generator=torch.Generator().manual_seed(0)) * 0.05
        image = (picture.image * 0.6 + 0.2 + noise).to(DEVICE)
        aligned = align(image, picture.faces, 64)
        smooth = aligned.with_crops(torch.full_like(aligned.crops, 0.5))
        device.copies.clear()
        pasted = paste(image, smooth, grain=0)[0]
        copies = [copy.to_device for copy in device.copies]
        assert not torch.equal(pasted.cpu(), paste(image, smooth)[0].cpu())  # some was added, and went to the device
        assert copies.count(False) == 1 + len(picture.faces)  # and whether all is finite


@pytest.mark.parametrize("way", ["plain", "faces enlarged", "aligned"])
def test_a_network_that_breaks_on_a_device_is_named(picture, made, way):
    with Cuda():
        broken = copy.deepcopy(made[DEVICE]["restorer"])
        broken.file, broken.restore = "broken.pth", lambda crops, *_: crops / 0
        with pytest.raises(RuntimeError, match="broken.pth gave values that are not finite"):
            WAYS[way](picture.image.to(DEVICE), picture.faces, {"restorer": broken})


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_simulated_device_is_as_strict_as_a_gpu(mode):
    with mode(), FakeCuda() as device:
        there, here = torch.ones(3, device=DEVICE), torch.ones(3)
        for wrong in (lambda: there + here, lambda: torch.stack([there[0], here[0]]), lambda: here[there > 0]):
            with pytest.raises(RuntimeError, match="is on the CPU"):
                wrong()
        with pytest.raises(TypeError, match="no float64"):
            there.double()
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
        asks = (there.cpu, there.tolist, there[0].item, there.nonzero, lambda: bool(there[0]), lambda: there.equal(there + 1))
        for copies in (*asks, lambda: there[here > 0], lambda: there.copy_(here), lambda: float(there.sum())):
            device.copies.clear()
            copies()
            assert len(device.copies) == 1
        assert (there * 2 + 1).tolist() == [3, 3, 3]


def test_pasting_on_a_device_changes_only_what_the_mask_says(picture):
    with Cuda():
        image = picture.image.to(DEVICE)
        aligned = align(image, picture.faces, 64)
        pasted, changed = (part.to(HOST) for part in paste(image, aligned.with_crops(1 - aligned.crops)))
    untouched = (changed == 0).expand_as(pasted)
    assert untouched.any() and torch.equal(pasted[untouched], picture.image[untouched])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("way", [way for way in WAYS if way != "sweep"])  # whose crops show the codes that rounding flips
def test_a_picture_of_another_type_stays_of_that_type(picture, made, way, dtype):
    coarse = picture.image.to(dtype)
    found = WAYS[way](coarse, picture.faces, made[HOST])
    assert found.dtype == dtype
    assert (found.float() - WAYS[way](coarse.float(), picture.faces, made[HOST])).abs().mean() < 0.01

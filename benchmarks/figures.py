"""Draw the documentation's images of results, from public-domain photos and with what comes with the project.

python -m benchmarks.figures [FOLDER]     # docs by default; nothing is downloaded
"""

import argparse
import io
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from codeformer_core import DetectionOptions, Face, FixOptions, fix, fix_aligned, fix_video, load
from codeformer_core.align import align

ROOT = Path(__file__).resolve().parent.parent

CREW = ROOT / "tests" / "data" / "photos" / "nasa_sts114_crew_7faces.jpg"  # NASA, public domain
SMALL = ROOT / "docs" / "crew.jpg"  # the same at 35 %, JPEG quality 40

FIDELITIES = (0.0, 0.5, 1.0)

#: Pixels between images, of the side of a face, and of a line of text.
GAP, SIDE, TITLE = 8, 192, 26


def fidelity(people: Sequence[int] = (1, 3, 6)) -> Image.Image:
    """Faces of 48 x 48 noisy, compressed pixels: enlarged, restored at three fidelities, and as the photo shows them."""
    photo, restorer, rows = _pixels(_opened(CREW)), load("starter"), []
    faces = sorted(_faces(photo), key=lambda face: face.box[0])
    for crop in align(photo, [faces[person] for person in people], 2 * SIDE).crops:
        before = _degraded(_image(crop[None]))
        after = [fix_aligned(_pixels(before), restorer, FixOptions(fidelity=w, always=True)).images for w in FIDELITIES]
        rows.append([_tile(image) for image in (before, *map(_image, after), _image(crop[None]))])
    return _grid(rows, ["before", *(f"w = {w:g}" for w in FIDELITIES), "the original photo"])


def photo() -> Image.Image:
    """The small photo's upper part, enlarged and fixed."""
    small = _opened(SMALL)
    enlarged = small.resize((2 * small.width, 2 * small.height), Image.Resampling.BICUBIC)
    fixed = fix(small, load("mtcnn"), load("starter"), FixOptions(upscale=2))
    return _grid([[image.crop((0, 0, image.width, round(image.height * 0.44)))] for image in (enlarged, fixed)], [])


def video(frames: int = 30, columns: int = 5) -> Image.Image:
    """Frames of a strongly compressed video before and after."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "before.mp4"), Path(folder, "after.mp4")
        _slide(before, frames)
        fix_video(before, after, load("mtcnn"), load("starter"), FixOptions(upscale=2))
        chosen = [round(i * (frames - 1) / (columns - 1)) for i in range(columns)]
        return _grid([list(_frames(path, chosen)) for path in (before, after)], [f"frame {i + 1}" for i in chosen])


#: Name of a file -> what draws it.
FIGURES = {"fidelity.jpg": fidelity, "photo.jpg": photo, "video.jpg": video}


def _opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _pixels(image: Image.Image) -> Tensor:
    """(1, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)[None]


def _image(pixels: Tensor) -> Image.Image:
    return Image.fromarray((pixels[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())


def _faces(pixels: Tensor) -> list[Face]:
    return load("mtcnn").detect(pixels, DetectionOptions())


def _tile(image: Image.Image) -> Image.Image:
    return image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def _degraded(crop: Image.Image, side: int = 48, noise: float = 4, quality: int = 60) -> Image.Image:
    """The crop shrunk, with noise of so many levels, as a JPEG."""
    small = np.asarray(crop.resize((side, side), Image.Resampling.BOX), np.float32)
    noisy = small + np.random.default_rng(0).normal(0, noise, small.shape)
    file = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def _slide(path: Path, frames: int, side: int = 80, person: int = 3) -> None:
    """Write a video of a square window that moves across a face of the small photo, with noise and at a low bit rate."""
    image, noise = _opened(SMALL), np.random.default_rng(0)
    x, y = sorted(face.centre for face in _faces(_pixels(image)))[person]
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10, options={"crf": "30"})
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        for left in np.linspace(x - 0.65 * side, x - 0.35 * side, frames):
            box = (left, y - side / 2, left + side, y + side / 2)
            window = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, box), np.float32)
            noisy = (window + noise.normal(0, 5, window.shape)).clip(0, 255).astype(np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        file.mux(stream.encode())


def _frames(path: Path, chosen: Sequence[int]) -> Iterator[Image.Image]:
    with av.open(str(path)) as file:
        for i, frame in enumerate(file.decode(video=0)):
            if i in chosen:
                yield _tile(frame.to_image())


def _grid(rows: Sequence[Sequence[Image.Image]], titles: Sequence[str]) -> Image.Image:
    """Rows of images of one size on white, with a title above each column."""
    width, height, top = rows[0][0].width, rows[0][0].height, TITLE if titles else 0
    sheet = Image.new("RGB", (len(rows[0]) * (width + GAP) - GAP, top + len(rows) * (height + GAP) - GAP), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for column, title in enumerate(titles):
        pen.text((column * (width + GAP) + width / 2, top / 2), title, "black", font, "mm")
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            sheet.paste(image, (column * (width + GAP), top + row * (height + GAP)))
    return sheet


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "docs")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Write every figure."""
    folder = parser().parse_args(argv).folder
    for name, draw in FIGURES.items():
        draw().save(folder / name, quality=88)


if __name__ == "__main__":
    main()

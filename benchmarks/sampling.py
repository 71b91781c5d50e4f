"""What geometry and sampling lose, in dB, with reference and with exact sampling: faces are replaced by the true ones.

python -m benchmarks.sampling photo.jpg ... [--detector NAME]
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from codeformer_core import image_io, load
from codeformer_core.faces import Face
from codeformer_core.options import DetectionOptions

from .oracle import measure, pasted, times_smaller

#: How many times smaller than their crops faces are in the images that they are pasted into.
SMALLER = (2, 4, 10)

#: The choices of `FixOptions.sampling`, in the order of the columns.
SAMPLING = ("reference", "exact")


def rows(image: Tensor, faces: Sequence[Face]) -> list[list[str]]:
    """A row for the image (1, 3, H, W) enlarged twice again, and one for each of `SMALLER`."""
    cases = [("enlarged 2 times", 2.0, True)]
    cases += [(f"{times} times smaller", times / times_smaller(faces[0]), False) for times in SMALLER]
    table = []
    for name, factor, enlarge in cases:
        if factor <= 1:
            continue  # the faces of this image are smaller than that already
        row = [name]
        for sampling in SAMPLING:
            found = measure(*pasted(image, faces, factor, enlarge, sampling))
            row += [f"{found.psnr:.1f}", f"{found.energy:.2f}"]
        row.append(f"{found.background:.1f}" if enlarge else "")
        table.append(row)
    return table


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sampling", description=__doc__)
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--detector", default="yunet", help="a name as in `codeformer models list`, or the path of a file")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table for each photo."""
    args = parser().parse_args(argv)
    detector = load(args.detector)
    heading = ["faces", "reference dB", "energy", "exact dB", "energy", "bicubic dB"]
    for path in args.photos:
        image = image_io.read(path).image.to(torch.float32)
        faces = detector.detect(image, DetectionOptions())
        print(f"\n{path.name}: {len(faces)} faces")
        for row in [heading, *rows(image, faces)] if faces else []:
            print("  ".join(cell.rjust(16) for cell in row))


if __name__ == "__main__":
    main()

"""Nothing is pasted over what an occluder sees in front of a face."""

import numpy as np
import pytest
import torch
from PIL import Image

from codeformer_core import Extras, checkpoints, load
from codeformer_core.cli import main
from codeformer_core.detection.faces_json import to_json
from codeformer_core.pipeline import fix_faces

pytest.importorskip("onnxruntime", reason="ONNX files need the package onnxruntime")
pytest.importorskip("onnx", reason="the tests build networks with the package onnx")
onnx_files = pytest.importorskip("onnx_files")

#: A green bar over the mouth of the astronaut: rows, columns.
BAR = slice(134, 154), slice(180, 270)


class Inverts:
    """A restorer that changes every pixel."""

    side = 512

    def restore(self, crops, fidelity, match_style):
        return 1 - crops


@pytest.fixture
def covered(photo):
    """The astronaut behind a green bar, and the faces of the photo without it."""
    image = photo("photos/astronaut_1face.png")
    found = load("mtcnn").detect(image)

    class Found:
        def detect(self, images, options):
            return found

    image = image.clone()
    image[0, :, BAR[0], BAR[1]] = torch.tensor([0.0, 1.0, 0.0])[:, None, None]
    return image, Found()


def tensor(path):
    return torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None] / 255


def changed(image, fixed):
    return (fixed != image)[0].any(0)


@pytest.mark.parametrize("kind", [{}, {"logits": True}, {"channels_last": True}, {"channels_last": True, "logits": True}])
def test_what_covers_a_face_keeps_every_bit_whatever_kind_of_occluder_sees_it(covered, tmp_path, kind):
    image, detector = covered
    occluder = checkpoints.load(onnx_files.occluder(tmp_path / "mine.onnx", **kind))
    assert (occluder.role, occluder.side) == ("occluder", 256)
    fixed = fix_faces(image, detector, Inverts(), extras=Extras(occluder=occluder))
    rows, columns = (slice(span.start + 3, span.stop - 3) for span in BAR)  # the occluder's pixels are larger
    assert not changed(image, fixed.images)[rows, columns].any() and fixed.mask[0, 0, rows, columns].max() == 0
    skin = image[0, 0] > image[0, 1] + 0.12
    assert changed(image, fixed.images)[95:135, 200:250][skin[95:135, 200:250]].float().mean() > 0.9
    plain = fix_faces(image, detector, Inverts()).images
    assert changed(image, plain)[rows, columns].float().mean() > 0.5


def test_the_command_line_takes_one(covered, tmp_path):
    image, _ = covered
    source, out, model = tmp_path / "in.png", tmp_path / "out", onnx_files.occluder(tmp_path / "xseg_1.onnx")
    Image.fromarray((image[0].permute(1, 2, 0) * 255).round().byte().numpy()).save(source)
    (tmp_path / "faces.json").write_text(to_json(load("mtcnn").detect(image), (512, 512)))
    restorer = onnx_files.restorer(tmp_path / "mine.onnx")
    command = ["fix", str(source), "-o", str(out), "--faces-from", str(tmp_path / "faces.json"), "--model", str(restorer)]
    assert main([*command, "--suffix", "all", "--always"]) == 0
    assert main([*command, "--suffix", "seen", "--always", "--keep-out-model", str(model)]) == 0
    everything, seen = (tensor(out / f"in_{name}.png") for name in ("all", "seen"))
    rows, columns = (slice(span.start + 3, span.stop - 3) for span in BAR)
    assert changed(image, everything)[rows, columns].any() and not changed(image, seen)[rows, columns].any()
    assert changed(image, seen)[95:135, 200:250].any()


def test_other_networks_are_refused(tmp_path, data, capsys):
    photo, restorer = data / "photos" / "astronaut_1face.png", onnx_files.restorer(tmp_path / "mine.onnx")
    command = ["fix", str(photo), "-o", str(tmp_path / "out.png"), "--detector", "mtcnn", "--device", "cpu"]
    assert main([*command, "--keep-out-model", str(restorer)]) == 1
    assert "mine.onnx is a restorer for restoration. Needed is an occluder" in capsys.readouterr().err
    assert main([*command, "--model", str(onnx_files.occluder(tmp_path / "xseg_1.onnx"))]) == 1
    assert "xseg_1.onnx is a face occluder. Needed is a restorer" in capsys.readouterr().err

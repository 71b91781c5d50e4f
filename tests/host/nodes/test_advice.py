"""Errors in nodes: what they advise can be done in the browser."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

#: What no error in a node may say.
COMMAND = re.compile(r"`codeformer\b")

BROKEN = {
    "garbage": b"\x80\x02 this is no checkpoint at all",
    "empty": b"",
    "a web page": b"<!DOCTYPE html><html></html>",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
}


@pytest.mark.parametrize("name", ["codeformer.pth", "mine.pth"])
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_answered_with_what_can_be_done_in_the_browser(pack, content, name):
    import folder_paths

    folder = Path(folder_paths.get_folder_paths("facerestore_models")[0])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    assert not path.exists()
    path.write_bytes(content)
    try:
        with pytest.raises(ValueError) as error:
            pack.run("CodeFormerModelLoader", model_name=name)
    finally:
        path.unlink()
    assert not COMMAND.search(str(error.value))
    assert re.search(r"run the workflow again|in the loader", str(error.value))


def messages(path):
    """The texts that a file of the core can raise, with {} for what is filled in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for said in (node for node in ast.walk(tree) if isinstance(node, ast.Raise | ast.Return)):
        joined = [node.values for node in ast.walk(said) if isinstance(node, ast.JoinedStr)]
        single = [[node] for node in ast.walk(said) if isinstance(node, ast.Constant)]
        for parts in joined + [[part] for [part] in single if not any(part in values for values in joined)]:
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)


def test_every_command_that_the_core_advises_has_words_for_nodes(pack):
    from_core = [
        path for path in (ROOT / "codeformer_core").rglob("*.py") if not {"cli", "training", "image_io"} & set(path.parts)
    ]
    said = [text for path in from_core for text in messages(path) if COMMAND.search(text)]
    assert said
    translate = importlib.import_module(pack.hosted.__name__.replace("networks", "language")).translate
    assert not [text for text in said if COMMAND.search(translate(text, "en"))]


def test_a_wrong_checkpoint_for_inpaint_is_said_before_anything_is_painted(pack, tiny_checkpoint, picture):
    model = pack.hosted.HostedRestorer(pack.network(tiny_checkpoint))
    faces = pack.core("align").align(picture.movedim(-1, 1), [], 64)
    with pytest.raises(ValueError, match="codeformer_inpainting.pth"):
        pack.run("CodeFormerInpaint", faces=faces, model=model, feather=0, tolerance=8)

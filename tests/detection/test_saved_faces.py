"""Saved faces that people and other programs have edited: read, or refused in a sentence that names what is wrong."""

import json
from pathlib import Path

import pytest
from drawn import draw

from codeformer_core.cli import main
from codeformer_core.detection.faces_json import from_json, to_json
from codeformer_core.faces import Face

FACE = Face(0, (10.0, 5.0, 30.0, 25.0), ((15.0, 12.0), (25.0, 12.0), (20.0, 16.0), (16.0, 20.0), (24.0, 20.0)), 0.9)

TEXT = to_json([FACE], (30, 40))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_encoding_of_unicode_is_read(encoding: str) -> None:
    assert from_json(TEXT.encode(encoding)) == ([FACE], (30, 40))


def test_a_byte_order_mark_in_text_is_skipped() -> None:
    assert from_json("\ufeff" + TEXT) == ([FACE], (30, 40))


def edited(**parts: object) -> str:
    record = json.loads(TEXT)
    record["faces"][0] |= parts
    return json.dumps(record)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "is not JSON"),
        ('{"a":' * 100_000, "is not JSON"),
        (TEXT.replace('"image": 0', '"image": ' + "9" * 5000), "is not JSON"),
        (b"\xe4\xf6" + TEXT.encode(), "is not JSON"),
        ("", "is not JSON"),
        (edited(image=10**400), "as the image of saved face 1"),
        (edited(box=[0, 0, 10**400, 5]), "as the box of saved face 1"),
        (edited(box=[[[[]]]]), "as the box of saved face 1"),
        (edited(box=[5, 5, 5, 5]), "as the box of saved face 1"),
        (edited(score=float("nan")), "as the score of saved face 1"),
        (edited(landmarks=[[5, 5]] * 5), "5 different points"),
        (edited(landmarks=[[5 + n / 100, 5] for n in range(5)]), "5 different points"),
        (edited(landmarks=[[1, 2, 3]] * 5), "5 different points"),
        (edited(landmarks={"left": 1}), "5 different points"),
        (TEXT.replace("[30, 40]", f"[{10**400}, 40]"), "Found the image size"),
        (TEXT.replace('"version": 1', '"version": [[[]]]'), "saved faces of version"),
    ],
)
def test_what_is_no_file_of_faces_is_refused_in_a_sentence(text: str | bytes, said: str) -> None:
    with pytest.raises(ValueError, match="Found") as refused:
        from_json(text)
    assert said in str(refused.value) and len(str(refused.value)) < 400


@pytest.mark.parametrize("text", ["{", edited(image=3)])
def test_the_command_line_names_the_file_and_not_the_image(
    tmp_path: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path, image = tmp_path / "faces.json", draw(tmp_path / "a.png")
    path.write_text(text)
    argv = ["fix", str(image), "-o", str(tmp_path / "out"), "--faces-from", str(path), "--model", str(tiny_checkpoint)]
    assert main(argv) == 1
    assert f"codeformer fix: {path}: Found" in capsys.readouterr().err

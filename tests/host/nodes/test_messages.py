"""What nodes say, in Chinese: every message has a translation, every translation a message, and composed reports are whole."""

import json
import re
import string
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.messages import literals, messages

from .test_nodes import DETECTION

ROOT = Path(__file__).resolve().parents[3]
CHINESE = json.loads((ROOT / "locales/zh/messages.json").read_text(encoding="utf-8"))

MODELS = json.loads((ROOT / "weights/manifest.json").read_text(encoding="utf-8"))["models"]

#: Files whose errors are for programmers, or for values that no widget or socket can have.
INTERNAL = {
    *("codeformer_core/__init__.py", "codeformer_core/networks/vqgan.py", "codeformer_core/networks/precision.py"),
    *("codeformer_core/options/steadiness.py", "codeformer_core/video/code_averaging.py"),
    *("codeformer_core/options/option.py", "codeformer_core/extras.py"),
    # Of the command line alone:
    *("codeformer_core/runtime/addresses.py", "codeformer_core/video/film.py", "codeformer_core/video_io/parts.py"),
    "codeformer_core/networks/openvino_engine.py",  # and of Python
}

#: Such messages in other files.
NOT_MET = {
    "{} cannot be opened as numbered frames ({}). Save them as PNG, JPEG or TIFF files.",
    "A VideoWriter writes inside its `with` statement.",
    "There is no home folder to download into. Set {} or CODEFORMER_WEIGHTS to a folder of yours.",
    "Found {} of shape {}. Expected a tensor (B, 3, H, W) of floats in [0, 1]: see `fix`.",
    "Found a {} as a frame. Expected an object whose image(device) gives (1, 3, H, W); `fix_frames` takes a tensor of frames.",
    "The rest of the frames does not come: the file is removed.",
    "A mask of {} for an image of {}, expected the same size.",
    "Got {} in a video of {} x {}, expected the same size for every frame.",
    "Got a {}, expected the path of a video file or a BytesIO with its bytes.",
    "{} does not end in the name of a video format. Use one of {}.",
    "{} is the source video and is being read. Choose another name.",
    "Found {} masks as {} for a sequence. Expected one, for all frames.",
    "Found {} blends for {} faces. Expected one number, or one for each face.",
    "Found a batch of {} faces. Expected 1 or more.",
    "Only faces below a sharpness of {} are asked for and none was measured: measure it.",
}

#: A value that is none of the choices of a combo, which the host refuses first.
CHOICE = re.compile(r"\{\} is no (?!choice for keep detail)[\w ]+\. Use one (or more )?of: .*")


def test_every_message_that_people_can_meet_has_a_translation():
    met = {text for text, file in messages().items() if file not in INTERNAL and not CHOICE.fullmatch(text)}
    assert sorted(met - NOT_MET - CHINESE.keys()) == []


def test_every_notice_about_a_licence_has_a_translation():
    assert {model["notice"] for model in MODELS if model["role"] != "upscaler"} <= CHINESE.keys()


def test_no_translation_is_left_over():
    """A key is a literal of the source or of the manifest, or is put together there of such ones."""
    known = literals() | {text for model in MODELS for text in (model["notice"], model.get("about", ""))}
    words = {word for text in known for word in re.findall(r"[A-Za-z]+", text)}
    left = [key for key in CHINESE if key not in known and not set(re.findall(r"[A-Za-z]+", key)) <= words]
    assert left == []


def test_a_translation_has_only_values_of_its_message():
    for english, chinese in CHINESE.items():
        fields = [field for _, field, _, _ in string.Formatter().parse(chinese) if field is not None]
        count = len(re.findall(r"\{\}", english))
        numbered = {int(field) for field in fields if field}
        assert len(fields) <= count if not numbered else numbered <= set(range(count)), english
        assert not english.isascii() or not chinese.isascii(), english


@pytest.fixture
def zh(pack):
    """Translates into Chinese."""
    language = pack.module("nodes.host.language")
    return lambda text: language.translate(text, "zh")


def english_left(text):
    """Words of a translation that are English still, but for names and units."""
    return set(re.findall(r"[A-Za-z]{3,}", text)) - {"NaN", "IMAGE", "MASK", "MTCNN", "YuNet", "pth", "codeformer", "list"}


def test_a_report_on_faces_is_whole(pack, zh, picture):
    faces = pack.core("faces")
    report, select, options = (pack.core(name) for name in ("selection.report", "selection.select", "options"))
    found = pack.finds((10.0, 10.0, 40.0, 40.0), (60.0, 20.0, 110.0, 70.0)).detect(picture, None)
    said = []
    for wanted in (
        {"numbers": (2,), "order": "left"},
        {"max_size": 40.0},
        {"min_percent": 50.0},
        {"confidence": 0.95},
        {"first": 1, "count": 1, "order": "size"},
        {"sharpness": 0.3},
        {"eye_distance": 90.0},
        {"inside": 0.5},
    ):
        mask = torch.zeros(1, 1, 9, 9) if "inside" in wanted else None
        kept, skipped = select.select(found, (90, 120), options.Selection(**wanted), mask=mask, sharpness=[0.2, 0.4] * 2)
        said += [report.report(kept, skipped), report.summarize(len(kept), skipped)]
    larger, sharper = "larger than this model draws (128 px)", "sharper than this model's result"
    harmed = [faces.Harmed(found[0], reason) for reason in (larger, sharper, larger)]
    said += [report.summarize(4, harmed), report.summarize(0, harmed[:1]), report.summarize(0, []), report.report([], [])]
    said += [report.report(found * 20, [])]
    for text in said:
        assert not english_left(zh(text)), f"{text!r} -> {zh(text)!r}"
    larger, sharper = "大于此模型所绘的尺寸（128 像素）", "比此模型的结果更清晰"
    assert zh(said[-5]) == f"找到 7 张人脸。2 张人脸{larger}：保持原样。1 张人脸{sharper}：保持原样。"


def test_a_number_outside_the_range_of_an_option_is_said_in_chinese(pack, zh):
    """A widget begins with 0 where the least number beside it is 16, so that 8 can be typed."""
    ranges = set()
    for field in pack.core("options").option_fields(pack.core("options").FixOptions()):
        if isinstance(field.default, (int, float)) and not isinstance(field.default, bool):
            ranges.add(str(field.about.numbers(isinstance(field.default, int))))
    assert "a whole number from 16 on, or 0" in ranges
    for expected in ranges:
        assert english_left(zh(f"Found 8 as tile. Expected {expected}.")) == {"tile"}, expected


@pytest.mark.parametrize("codec", ["", " (mjpeg)"], ids=["unknown", "known"])
def test_a_stream_that_is_left_out_is_said_in_chinese(pack, zh, codec):
    for kind in ("The cover picture", "A stream", *pack.core("video_io.remux")._TYPES.values()):
        assert english_left(zh(f"{kind}{codec}: not supported by MP4, left out.")) <= {"mjpeg"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "Found list at image. Expected an IMAGE of the shape (images, height, width, 3 or 4): connect another node.",
            "“图像”",
        ),
        ("mine.pth is a face detector; a face restorer is needed here. Choose another file in this node.", "人脸检测器"),
        ("120 of 900 frames, 3.4 a second, 3:49 left", "第 120 / 900 帧，每秒 3.4 帧，剩余 3:49"),
        ("90 frames, 80 of them with faces; 2 faces were tracked.", "共 90 帧，其中 80 帧有人脸；跟踪了 2 张人脸。"),
        (
            "x.pth is empty (0 bytes); found 0 bytes, expected 3. Delete it and fetch it again: `codeformer models fetch x`.",
            "请删除",
        ),
        ("a sentence that nobody knows", "a sentence that nobody knows"),
    ],
)
def test_messages_are_translated_with_their_parts(zh, text, said):
    assert said in zh(text)


def test_errors_and_messages_are_in_the_language_of_the_client_and_the_log_is_english(
    pack, picture, one_face, monkeypatch, caplog
):
    language = pack.module("nodes.host.language")
    server = SimpleNamespace(PromptServer=SimpleNamespace(instance=SimpleNamespace(client_id="a browser")))
    monkeypatch.setitem(language.sys.modules, "server", server)
    language.remember("a browser", "zh")
    with pytest.raises(ValueError, match="没有人脸检测器.*请连接“加载人脸检测器”") as raised:
        pack.run("CodeFormerFaceDetect", image=picture, **DETECTION)
    assert str(raised.value.__cause__).startswith("Found no face detector")
    with caplog.at_level("INFO"):
        pack.run("CodeFormerFaceDetect", image=picture, detector=one_face, **DETECTION)
    assert "2 faces found." in caplog.text
    for unknown in ("en", "zh-TW", "../zh", "", "fr"):
        language.remember("a browser", unknown)
        with pytest.raises(ValueError, match="Found no face detector"):
            pack.run("CodeFormerFaceDetect", image=picture, **DETECTION)


def test_only_the_last_clients_are_remembered(pack):
    language = pack.module("nodes.host.language")
    for number in range(language.MAX_CLIENTS + 10):
        language.remember(f"client {number}", "zh")
    assert len(language._languages) == language.MAX_CLIENTS and "client 0" not in language._languages
    language._languages.clear()

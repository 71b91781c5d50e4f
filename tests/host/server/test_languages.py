"""Translations and help pages as the real host hands them to the browser."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_host_serves_the_words_of_the_nodes(server, language):
    served = server.json("/i18n")[language]["nodeDefs"]
    assert served == json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
    ours = {name for name, node in server.json("/object_info").items() if "codeformer-suite" in node["python_module"]}
    assert set(served) == ours if language == "zh" else set(served) <= ours  # English words are those of the schemas


def test_the_host_serves_every_help_page_and_image_where_the_browser_looks(server):
    files = [path for path in (ROOT / "web" / "docs").rglob("*") if path.is_file()]
    assert len(files) > 40
    for path in files:
        served = server.get(f"/extensions/codeformer-suite/{path.relative_to(ROOT / 'web').as_posix()}")
        assert served == path.read_bytes(), path


@pytest.mark.parametrize(
    ("asked", "said"), [("zh", "没有人脸检测器"), ("fr", "Found no face detector"), (None, "Found no face")]
)
def test_an_error_is_in_the_language_that_the_browser_asked_for(server, portrait, asked, said):
    if asked:
        server.post("/codeformer/language", {"client_id": "a browser", "language": asked})
    prompt = {
        "picture": {"class_type": "LoadImage", "inputs": {"image": "example.png"}},
        "detect": {"class_type": "CodeFormerFaceDetect", "inputs": {"image": ["picture", 0]}},
        "show": {"class_type": "PreviewAny", "inputs": {"source": ["detect", 2]}},
    }
    client = {"client_id": "a browser"} if asked else {}
    entry = server.wait(server.post("/prompt", {"prompt": prompt, **client})["prompt_id"])
    assert said in server.error(entry)
    assert "Found no face detector" in server.log, "the log is English"


@pytest.mark.parametrize(("asked", "said"), [("zh", "不在本机上"), ("fr", "is not on disk"), (None, "is not on disk")])
@pytest.mark.parametrize(
    ("kind", "inputs"),
    [("CodeFormerModelLoader", {"model_name": "mine.pth"}), ("CodeFormerFaceDetectorLoader", {"model_name": "mine.pth"})],
)
def test_what_is_refused_before_a_run_is_so_too(server, asked, said, kind, inputs):
    if asked:
        server.post("/codeformer/language", {"client_id": "another", "language": asked})
    prompt = {
        "load": {"class_type": kind, "inputs": inputs},
        "show": {"class_type": "PreviewAny", "inputs": {"source": ["load", 0]}},
    }
    answer = server.post("/prompt", {"prompt": prompt, **({"client_id": "another"} if asked else {})})
    (error,) = answer["node_errors"]["load"]["errors"]
    assert said in error["details"]
    assert "'mine.pth' is not on disk" in server.log, "the log is English"


def test_every_script_is_loaded_once(server):
    scripts = [f"/extensions/codeformer-suite/js/{path.name}" for path in (ROOT / "web" / "js").glob("*.js")]
    listed = [path for path in server.json("/extensions") if "codeformer" in path]
    assert sorted(listed) == sorted(scripts)

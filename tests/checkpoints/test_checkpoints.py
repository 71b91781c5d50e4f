"""Model files: the catalogue, where files are found, how they are fetched from a real server, and what is refused."""

import hashlib
import json
import os
import pickle
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import fields, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from safetensors.torch import save_file

from codeformer_core import api, checkpoints
from codeformer_core.checkpoints import ModelFile, catalogue, fetch, fetching, find, lookup, read, verify
from codeformer_core.checkpoints.request import _SafeRedirects
from codeformer_core.networks.codeformer import CodeFormer
from codeformer_core.networks.transformer import join_attention
from codeformer_core.networks.vqgan import Architecture

ROOT = Path(__file__).resolve().parents[2]
PAYLOAD = random.Random(0).randbytes(1_500_000)


# --- the catalogue --------------------------------------------------------------------------------------------------------


def test_every_entry_of_the_manifest_is_complete() -> None:
    entries = json.loads((ROOT / "weights" / "manifest.json").read_text(encoding="utf-8"))["models"]
    for entry in entries:
        of_packages = set() if "requirement" in entry else {"requirement", "inside"}
        assert set(entry) | {"side", "about"} == {field.name for field in fields(ModelFile)} - of_packages, entry["name"]
        assert entry["role"] in ("restorer", "detector", "parser", "upscaler", "recogniser", "background")
        assert (entry["task"] is not None) == (entry["role"] in ("restorer", "background"))
        assert entry["urls"] and all(url.startswith("https://") for url in entry["urls"])
        assert entry["bytes"] is None or entry["bytes"] > 100_000
        assert re.fullmatch("[0-9a-f]{64}", entry["sha256"]) if entry["sha256"] else "structural" in entry["note"]
        assert entry["licence"] and entry["notice"].endswith(".") and entry["folder"] not in entry["folders"]


def test_the_manifest_names_every_official_file_once() -> None:
    names = [name for m in catalogue() for name in {m.name, m.file, *m.aliases, *m.stand_ins}]
    assert len(names) == len(set(names))
    assert {m.name for m in catalogue() if m.role == "restorer"} == {
        "codeformer",
        "codeformer-colorization",
        "codeformer-inpainting",
        "starter",
        "gfpgan-1.2",
        "gfpgan-1.3",
        "gfpgan-1.4",
        "restoreformer",
        "restoreformer++",
        "gpen-bfr-256",
        "gpen-bfr-512",
        "gpen-bfr-1024",
        "gpen-bfr-2048",
    }
    assert {m.name for m in catalogue() if m.role != "restorer"} == {
        "retinaface-resnet50",
        "retinaface-mobile0.25",
        "yunet",
        "mtcnn",
        "dlib",
        "dlib-recogniser",
        "parsenet",
        "bisenet",
        "realesrgan-x2plus",
        "realesrgan-x4plus",
        "big-lama",
        "mat",
        "ddcolor",
        "ddcolor-tiny",
    }


def test_finding_a_file_imports_neither_torch_nor_facexlib() -> None:
    program = (
        "import sys; from codeformer_core import checkpoints; checkpoints.find('codeformer'); "
        "sys.exit(', '.join({'torch', 'facexlib', 'cv2', 'safetensors'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- finding --------------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_user_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests ignore the developer's own model files, mirror and proxy."""
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "cache"))
    for variable in ("CODEFORMER_WEIGHTS", "CODEFORMER_MIRROR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def put(path: Path, data: bytes = b"weights") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_the_folder_of_a_user_who_does_not_exist_is_only_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEFORMER_WEIGHTS", os.path.join("~nobody-of-this-name", "weights"))
    assert find("codeformer") is None and find("starter")


def test_a_folder_that_cannot_be_made_is_said_before_the_download(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file is a file, so nothing can be written into it: name another folder"):
        fetch(catalogue()[0], tmp_path / "file" / "weights")


@pytest.mark.parametrize("asked", ["codeformer", "codeformer.pth", "codeformer-v0.1.0.pth"])
@pytest.mark.parametrize("stored", ["codeformer.pth", "codeformer-v0.1.0.pth"])
@pytest.mark.parametrize("sub", ["", "facerestore_models", "face_restoration", "Codeformer"])
def test_find_knows_aliases_and_the_folders_of_other_packs(tmp_path: Path, asked: str, stored: str, sub: str) -> None:
    file = put(tmp_path / "models" / sub / stored)
    assert find(asked, [tmp_path / "models"]) == file


def test_find_looks_in_given_folders_then_the_environment_then_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [tmp_path / "given", tmp_path / "one", tmp_path / "two", tmp_path / "cache" / "codeformer"]
    monkeypatch.setenv("CODEFORMER_WEIGHTS", os.pathsep.join(map(str, places[1:3])))
    files = [put(place / "parsing_parsenet.pth") for place in places]
    for file in files:
        assert find("parsenet", places[:1]) == file
        file.unlink()
    assert find("parsenet", places[:1]) is None


def test_find_sees_the_weights_folder_of_facexlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "facexlib" / "__init__.py", b"raise SystemError('imported')")
    file = put(tmp_path / "facexlib" / "weights" / "detection_Resnet50_Final.pth")
    monkeypatch.delitem(sys.modules, "facexlib", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert find("retinaface-resnet50") == file


def test_find_takes_the_older_yunet_only_where_the_newer_is_not(tmp_path: Path) -> None:
    old = put(tmp_path / "face_detection_yunet_2023mar.onnx")
    assert find("yunet", [tmp_path]) == old
    new = put(tmp_path / "facedetection" / "face_detection_yunet_2026may.onnx")
    assert find("yunet", [tmp_path]) == new
    assert find("face_detection_yunet_2023mar.onnx", [tmp_path]) == old


def test_find_takes_paths_and_files_that_the_catalogue_does_not_know(tmp_path: Path) -> None:
    file = put(tmp_path / "facerestore_models" / "my codeformer.safetensors")
    assert find(str(file)) == file
    assert find("my codeformer.safetensors", [tmp_path]) == file
    assert find("other.pth", [tmp_path]) is None
    assert find("../my codeformer.safetensors", [tmp_path / "facerestore_models" / "x"]) is None


# --- fetching -------------------------------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """A file server whose connections can be cut, with or without Range."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.cuts: list[int] = []  # for the first requests: how many bytes until the connection is cut
        self.asked: list[tuple[str, str | None]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that stops early is part of the tests
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        wanted = self.headers.get("Range")
        server.asked.append((self.path, wanted))
        data = server.files.get(self.path)
        if data is None:
            return self.send_error(404)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if start and start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        rest = data[start:]
        self.wfile.write(rest[: server.cuts.pop(0)] if server.cuts else rest)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def model(server: Server) -> ModelFile:
    """A model of 1.5 MB that the server has under /a/ and, as a mirror would, under /b/."""
    known = lookup("retinaface-mobile0.25")
    assert known
    urls = (f"{server.address}/a/{known.file}", f"{server.address}/b/{known.file}")
    server.files = {f"/{place}/{known.file}": PAYLOAD for place in "ab"}
    return replace(known, urls=urls, bytes=len(PAYLOAD), sha256=hashlib.sha256(PAYLOAD).hexdigest())


def part_of(model: ModelFile, folder: Path) -> Path:
    return folder / f"{model.file}.part"


class Stopped(Exception):
    """Raised by progress, as a host does when the user cancels."""


def test_fetch_downloads_the_file_and_reports_progress(model: ModelFile, server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = fetch(model, tmp_path / "new" / "folder", lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == PAYLOAD
    assert os.listdir(path.parent) == [model.file]
    assert {total for _, total in seen} == {len(PAYLOAD)} and seen[-1][0] == len(PAYLOAD)
    assert all(later - earlier <= 1 << 20 for (earlier, _), (later, _) in zip([(0, 0), *seen], seen, strict=False))


def test_fetch_resumes_by_itself_after_an_interruption(model: ModelFile, server: Server, tmp_path: Path) -> None:
    server.cuts = [600_000]
    assert fetch(model, tmp_path).read_bytes() == PAYLOAD
    assert server.asked == [(f"/a/{model.file}", None), (f"/a/{model.file}", "bytes=600000-")]


def test_fetch_cancelled_by_progress_keeps_the_part_and_resumes_it(model: ModelFile, server: Server, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done > 700_000:
            raise Stopped

    with pytest.raises(Stopped):
        fetch(model, tmp_path, stop)
    kept = part_of(model, tmp_path).stat().st_size
    assert not (tmp_path / model.file).exists() and 700_000 < kept < len(PAYLOAD)
    assert fetch(model, tmp_path).read_bytes() == PAYLOAD
    assert server.asked[1] == (f"/a/{model.file}", f"bytes={kept}-")


def test_concurrent_fetches_of_one_file_download_it_once(model: ModelFile, server: Server, tmp_path: Path) -> None:
    def meet(done: int, total: int) -> None:
        if not others:  # the first chunk of the first fetch is here: now the second one comes
            others.append(threading.Thread(target=lambda: found.append(fetch(model, tmp_path, waits))))
            others[0].start()
            assert waiting.wait(30)

    def waits(done: int, total: int) -> None:
        waiting.set()

    others: list[threading.Thread] = []
    found: list[Path] = []
    waiting = threading.Event()
    found.append(fetch(model, tmp_path, meet))
    others[0].join(30)
    assert [path.read_bytes() for path in found] == [PAYLOAD, PAYLOAD]
    assert len(server.asked) == 1 and os.listdir(tmp_path) == [model.file]


def test_a_fetch_that_waits_for_another_can_be_cancelled(model: ModelFile, server: Server, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise Stopped

    with FileLock(tmp_path / f"{model.file}.part.lock"), pytest.raises(Stopped):
        fetch(model, tmp_path, stop)
    assert server.asked == []


def test_fetch_restarts_where_the_server_ignores_range(model: ModelFile, server: Server, tmp_path: Path) -> None:
    server.ranges = False
    put(part_of(model, tmp_path), PAYLOAD[:500_000])
    assert fetch(model, tmp_path).read_bytes() == PAYLOAD
    assert server.asked == [(f"/a/{model.file}", "bytes=500000-")]


def test_fetch_gives_up_on_a_server_that_adds_nothing(model: ModelFile, server: Server, tmp_path: Path) -> None:
    server.ranges, server.cuts = False, [600_000] * 9
    with pytest.raises(ConnectionError, match="600,000 of 1,500,000 bytes"):
        fetch(model, tmp_path)
    assert len(server.asked) == 3  # a first, its one retry, and the mirror; none brought more than the first


def test_fetch_renames_a_part_that_is_complete_already(model: ModelFile, server: Server, tmp_path: Path) -> None:
    put(part_of(model, tmp_path), PAYLOAD)
    assert fetch(model, tmp_path).read_bytes() == PAYLOAD
    assert server.asked == []


@pytest.mark.parametrize("stale", [PAYLOAD, PAYLOAD + b"more"])
def test_fetch_of_unknown_size_ends_where_the_server_says(
    model: ModelFile, server: Server, tmp_path: Path, stale: bytes
) -> None:
    put(part_of(model, tmp_path), stale)
    assert fetch(replace(model, bytes=None), tmp_path).read_bytes() == PAYLOAD


def test_fetch_starts_again_when_the_part_was_bad(model: ModelFile, server: Server, tmp_path: Path) -> None:
    put(part_of(model, tmp_path), b"x" * 500_000)
    assert fetch(replace(model, urls=model.urls[:1]), tmp_path).read_bytes() == PAYLOAD
    assert [wanted for _, wanted in server.asked] == ["bytes=500000-", None]


def test_fetch_removes_wrong_bytes_and_reports_both_hashes(model: ModelFile, server: Server, tmp_path: Path) -> None:
    wrong = bytes(len(PAYLOAD))
    server.files = dict.fromkeys(server.files, wrong)
    with pytest.raises(ConnectionError) as caught:
        fetch(model, tmp_path)
    assert hashlib.sha256(wrong).hexdigest() in str(caught.value) and str(model.sha256) in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_fetch_refuses_a_file_of_another_size(model: ModelFile, server: Server, tmp_path: Path) -> None:
    server.files = dict.fromkeys(server.files, b"<html>Sign in to the hotel's network</html>")
    with pytest.raises(ConnectionError, match="offers 43 bytes, expected 1,500,000"):
        fetch(model, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("first", [None, bytes(len(PAYLOAD)), b"short"])
def test_fetch_goes_to_the_next_url_after_404_or_wrong_bytes(
    model: ModelFile, server: Server, tmp_path: Path, first: bytes | None
) -> None:
    del server.files[f"/a/{model.file}"]
    if first is not None:
        server.files[f"/a/{model.file}"] = first
    assert fetch(model, tmp_path).read_bytes() == PAYLOAD
    assert [path for path, _ in server.asked] == [f"/a/{model.file}", f"/b/{model.file}"]


def test_fetch_asks_the_mirror_of_the_environment_first(
    model: ModelFile, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEFORMER_MIRROR", f"{server.address}/mine/")
    server.files[f"/mine/{model.file}"] = PAYLOAD
    fetch(model, tmp_path)
    assert server.asked == [(f"/mine/{model.file}", None)]


def test_fetch_refuses_a_mirror_that_is_no_web_address(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODEFORMER_MIRROR", tmp_path.as_uri())
    with pytest.raises(ValueError, match="expected an address with https://"):
        fetch(model, tmp_path)


def test_fetch_never_follows_a_redirection_away_from_https() -> None:
    request = urllib.request.Request("https://example.org/model.pth")
    with pytest.raises(OSError, match="away from https"):
        _SafeRedirects().redirect_request(request, None, 302, "Found", {}, "http://example.org/model.pth")


def test_fetch_offline_says_what_to_do_by_hand(model: ModelFile, tmp_path: Path) -> None:
    with socket.socket() as reserved:  # bound and not listening: nothing answers there
        reserved.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}/{model.file}"
        with pytest.raises(ConnectionError) as caught:
            fetch(replace(model, urls=(url,)), tmp_path)
    for fact in (model.file, str(tmp_path), url, "1,500,000 bytes", str(model.sha256)):
        assert fact in str(caught.value)


def test_fetch_checks_the_free_disk_space_before_it_writes(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(OSError, match="1,500,000 bytes are needed.*1,000,000 are free"):
        fetch(model, tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is always full")
def test_fetch_on_a_full_disk_removes_the_part_and_says_why(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part_of(model, tmp_path).touch()
    monkeypatch.setattr(fetching, "_opened", lambda part, mode: os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb"))
    with pytest.raises(OSError, match="ran full.*Free disk space"):
        fetch(model, tmp_path)
    assert os.listdir(tmp_path) == []


def test_fetch_returns_a_verified_file_at_once(model: ModelFile, server: Server, tmp_path: Path) -> None:
    put(tmp_path / model.file, PAYLOAD)
    assert fetch(model, tmp_path) == tmp_path / model.file
    assert server.asked == []


def test_fetch_leaves_another_file_of_that_name_alone(model: ModelFile, server: Server, tmp_path: Path) -> None:
    mine = put(tmp_path / model.file, b"my own training")
    with pytest.raises(ValueError, match="found 15 bytes, expected 1,500,000"):
        fetch(model, tmp_path)
    assert mine.read_bytes() == b"my own training" and os.listdir(tmp_path) == [model.file]
    assert server.asked == []


# --- verifying ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["retinaface-mobile0.25", "yunet"])
def test_verify_accepts_the_official_files(shared: Path, name: str) -> None:
    model = lookup(name)
    assert model
    path = find(name, [shared / "data" / "detectors"])
    assert path
    verify(path, model)


def test_verify_detects_a_changed_byte(model: ModelFile, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found SHA-256 .* expected"):
        verify(put(tmp_path / model.file, b"x" + PAYLOAD[1:]), model)
    with pytest.raises(ValueError, match="is not in"):
        verify(tmp_path / "absent.pth", model)


def checkpoint_for(task: str, path: Path) -> Path:
    """A tiny checkpoint of the released layout for a task."""
    told_by = {"restoration": (64, (8, 16)), "colorization": (64, (8,)), "inpainting": (512, (8,))}
    codebook_size, fuse_sides = told_by[task]
    architecture = Architecture(
        channels=(32, 32, 32, 32),
        res_blocks=1,
        attention=(3,),
        codebook_size=codebook_size,
        code_dim=32,
        code_side=4,
        embed_dim=64,
        layers=1,
        fuse_sides=fuse_sides,
    )
    network = CodeFormer(architecture)
    torch.save({"params_ema": join_attention(network.state_dict())}, path)
    return path


def test_without_a_known_hash_the_file_must_load_as_what_it_should_be(server: Server, tmp_path: Path) -> None:
    model = lookup("codeformer-colorization")
    assert model and model.sha256 is None
    good = checkpoint_for("colorization", tmp_path / "good.pth")
    verify(good, model)
    server.files = {f"/{model.file}": good.read_bytes()}
    fetched = fetch(replace(model, urls=(f"{server.address}/{model.file}",)), tmp_path / "models")
    assert fetched.read_bytes() == good.read_bytes()


@pytest.mark.parametrize("task", ["restoration", "inpainting", "half", "page"])
def test_without_a_known_hash_anything_else_is_refused(server: Server, tmp_path: Path, task: str) -> None:
    model = lookup("codeformer-colorization")
    assert model
    if task == "half":
        data = checkpoint_for("colorization", tmp_path / "x.pth").read_bytes()
        data = data[: len(data) // 2]
    else:
        data = b"<html>" if task == "page" else checkpoint_for(task, tmp_path / "x.pth").read_bytes()
    server.files = {f"/{model.file}": data}
    with pytest.raises(ConnectionError, match="expected a colorization restorer|does not load as a colorization restorer"):
        fetch(replace(model, urls=(f"{server.address}/{model.file}",)), tmp_path / "models")
    assert os.listdir(tmp_path / "models") == []


def test_the_older_yunet_is_verified_by_its_structure(shared: Path, tmp_path: Path) -> None:
    model = lookup("yunet")
    assert model
    old = tmp_path / "face_detection_yunet_2023mar.onnx"
    shutil.copy(shared / "data" / "detectors" / model.file, old)
    verify(old, model)
    with pytest.raises(ValueError, match="does not load as a detector"):
        verify(put(old, b"\x08\x07\x12\x07pytorch"), model)


# --- reading --------------------------------------------------------------------------------------------------------------


def weights() -> dict[str, torch.Tensor]:
    return {"encoder.weight": torch.arange(6.0).reshape(2, 3), "encoder.bias": torch.ones(2, dtype=torch.half)}


def prefixed(prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + key: value for key, value in weights().items()}


OLDER = {key: value + 1 for key, value in weights().items()}
LAYOUTS: dict[str, Any] = {
    "bare": weights(),
    "params_ema": {"params": OLDER, "params_ema": weights()},
    "params": {"params": weights(), "iter": 3},
    "state_dict": {"state_dict": weights(), "epoch": 1},
    "module.": prefixed("module."),
    "state_dict and module.": {"state_dict": prefixed("module.")},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("zipped", [True, False])
def test_every_wrapper_of_a_pth_is_unwrapped(tmp_path: Path, layout: str, zipped: bool) -> None:
    torch.save(LAYOUTS[layout], tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    same(read(tmp_path / "x.pth"))


@pytest.mark.parametrize("prefix", ["", "module.", "params_ema.", "params_ema.module."])
def test_prefixes_of_safetensors_are_removed(tmp_path: Path, prefix: str) -> None:
    save_file(prefixed(prefix), tmp_path / "x.safetensors", {"format": "pt"})
    same(read(tmp_path / "x.safetensors"))


def same(tensors: dict[str, torch.Tensor]) -> None:
    assert tensors.keys() == weights().keys()
    for key, value in weights().items():
        assert tensors[key].dtype == value.dtype and torch.equal(tensors[key], value)


@pytest.mark.skipif(not os.path.exists("/proc/self/maps"), reason="needs /proc/self/maps to see what is mapped")
def test_a_zipped_checkpoint_is_mapped_not_copied(tmp_path: Path) -> None:
    torch.save(weights(), tmp_path / "x.pth")
    tensors = read(tmp_path / "x.pth")
    assert str(tmp_path / "x.pth") in Path("/proc/self/maps").read_text(encoding="utf-8")
    same(tensors)


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"open({str(self.marker)!r}, 'w').close()",)


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_a_pickle_that_would_run_code_is_named_and_not_run(tmp_path: Path, kind: str) -> None:
    marker, path = tmp_path / "ran", tmp_path / "codeformer.pth"
    content = {"params_ema": weights(), "more": Hostile(marker)}
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Hostile(marker), protocol=2))
        pickle.loads(path.read_bytes())
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
        torch.load(path, weights_only=False)
    assert marker.exists()  # the trap works
    marker.unlink()
    with pytest.raises(ValueError, match=r"it asks for (\w+\.)?exec, which is code"):
        read(path)
    assert not marker.exists()


def test_a_pickle_of_a_newer_protocol_is_refused_and_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = put(tmp_path / "x.pth", pickle.dumps(Hostile(marker), protocol=4))
    with pytest.raises(ValueError, match="safe reader refuses"), pytest.warns(UserWarning, match="protocol 4"):
        read(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (None, "is not in"),
        (b"", "is empty"),
        (b"\n  <!DOCTYPE html><html>", "is a web page"),
        (b"<html><body>Not Found", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1009\nsize 376637898\n", "is a Git LFS pointer"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "is no checkpoint: neither"),
        (b"\x80\x02}q\x00.", "cut off, damaged or no checkpoint"),
    ],
)
@pytest.mark.parametrize("name", ["codeformer.pth", "x.safetensors", "x.onnx"])
def test_files_that_are_not_checkpoints_are_refused_with_the_reason(
    tmp_path: Path, data: bytes | None, sentence: str, name: str
) -> None:
    if data is not None:
        put(tmp_path / name, data)
    special = sentence.startswith(("is no checkpoint", "cut off"))
    if special and name == "x.onnx":
        pytest.importorskip("onnxruntime", reason="ONNX files need the package onnxruntime")
    instead = {"x.safetensors": "no safetensors file", "x.onnx": "is no network that onnxruntime"}.get(name, sentence)
    with pytest.raises(ValueError, match=instead if special else sentence) as caught:
        checkpoints.load(tmp_path / name)
    assert name in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused_with_both_sizes(tmp_path: Path, zipped: bool, share: float) -> None:
    path = tmp_path / "codeformer.pth"
    torch.save(weights(), path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    put(path, whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match=f"is cut off.*found {int(len(whole) * share):,} bytes, expected 376,637,898"):
        read(path)


@pytest.mark.parametrize("content", [{"epoch": 3, "lr": 0.1}, {"params_ema": {}}])
def test_a_checkpoint_without_tensors_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(ValueError, match="holds no tensors by name"):
        read(tmp_path / "x.pth")


def test_a_single_tensor_is_refused(tmp_path: Path) -> None:
    torch.save(torch.ones(3), tmp_path / "x.pth")
    with pytest.raises(ValueError, match="holds a Tensor, expected tensors by name"):
        read(tmp_path / "x.pth")


def test_load_recognises_networks_by_the_content_of_the_file(shared: Path, tmp_path: Path) -> None:
    detectors = shared / "data" / "detectors"
    assert checkpoints.load(detectors / "detection_mobilenet0.25_Final.pth").role == "detector"
    assert checkpoints.load(detectors / "face_detection_yunet_2026may.onnx").role == "detector"
    assert checkpoints.load(checkpoint_for("inpainting", tmp_path / "codeformer.pth")).task == "inpainting"


def test_load_downloads_a_published_file_when_asked_to(shared, server, tmp_path, monkeypatch) -> None:
    known = lookup("retinaface-mobile0.25")
    server.files = {f"/{known.file}": (shared / "data" / "detectors" / known.file).read_bytes()}
    monkeypatch.setenv("CODEFORMER_MIRROR", server.address)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    with pytest.raises(FileNotFoundError):
        api.load(known.name)
    assert api.load(known.name, download=True).role == "detector"
    assert api.load(known.name).role == "detector" and len(server.asked) == 1

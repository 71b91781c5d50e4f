"""ComfyUI as a server of its own, with the pack linked in."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]

#: Whether this Python can run the host at all, asked of the host without the pack.
PROBE = (
    "import sys; sys.argv[1:] = ['--cpu']; import comfy.options; comfy.options.enable_args_parsing(); import execution, server"
)


#: File -> size of the codebook and the sides that are fused, by which the network tells its task.
TASKS = {
    "codeformer.pth": (64, (64, 256)),
    "codeformer_colorization.pth": (64, (64,)),
    "codeformer_inpainting.pth": (512, (64,)),
}


#: The host's folders of models.
MODELS = ("facerestore_models", "facedetection", "upscale_models", "inpaint")


@pytest.fixture(scope="session")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small networks under the published names: the three CodeFormers, for crops of 512 pixels, and an upscaler."""
    import torch

    from codeformer_core.networks.codeformer import CodeFormer
    from codeformer_core.networks.transformer import join_attention
    from codeformer_core.networks.vqgan import Architecture

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    for name, (codebook, fused) in TASKS.items():
        architecture = Architecture(
            channels=(32,) * 6,
            res_blocks=1,
            attention=(5,),
            codebook_size=codebook,
            code_dim=32,
            code_side=16,
            embed_dim=64,
            layers=1,
            fuse_sides=fused,
        )
        torch.save({"params_ema": join_attention(CodeFormer(architecture).state_dict())}, folder / name)
    layers = {"0": (8, 3, 3, 3), "2": (8, 8, 3, 3), "4": (12, 8, 3, 3)}  # SRVGGNetCompact x2, which spandrel knows
    weights = {f"body.{index}.weight": torch.randn(shape) * 0.1 for index, shape in layers.items()}
    weights |= {f"body.{index}.bias": torch.zeros(shape[0]) for index, shape in layers.items()}
    weights |= {f"body.{index}.weight": torch.full((8,), 0.2) for index in (1, 3)}
    torch.save({"params": weights}, folder / "RealESRGAN_x2plus.pth")
    return folder


class Server:
    """A running ComfyUI with the pack, and the few requests that the tests make of it."""

    def __init__(self, base: Path, port: int) -> None:
        self.base = base
        self.url = f"http://127.0.0.1:{port}"

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return (self.base / "server.log").read_text(errors="replace")

    def get(self, path: str) -> bytes:
        """The body of a page."""
        with urllib.request.urlopen(self.url + urllib.parse.quote(path, safe="/?=&%"), timeout=30) as answer:
            return answer.read()

    def json(self, path: str) -> Any:
        """The body of a page, decoded."""
        return json.loads(self.get(path))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The decoded answer; that of a refusal too."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as refusal:
            text = refusal.read()
        return json.loads(text) if text else None

    def queue(self, prompt: dict[str, Any]) -> str:
        """Queue a prompt in API form; its id."""
        answer = self.post("/prompt", {"prompt": prompt})
        assert not answer.get("node_errors") and "prompt_id" in answer, answer
        return answer["prompt_id"]

    def wait(self, prompt_id: str, seconds: float = 120) -> dict[str, Any]:
        """The history of a prompt, once it has ended: `status` and `outputs`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if entry := self.json(f"/history/{prompt_id}").get(prompt_id):
                return entry
            time.sleep(0.1)
        raise TimeoutError(f"prompt still running after {seconds} s:\n{self.log[-3000:]}")

    def error(self, entry: dict[str, Any]) -> str:
        """The message of the error that a prompt ended with."""
        return next(data["exception_message"] for kind, data in entry["status"]["messages"] if kind == "execution_error")

    def prompt(self, graph: dict[str, Any]) -> dict[str, Any]:
        """A workflow in the UI's format -> the API's: what the browser sends when one presses Run."""
        info = self.json("/object_info")
        source = {link[0]: [str(link[1]), link[2]] for link in graph["links"]}
        result = {}
        for node in graph["nodes"]:
            if node["type"] not in info:  # notes
                continue
            inputs = {i["name"]: source[i["link"]] for i in node["inputs"] if i["link"] is not None}
            specs = info[node["type"]]["input"]
            values = node["widgets_values"][: -1 if node["type"] in ("LoadImage", "LoadVideo") else None]  # the upload button
            inputs |= _widgets({**specs.get("required", {}), **specs.get("optional", {})}, iter(values), inputs)
            result[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
        return result


def _widgets(specs: dict[str, Any], values: Iterator[Any], linked: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The inputs that are widgets and their values; behind a choice that has inputs of its own come these."""
    kinds = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COMFY_DYNAMICCOMBO_V3")
    found = {}
    for name, (kind, *options) in specs.items():
        forced = bool(options) and options[0].get("forceInput")
        if (isinstance(kind, list) or kind in kinds) and prefix + name not in linked and not forced:
            default = options[0].get("default") if options else None  # of a widget that is newer than the workflow
            found[prefix + name] = next(values, default)
        if kind == "IMAGECOMPARE":
            found[prefix + name] = {"__value__": ["", ""]}  # what is not saved and is sent all the same
        if kind == "COMFY_DYNAMICCOMBO_V3":
            nested = chosen(options[0], found[prefix + name])
            found |= _widgets(nested, values, linked, f"{prefix}{name}.")
    return found


def chosen(combo: dict[str, Any], key: str) -> dict[str, Any]:
    """The inputs that a choice has of its own."""
    inputs = next(option["inputs"] for option in combo["options"] if option["key"] == key)
    return {**inputs.get("required", {}), **inputs.get("optional", {})}


@pytest.fixture(scope="session")
def mirror(shared: Path) -> Iterator[str]:
    """A web server on the loopback that has the detectors' files."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(shared / "data" / "detectors"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{web.server_port}"
        web.shutdown()


@pytest.fixture(scope="session")
def server(
    comfyui: Path,
    model_files: Path,
    tiny_checkpoint: Path,
    lama_checkpoint: Path,
    ddcolor_checkpoint: Path,
    shared: Path,
    mirror: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """main.py on a free loopback port, with a base folder of its own, the repository linked in, and small models laid out."""
    base = tmp_path_factory.mktemp("server")
    for folder in ("custom_nodes", "input", *(f"models/{kind}" for kind in MODELS)):
        (base / folder).mkdir(parents=True)
    (base / "custom_nodes" / "codeformer-suite").symlink_to(ROOT, target_is_directory=True)
    (base / "models" / "checkpoints").mkdir()
    (base / "models" / "checkpoints" / "sam3.1_multiplex_fp16.safetensors").touch()  # a workflow that is not run names it
    for file in model_files.iterdir():
        (base / "models" / ("facerestore_models" if file.name in TASKS else "upscale_models") / file.name).symlink_to(file)
    (base / "models/facerestore_models/tiny.pth").symlink_to(tiny_checkpoint)
    (base / "models/inpaint/big-lama.safetensors").symlink_to(lama_checkpoint)
    (base / "models/inpaint/ddcolor_modelscope.pth").symlink_to(ddcolor_checkpoint)
    detector = "detection_mobilenet0.25_Final.pth"
    (base / "models/facedetection" / detector).symlink_to(shared / "data/detectors" / detector)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(port), "--base-directory", str(base)),
        *("--disable-auto-launch", "--disable-api-nodes", "--database-url", "sqlite:///:memory:", "--log-stdout"),
        *("--disable-all-custom-nodes", "--whitelist-custom-nodes", "codeformer-suite"),
    ]
    elsewhere = {"CODEFORMER_WEIGHTS": "", "XDG_CACHE_HOME": str(base), "LOCALAPPDATA": str(base)}
    environment = {**os.environ, **elsewhere, "CODEFORMER_MIRROR": mirror}
    with (base / "server.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=comfyui, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        running = Server(base, port)
        _await(running, process, comfyui)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(server: Server, process: subprocess.Popen[bytes], comfyui: Path) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end and process.poll() is None:
        try:
            server.get("/system_stats")
            return
        except OSError:
            time.sleep(0.25)
    alone = subprocess.run([sys.executable, "-c", PROBE], cwd=comfyui, capture_output=True, text=True, check=False)
    if alone.returncode:
        pytest.skip(f"this Python cannot run ComfyUI, even without the pack: {alone.stderr.strip().splitlines()[-1]}")
    pytest.fail(f"the server did not start:\n{server.log[-4000:]}")


@pytest.fixture(scope="session")
def portrait(server: Server, shared: Path) -> Any:
    """The astronaut under the name that the workflows load: (512, 512, 3) uint8."""
    import numpy as np
    from PIL import Image

    picture = Image.open(shared / "data/photos/astronaut_1face.png").convert("RGB")
    painted = Image.new("L", picture.size, 255)  # as the mask editor saves it: what is transparent is the mask
    painted.paste(0, (205, 90, 235, 120))
    with_mask = picture.copy()
    with_mask.putalpha(painted)
    with_mask.save(server.base / "input" / "example.png")
    return np.array(picture)

"""What every test of the command line needs."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from children import ROOT
from PIL import Image

from codeformer_core.checkpoints import manifest
from codeformer_core.networks.retinaface import RetinaFace


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Model files are only looked for where a test says, not where the developer keeps his."""
    monkeypatch.setattr(manifest, "places", lambda folders=(): tuple(folders))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks gain nothing from several threads, and on a busy computer these wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector with weights of 0: every score is one half, below the threshold, so it finds no face."""
    path = tmp_path_factory.mktemp("blind") / "detector.pth"
    state = RetinaFace(resnet=False).state_dict()
    torch.save({name: torch.zeros(value.shape, dtype=value.dtype) for name, value in state.items()}, path)
    return path


@pytest.fixture
def without_faces(tiny_checkpoint: Path, blind: Path) -> list[str]:
    """Options of a run that finds no face, in little time."""
    return ["--model", str(tiny_checkpoint), "--detector", str(blind), "--detection-side", "32"]


@pytest.fixture
def with_faces(tiny_checkpoint: Path, data: Path) -> list[str]:
    """Options of a run that has the faces of the portrait, and restores them though the network draws 64 pixels only."""
    return ["--always", "--model", str(tiny_checkpoint), "--faces-from", str(data / "faces" / "astronaut_1face.json")]


@pytest.fixture
def portrait(data: Path) -> np.ndarray:
    """(512, 512, 3) uint8: one face, at the top in the middle."""
    with Image.open(data / "photos" / "astronaut_1face.png") as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def close_up(portrait: np.ndarray) -> Image.Image:
    """The portrait's face and a little around it, 312 x 312 pixels, in which MTCNN finds it."""
    return Image.fromarray(portrait).crop((100, 0, 412, 312))


@pytest.fixture(scope="module")
def cluster(bucket: str) -> Iterator[Any]:
    """A Ray cluster of two nodes on this machine, with a CPU for one worker each; it has the environment of the bucket."""
    if not find_spec("ray") or os.name != "posix":
        pytest.skip('needs Ray (pip install -e ".[cluster]") and POSIX')
    from ray.cluster_utils import Cluster

    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    quick = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
    node = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 100 << 20, "include_dashboard": False}
    on_termination = signal.getsignal(signal.SIGTERM)  # a head node has its own, and leaves it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", paths)  # of the workers
        started = Cluster(initialize_head=True, head_node_args={**node, "_system_config": quick})
        started.add_node(**node)
        try:
            yield started
        finally:
            started.shutdown()
            signal.signal(signal.SIGTERM, on_termination)


@pytest.fixture(scope="session")
def bucket() -> Iterator[str]:
    """The address of a bucket in an S3 server on this machine, with credentials in the environment."""
    for package in ("moto", "s3fs", "upath"):
        pytest.importorskip(package, reason='needs pip install -e ".[cluster]" "moto[s3,server]"')
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(server, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "the-access-key",
            "AWS_SECRET_ACCESS_KEY": "the-secret-key",
            "AWS_DEFAULT_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }.items():
            patch.setenv(name, value)
        try:
            import s3fs

            deadline = time.monotonic() + 60
            while True:
                try:
                    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address)
                    break
                except OSError:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
            s3fs.S3FileSystem().mkdir("photos")
            yield "s3://photos"
        finally:
            process.terminate()
            process.wait()

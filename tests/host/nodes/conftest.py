"""ComfyUI in this process, the pack inside it, and the images and faces of its tests."""

import asyncio
import gc
import importlib.util
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

ROOT = Path(__file__).resolve().parents[3]
NAME = "codeformer_suite_as_a_pack"


class Pack:
    """The pack, imported by its path as the host does.

    Attributes:
        nodes: node id -> class.
        hosted: nodes/host/networks.py.
        seconds: of the processor, which importing took beyond what the host had loaded.
    """

    def __init__(self) -> None:
        gc.disable()  # a collection would count what other tests have left
        before = time.process_time()
        spec = importlib.util.spec_from_file_location(NAME, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
        module = importlib.util.module_from_spec(spec)
        sys.modules[NAME] = module
        spec.loader.exec_module(module)
        self.seconds = time.process_time() - before
        gc.enable()
        self.nodes = {node.GET_SCHEMA().node_id: node for node in asyncio.run(_node_list(module))}
        self.hosted = sys.modules[f"{NAME}.nodes.host.networks"]

    def core(self, part: str) -> ModuleType:
        """A module of the core, as the pack sees it."""
        return self.module(f"codeformer_core.{part}")

    def module(self, part: str) -> ModuleType:
        """A module of the pack, by its dotted path."""
        return importlib.import_module(f"{NAME}.{part}")

    def network(self, path: Path) -> Any:
        """The network in a file, with the layers that the pack gives it in the host."""
        import comfy.ops

        return self.core("checkpoints").load(path, comfy.ops.manual_cast)

    def run(self, name: str, **inputs: Any) -> Any:
        """The output of a node, run as the host runs it."""
        with torch.inference_mode():
            return self.nodes[name].PREPARE_CLASS_CLONE(None).execute(**inputs)

    def finds(self, *boxes: tuple[float, float, float, float]) -> "Finds":
        """A detector that finds these faces in every image."""
        return Finds(self, boxes)


def recorded(path: Path, value: Any) -> Any:
    """What the JSON file says `value` is; with CODEFORMER_RECORD set in the environment, the file is written anew first."""
    if os.environ.get("CODEFORMER_RECORD"):
        path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))


async def _node_list(module: ModuleType) -> list[Any]:
    extension = await module.comfy_entrypoint()  # on_load needs a server: see the tests of one
    return await extension.get_node_list()


class Finds:
    """A detector that returns the same faces for every image."""

    def __init__(self, pack: Pack, boxes: tuple[tuple[float, float, float, float], ...]) -> None:
        self.pack, self.boxes = pack, boxes

    def detect(self, images: Tensor, options: Any) -> list[Any]:
        """A face for each box, upright, in each image."""
        faces = self.pack.core("faces")
        at = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
        found = []
        for index in range(len(images)):
            for x0, y0, x1, y1 in self.boxes:
                landmarks = tuple((x0 + u * (x1 - x0), y0 + v * (y1 - y0)) for u, v in at)
                found.append(faces.Face(index, (x0, y0, x1, y1), landmarks, 0.9))
        return found


@pytest.fixture(scope="session")
def pack(comfyui: Path, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    """The pack inside the host, on the CPU."""
    sys.path.append(str(comfyui))
    try:
        from comfy.cli_args import args

        # Before anything else of the host is imported: it looks for a device and for its folders at import.
        args.cpu = True
        args.base_directory = str(tmp_path_factory.mktemp("base"))
        import comfy.model_patcher  # noqa: F401
        import comfy_api.latest  # noqa: F401
    except (ImportError, RuntimeError) as error:
        sys.path.remove(str(comfyui))
        pytest.skip(f"this Python cannot import ComfyUI: {error}")
    return Pack()


@pytest.fixture(scope="module")
def restorer(pack: Pack, tiny_checkpoint: Path) -> Any:
    """A hosted CodeFormer of 64 pixels."""
    return pack.hosted.HostedRestorer(pack.network(tiny_checkpoint))


@pytest.fixture(autouse=True)
def uninterrupted() -> Iterator[None]:
    """No test leaves a Cancel behind."""
    yield
    if "comfy.model_management" in sys.modules:
        sys.modules["comfy.model_management"].interrupt_current_processing(False)


@pytest.fixture
def picture() -> Tensor:
    """Two images (2, 90, 120, 3)."""
    return torch.rand(2, 90, 120, 3, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def one_face(pack: Pack) -> Finds:
    """A detector that finds a face of 40 pixels."""
    return pack.finds((30.0, 20.0, 70.0, 60.0))


def tiny_network(pack, tmp_path_factory, codebook):
    """A hosted network of 64 pixels without fusion at 32: 64 codes make one for colorization, 512 one for inpainting."""
    from codeformer_core.networks.codeformer import CodeFormer
    from codeformer_core.networks.transformer import join_attention
    from codeformer_core.networks.vqgan import Architecture

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / f"{codebook}.pth"
    layout = Architecture((32, 32, 32, 64), 1, (3,), codebook, 32, 8, 64, 1, (16,))
    torch.save(join_attention(CodeFormer(layout).state_dict()), path)
    return pack.hosted.HostedRestorer(pack.network(path))


@pytest.fixture(scope="module")
def inpainter(pack, tmp_path_factory):
    """A hosted network of the layout of inpainting, 64 pixels."""
    return tiny_network(pack, tmp_path_factory, 512)

"""The catalogue of model files: where they may lie, and how they are found, fetched, verified and read.

Nothing here is done without being asked: `find` only looks, `fetch` is the one function that uses the network, and no file of
the user's is ever moved or overwritten. torch is imported by the functions that need it, so that `codeformer --help` is quick.
"""

import errno
import functools
import hashlib
import importlib.util
import json
import mmap
import os
import pickle
import re
import shutil
import struct
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Progress = Callable[[int, int], None]

_HERE = Path(__file__).resolve().parent
_CHUNK = 1 << 18  # bytes per read: at 100 kB/s a stop takes effect within three seconds
_TIMEOUT = 30.0  # seconds without a byte before a server counts as dead
_ATTEMPTS = 5  # at one URL, as long as each brings the file further
_WRAPPERS = ("params_ema", "params", "state_dict")  # best first: basicsr keeps the averaged weights under params_ema

# What torch's and safetensors' readers raise for bytes that they did not write, found by cutting and flipping every byte of
# small files; a pickle that asks for code is an UnpicklingError too and is told apart by its message.
_UNREADABLE = (
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
)


@dataclass(frozen=True)
class ModelFile:
    """One file that the pack can use: an entry of weights/manifest.json.

    Attributes:
        name: short id, such as "codeformer".
        role: "restorer", "detector", "parser" or "upscaler".
        task: of a restorer, "restoration", "colorization" or "inpainting"; None for other roles.
        file: file name.
        aliases: other names of the same bytes.
        stand_ins: names of other files that do the same job; used when they are found, never fetched.
        folder: the sub-folder of a models folder where it goes by default.
        folders: other sub-folders where other packs keep it.
        urls: https, the publisher's first.
        bytes: exact size; None when it is not known.
        sha256: 64 hexadecimal digits; None when it is not known: then the file must load as what it should be.
        licence: of the weights.
        notice: one sentence on what the licence means for the user.
        note: what is not known, or easily confused; may be empty.
    """

    name: str
    role: str
    task: str | None
    file: str
    aliases: tuple[str, ...]
    stand_ins: tuple[str, ...]
    folder: str
    folders: tuple[str, ...]
    urls: tuple[str, ...]
    bytes: int | None
    sha256: str | None
    licence: str
    notice: str
    note: str

    @property
    def described(self) -> str:
        """Size and hash in words, as far as they are known."""
        size = f"{self.bytes:,} bytes" if self.bytes is not None else "size not known"
        return f"{size}, SHA-256 {self.sha256 or 'not known'}"


@functools.cache
def catalogue() -> tuple[ModelFile, ...]:
    """Every model file of weights/manifest.json, which a wheel carries inside the package."""
    packaged = _HERE / "manifest.json"
    manifest = packaged if packaged.is_file() else _HERE.parent / "weights" / "manifest.json"
    entries = json.loads(manifest.read_text(encoding="utf-8"))["models"]
    frozen: list[dict[str, Any]] = [{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()} for entry in entries]
    return tuple(ModelFile(**entry) for entry in frozen)


def lookup(name: str) -> ModelFile | None:
    """The catalogue entry of a name, file name, alias or stand-in; None for a file that the catalogue does not know."""
    known = (m for m in catalogue() if name in (m.name, m.file, *m.aliases, *m.stand_ins))
    return next(known, None)


def cache_folder() -> Path:
    """The user's own folder for fetched files; it need not exist yet."""
    variable, fallback = ("LOCALAPPDATA", "~/AppData/Local") if sys.platform == "win32" else ("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get(variable) or fallback).expanduser() / "codeformer"


def places(folders: Sequence[Path] = ()) -> tuple[Path, ...]:
    """Where `find` looks, in order: the given folders, CODEFORMER_WEIGHTS, the checkout, facexlib's folder, the user cache."""
    chosen = [Path(p).expanduser() for p in os.environ.get("CODEFORMER_WEIGHTS", "").split(os.pathsep) if p]
    checkout = _HERE.parent / "weights"
    own = [checkout] if (checkout / "manifest.json").is_file() else []
    facexlib = importlib.util.find_spec("facexlib")  # found, not imported: its import loads torch and OpenCV
    shared = [Path(p) / "weights" for p in facexlib.submodule_search_locations or ()] if facexlib else []
    return (*map(Path, folders), *chosen, *own, *shared, cache_folder())


def find(model: str, folders: Sequence[Path] = ()) -> Path | None:
    """Where a model file lies, or None. Files are never moved, and not read either: `verify` and `load` do that.

    Args:
        model: a catalogue name ("codeformer"), a file name (its aliases count too), or the path of an existing file, which
            is then meant as it is written.
        folders: looked in first. Like every place, each may hold the file itself or, as ComfyUI's models folder does, one of
            the sub-folders that the catalogue knows.
    """
    known = lookup(model)
    if (known is None or model != known.name) and os.path.isfile(os.path.expanduser(model)):
        return Path(model).expanduser()
    if Path(model).name != model:
        return None
    names = [(model,)] if known is None or model in known.stand_ins else [(known.file, *known.aliases), known.stand_ins]
    inside = dict.fromkeys(sub for m in ([known] if known else catalogue()) for sub in (m.folder, *m.folders))
    paths = (place / sub / name for group in names for place in places(folders) for sub in ("", *inside) for name in group)
    return next((path for path in paths if os.path.isfile(path)), None)


def verify(path: Path, model: ModelFile) -> None:
    """Raise ValueError unless the file is the catalogued one: by size, then SHA-256, or structurally where no hash is known."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path.name} is not in {path.parent}. Expected {model.file} ({model.described}): fetch it first.")
    if difference := _difference(path, model, path.name):
        raise ValueError(
            f"{path.name} is not the file that the catalogue means: {difference}. "
            f"It is incomplete or another file: move it away or delete it, then fetch {model.name} again."
        )


def _difference(path: Path, model: ModelFile, name: str) -> str:
    """What was found and what was expected where they differ, else ""; `name` is what the file will be called."""
    size = path.stat().st_size
    if name in model.stand_ins:
        return _structural_difference(path, model, name)
    if model.bytes is not None and size != model.bytes:
        return f"found {size:,} bytes, expected {model.bytes:,}"
    if model.sha256 is None:
        return _structural_difference(path, model, name)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    found = digest.hexdigest()
    return "" if found == model.sha256 else f"found SHA-256 {found}, expected {model.sha256}"


def _structural_difference(path: Path, model: ModelFile, name: str) -> str:
    expected = " ".join(filter(None, (model.task, model.role)))
    try:
        network = _load(path, name, mapped=False)  # Windows cannot rename a file that is mapped
    except ValueError as error:
        return f"it does not load as a {expected}. {str(error).rstrip('.')}"
    found = " ".join(filter(None, (getattr(network, "task", None), network.role)))
    return "" if found == expected else f"it loads as a {found}, expected a {expected}"


# --- reading --------------------------------------------------------------------------------------------------------------


def load(path: Path, operations: Any = None) -> Any:
    """The network in a model file, in evaluation mode on the CPU.

    Args:
        path: .onnx for YuNet; otherwise anything that `read` reads.
        operations: where CodeFormer takes its layers from; None for `torch.nn`.

    Raises:
        ValueError: see `read`; or a network that this pack does not know.
    """
    return _load(Path(path), Path(path).name, operations=operations)


def _load(path: Path, name: str, mapped: bool = True, operations: Any = None) -> Any:
    from torch import nn

    from . import networks

    if Path(name).suffix.lower() != ".onnx":
        return networks.load(_tensors(path, name, mapped), operations or nn, name=name)
    _refuse_impostors(path, name)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        # The name of YuNet's last output. OpenCV builds a detector from any ONNX file and fails only at the first picture.
        if data.find(b"kps_32") < 0:
            raise ValueError(
                f"{name} is not a YuNet of 2023 or later, the only ONNX model this pack runs. "
                "Choose face_detection_yunet_2026may.onnx as detector, or codeformer.pth as restorer."
            )
    from .networks.yunet import YuNet

    return YuNet(path)


def read(path: Path) -> dict[str, "Tensor"]:
    """The tensors of a checkpoint on the CPU, unwrapped (params_ema, params, state_dict) and without "module." prefixes.

    A zip-format .pth is mapped into memory rather than read. Only tensors are ever built: torch.load runs with weights_only.

    Raises:
        ValueError: no file, no checkpoint, half a checkpoint, one without tensors, or one that asks for code to be run.
    """
    return _tensors(Path(path), Path(path).name, mapped=True)


def _tensors(path: Path, name: str, mapped: bool) -> dict[str, "Tensor"]:
    from torch import Tensor

    content = _content(path, name, mapped)
    if not isinstance(content, Mapping):
        raise ValueError(f"{name} holds a {type(content).__name__}, expected tensors by name. {_advice(name)}")
    for _ in _WRAPPERS:  # at most one inside the other, however a hostile file nests itself
        content = next((content[w] for w in _WRAPPERS if isinstance(content.get(w), Mapping)), content)
    # A .safetensors file has no nesting: a converter that kept the wrapper wrote it as a prefix.
    for wrapper in _WRAPPERS:
        prefix = f"{wrapper}."
        if inside := {k.removeprefix(prefix): v for k, v in content.items() if str(k).startswith(prefix)}:
            content = inside
            break
    tensors = {str(k).removeprefix("module."): v.detach() for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        first = ", ".join(map(str, list(content)[:3])) or "nothing"
        raise ValueError(f"{name} holds no tensors by name (found: {first}). Expected a model's weights. {_advice(name)}")
    return tensors


def _content(path: Path, name: str, mapped: bool) -> Any:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    head = _refuse_impostors(path, name)
    if Path(name).suffix.lower() == ".safetensors" or head[8:9] == b"{":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{name} is incomplete or no safetensors file ({error}). {_advice(name)}") from error
    archive = head.startswith(b"PK\x03\x04")
    if not archive and not head.startswith(b"\x80"):
        raise ValueError(f"{name} is no checkpoint: neither PyTorch nor safetensors wrote it. {_advice(name)}")
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=archive and mapped)
    except _UNREADABLE as error:
        raise ValueError(_why_unreadable(path, name, str(error))) from error


def _why_unreadable(path: Path, name: str, message: str) -> str:
    if asked := re.search(r"(?:GLOBAL|[Uu]nsupported class) ([\w.]+)", message):
        return (
            f"{name} was not loaded: it asks for {asked[1]}, which is code, expected nothing but tensors. "
            f"Nothing of it was run. Do not open it with other programs either. {_advice(name)}"
        )
    if "Unsupported operand" in message:
        return (
            f"{name} was not loaded: it is a pickle with instructions that PyTorch's safe reader refuses, expected what "
            f"torch.save writes by default. Nothing of it was run. {_advice(name)}"
        )
    if "TorchScript" in message:
        return f"{name} is a TorchScript program, expected a checkpoint of tensors. {_advice(name)}"
    # What torch says here is long and advises to load the file unsafely; it stays in the chained exception.
    return f"{name} is cut off, damaged or no checkpoint at all{_sizes(path, name)}. {_advice(name)}"


def _refuse_impostors(path: Path, name: str) -> bytes:
    """The first bytes of a file that is neither absent, empty, a web page nor a Git LFS pointer."""
    if not path.is_file():
        raise ValueError(f"{name} is not in {path.parent}. Expected a model file there: check the path, or fetch it first.")
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise ValueError(f"{name} is empty (0 bytes){_sizes(path, name)}. {_advice(name)}")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        raise ValueError(f"{name} is a web page that was saved under this name, expected a model file. {_advice(name)}")
    if text.startswith(b"version https://git-lfs"):
        raise ValueError(
            f"{name} is a Git LFS pointer of {path.stat().st_size} bytes, expected the model file that it stands for. "
            f"Run `git lfs pull` where it came from. {_advice(name)}"
        )
    return head


def _sizes(path: Path, name: str) -> str:
    known = lookup(name)
    if known is None or known.bytes is None:
        return ""
    return f"; found {path.stat().st_size:,} bytes, expected {known.bytes:,}"


def _advice(name: str) -> str:
    known = lookup(name)
    if known:
        return f"Delete it and fetch it again: `codeformer models fetch {known.name}`."
    return "Choose one of the files that `codeformer models` lists, or get this one again where it came from."


# --- fetching -------------------------------------------------------------------------------------------------------------


class _SourceFailed(Exception):
    """One URL did not give the file; its argument says why. The next one may."""


def _silent(done: int, total: int) -> None:
    """The progress of a caller that does not want to know."""


def fetch(model: ModelFile, folder: Path, progress: Progress = _silent) -> Path:
    """Bring a model file into a folder: whole and verified, or not at all.

    The bytes go to `<file>.part`, which is continued when it exists, checked like `verify` does, and renamed. A mirror that
    the environment names in CODEFORMER_MIRROR is asked first, for `$CODEFORMER_MIRROR/<file>`; then the model's own URLs.

    Args:
        model: an entry of `catalogue()`.
        folder: made when absent. A verified file that is already there is returned at once.
        progress: called with (bytes done, bytes in total; 0 when not known) every quarter of a megabyte. It may raise to stop;
            what has come so far is kept for the next time.

    Raises:
        ValueError: another file of that name is there already (it is left alone), or CODEFORMER_MIRROR is no web address.
        OSError: no URL gave the file, or the disk is full. The message says what to do by hand.
    """
    target = Path(folder) / model.file
    part = target.with_name(f"{model.file}.part")
    if target.exists():
        verify(target, model)
        return target
    urls = _sources(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    for url in urls:
        try:
            _download(url, part, model, progress)
        except _SourceFailed as failure:
            failures.append(f"{url}: {failure}.")
            continue
        os.replace(part, target)
        return target
    kept = f" What has come so far ({_size(part):,} bytes) is kept and will be continued." if _size(part) else ""
    raise ConnectionError(
        f"{model.file} could not be fetched. {' '.join(failures)} Fetch it with a browser from {model.urls[0]} "
        f"and put it into {target.parent} ({model.described}).{kept}"
    )


def _sources(model: ModelFile) -> tuple[str, ...]:
    mirror = os.environ.get("CODEFORMER_MIRROR", "").rstrip("/")
    if not mirror:
        return model.urls
    if not mirror.lower().startswith(("https://", "http://")):
        raise ValueError(f"CODEFORMER_MIRROR is {mirror!r}, expected an address with https:// or http:// in front: correct it.")
    return (f"{mirror}/{urllib.parse.quote(model.file)}", *model.urls)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _download(url: str, part: Path, model: ModelFile, progress: Progress) -> None:
    """Bring `part` to the checked whole; after an interruption again, as long as each attempt brings it further."""
    for attempt in range(1, _ATTEMPTS + 1):
        before = _size(part)
        try:
            with closing(_stream(url, part, model)) as steps:
                for done, total in steps:
                    progress(done, total)
        except _SourceFailed:
            if attempt == _ATTEMPTS or _size(part) <= before:
                raise
            continue
        difference = _difference(part, model, model.file)
        if not difference:
            return
        part.unlink()
        if not before or attempt == _ATTEMPTS:  # otherwise what was there before may have been the bad half
            raise _SourceFailed(f"{difference}; it was removed")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Redirections that never lead from https to anything else."""

    def redirect_request(self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The next request. Raises URLError where it would leave https."""
        if req.type == "https" and not newurl.lower().startswith("https://"):
            raise urllib.error.URLError(f"redirected away from https to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _stream(url: str, part: Path, model: ModelFile) -> Generator[tuple[int, int], None, None]:
    """Append what is missing to `part`; yields (bytes done, bytes in total or 0) after every chunk that is written.

    Raises:
        _SourceFailed: the server; `part` keeps what came.
        OSError: the disk.
    """
    done = _size(part)
    if model.bytes is not None and done >= model.bytes:
        return  # whole already, or too long: the check decides
    request = urllib.request.Request(url, headers={"User-Agent": "codeformer-suite", "Accept-Encoding": "identity"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    try:
        response = urllib.request.build_opener(_SafeRedirects).open(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and error.headers.get("Content-Range", "") == f"bytes */{done}":
            return  # whole already: there is nothing after it
        if error.code != 416 or not done:
            raise _SourceFailed(f"HTTP {error.code} {error.reason}") from error
        part.unlink()
        yield from _stream(url, part, model)
        return
    except (OSError, HTTPException) as error:
        raise _SourceFailed(str(getattr(error, "reason", error)) or type(error).__name__) from error
    with response:
        start = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
        if response.status != 206:
            done = 0  # the server ignored Range: it sends the whole file
        elif start != str(done):
            raise _SourceFailed(f"asked for the bytes from {done} on, got those from {start or 'an unknown place'}")
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdigit() else 0
        if total and model.bytes and total != model.bytes:
            raise _SourceFailed(f"offers {total:,} bytes, expected {model.bytes:,}")
        total = total or model.bytes or 0
        free = shutil.disk_usage(part.parent).free
        if free < total - done:
            raise OSError(_full(part.parent, f"{total - done:,} bytes are needed for {model.file}, {free:,} are free"))
        try:
            with part.open("ab" if done else "wb") as file:
                while chunk := _receive(response):
                    file.write(chunk)
                    done += len(chunk)
                    yield done, total
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno not in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
                raise
            part.unlink()  # a disk filled to the last byte harms other programs; the bytes can be had again
            raise OSError(_full(part.parent, f"it ran full while {model.file} came, whose part was removed")) from error
    if done < total:
        raise _SourceFailed(f"the connection ended after {done:,} of {total:,} bytes")


def _receive(response: HTTPResponse) -> bytes:
    try:
        return response.read(_CHUNK)
    except (OSError, HTTPException) as error:
        raise _SourceFailed(f"the connection broke ({error})") from error


def _full(folder: Path, problem: str) -> str:
    return f"There is not enough room in {folder}: {problem}. Make room, or choose another folder, and fetch again."

"""A fingerprint of everything that a result depends on, by which it is known whether it is the result of the same work."""

import hashlib
from pathlib import Path
from typing import Any

from torch import Tensor


def fingerprint(*things: Any) -> str:
    """64 hexadecimal digits of values: of a path the bytes of its files, of a tensor its numbers, of others their `repr`."""
    digest = hashlib.sha256()
    for thing in things:
        if isinstance(thing, Path):
            for path in sorted(thing.rglob("*")) if thing.is_dir() else [thing]:
                if path.is_file():
                    with path.open("rb") as file:
                        while block := file.read(1 << 20):
                            digest.update(block)
            said = "file"
        elif isinstance(thing, Tensor):
            digest.update(thing.cpu().contiguous().numpy().tobytes())
            said = str(thing.shape)
        else:
            said = repr(thing)
        digest.update(f"\0{said}\0".encode())
    return digest.hexdigest()

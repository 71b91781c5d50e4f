"""What every test of the command line needs."""

from collections.abc import Iterator

import pytest
import torch

from codeformer_core.checkpoints import manifest


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

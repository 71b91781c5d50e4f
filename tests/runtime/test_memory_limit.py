"""The memory that a process may take."""

from pathlib import Path

import pytest

from codeformer_core.runtime import memory_limit as module
from codeformer_core.runtime.memory_limit import memory_limit


@pytest.mark.parametrize(
    ("membership", "limits", "expected"),
    [
        ("0::/\n", {"memory.max": "1000"}, 1000),  # a container
        ("0::/slurm/job_7\n", {"slurm/memory.max": "2000", "slurm/job_7/memory.max": "max"}, 2000),
        ("2:cpu:/\n1:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "3000"}, 3000),
        ("3:cpu,memory:/docker/b7\n", {"memory/memory.limit_in_bytes": "4000"}, 4000),  # of which the container sees the root
        ("1:cpu:/a\n", {"a/memory.max": "5000"}, None),
        ("0::/\n", {}, None),
        (None, {}, None),
    ],
)
def test_the_limit_is_the_lowest_of_the_groups_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, membership: str | None, limits: dict[str, str], expected: int | None
) -> None:
    monkeypatch.setattr(module, "_MEMBERSHIP", tmp_path / "membership")
    monkeypatch.setattr(module, "_CGROUPS", tmp_path)
    machine = memory_limit()
    if membership is not None:
        (tmp_path / "membership").write_text(membership)
    for name, limit in limits.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{limit}\n")
    assert memory_limit() == (expected or machine) and machine > 1 << 28

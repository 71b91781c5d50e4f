"""Atomic writes: the complete file under its name or none, and an existing file is kept until it can be replaced."""

import errno
import os
import stat
import subprocess
import sys
import time

import pytest

from codeformer_core.runtime.atomic_write import ABANDONED, atomic_write, refuse_existing, remove_abandoned, write_bytes

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")


def write(path, data, overwrite=False):
    with atomic_write(path, overwrite) as temporary:
        assert temporary.parent == path.parent  # a rename within one file system is atomic
        temporary.write_bytes(data)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[False, True], ids=["absent", "present"])
def target(request, tmp_path):
    """A path with and without a file of five bytes."""
    path = tmp_path / "a.bin"
    if request.param:
        path.write_bytes(b"older")
    return path


def state(path):
    """The content of a file, or None, and the names in its folder."""
    return path.read_bytes() if path.exists() else None, os.listdir(path.parent)


def test_the_file_appears_when_the_writing_is_complete(target):
    before = state(target)[0]
    with atomic_write(target, overwrite=True) as temporary:
        temporary.write_bytes(b"half")
        assert state(target)[0] == before
        temporary.write_bytes(b"whole")
    assert state(target) == (b"whole", ["a.bin"])


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_an_interrupted_write_changes_nothing_and_leaves_nothing(target, error):
    before = state(target)
    with pytest.raises(error), atomic_write(target, overwrite=True) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert state(target) == before


def test_a_write_that_never_began_leaves_nothing(target):
    before = state(target)
    with pytest.raises(FileNotFoundError), atomic_write(target, overwrite=True):
        pass
    assert state(target) == before


def test_a_file_system_without_permissions_is_written_too(target, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "chmod", refuse)
    write(target, b"newer", overwrite=True)
    assert state(target) == (b"newer", ["a.bin"])


def test_a_rename_that_fails_changes_nothing_and_leaves_nothing(target, monkeypatch):
    def refuse(*_):
        raise PermissionError("in use by another program")

    before = state(target)
    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(PermissionError, match="another program"):
        write(target, b"newer", overwrite=True)
    assert state(target) == before
    if before[0] is None:
        with pytest.raises(PermissionError, match="another program"):
            write(target, b"newer")
        assert state(target) == before


def test_an_existing_file_is_refused_before_the_work(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"older")
    for attempt in (lambda: write(path, b"newer"), lambda: refuse_existing(path)):
        with pytest.raises(FileExistsError, match=r"a\.bin exists already.*--overwrite"):
            attempt()
    assert state(path) == (b"older", ["a.bin"])


@POSIX
def test_a_new_file_has_the_permissions_that_open_gives(tmp_path):
    (tmp_path / "usual").touch()
    write(tmp_path / "a.bin", b"new")
    assert mode(tmp_path / "a.bin") == mode(tmp_path / "usual")


@POSIX
@pytest.mark.parametrize("permissions", [0o600, 0o664])
def test_a_replaced_file_keeps_its_permissions(tmp_path, permissions):
    path = tmp_path / "a.bin"
    path.touch()
    path.chmod(permissions)
    write(path, b"newer", overwrite=True)
    assert (path.read_bytes(), mode(path)) == (b"newer", permissions)


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "Free disk space, or choose another disk"), (errno.EACCES, "Choose a folder that can be written to")],
)
def test_an_error_of_the_system_names_the_file_and_says_what_to_do(target, monkeypatch, number, advice):
    def fail(*_):
        raise OSError(number, "reason")

    before = state(target)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(type(OSError(number, "")), match=f"a.bin cannot be written: reason. {advice}; no part of the file"):
        write_bytes(target, b"new", overwrite=True)
    assert state(target) == before


def test_the_same_bytes_again_are_no_error(tmp_path):
    write_bytes(tmp_path / "a.bin", b"same")
    write_bytes(tmp_path / "a.bin", b"same")
    with pytest.raises(FileExistsError):
        write_bytes(tmp_path / "a.bin", b"other")


def test_only_files_of_killed_processes_are_removed(tmp_path):
    """This process writes one file, a living process another; a killed one has left a third, another computer two more."""
    code = "from pathlib import Path; from codeformer_core.runtime.atomic_write import atomic_write\n"
    code += "with atomic_write(Path('a.bin')) as part:\n    part.touch(); print(part.name, flush=True); input()"
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"]
    runs = [subprocess.Popen(command, cwd=tmp_path, stdin=-1, stdout=-1, text=True) for _ in range(2)]
    living, killed = (run.stdout.readline().strip() for run in runs)
    runs[1].kill()
    runs[1].wait()
    fresh, old = tmp_path / ".codeformer-elsewhere-1-ab.part", tmp_path / ".codeformer-elsewhere-2-cd.part"
    for path, age in ((fresh, ABANDONED / 2), (old, ABANDONED * 2)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    with atomic_write(tmp_path / "own.bin") as own:
        own.write_bytes(b"half")
        assert remove_abandoned(tmp_path) == 2
        assert set(os.listdir(tmp_path)) == {living, own.name, fresh.name}
    assert killed
    runs[0].communicate("\n")
    assert (tmp_path / "a.bin").exists()

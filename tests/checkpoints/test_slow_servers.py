"""Servers that drip, stall, send without end or lie, and links where a download wants to write: on a real socket."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from codeformer_core.checkpoints import ModelFile, fetch, lookup

PAYLOAD = bytes(range(256)) * 4000


class Stopped(Exception):
    """Raised by progress, as a host does when the user cancels."""


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """answer -> the address of a server that lets it answer every request on its socket; ended with the test."""
    open_sockets: list[socket.socket] = []

    def start(answer: Callable[[socket.socket], None]) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        open_sockets.append(listening)

        def each() -> None:
            while True:
                try:
                    connection = listening.accept()[0]
                except OSError:
                    return
                open_sockets.append(connection)
                threading.Thread(target=run, args=(connection,), daemon=True).start()

        def run(connection: socket.socket) -> None:
            try:
                connection.recv(65536)
                answer(connection)
            except OSError:
                pass  # the client has left, or the test is over
            finally:
                connection.close()

        threading.Thread(target=each, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/model.pth"

    yield start
    for one in open_sockets:
        one.close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("CODEFORMER_MIRROR", raising=False)


def model_at(url: str, **changes: object) -> ModelFile:
    known = lookup("retinaface-mobile0.25")
    assert known
    facts = {"urls": (url,), "bytes": len(PAYLOAD), "sha256": hashlib.sha256(PAYLOAD).hexdigest()} | changes
    return replace(known, **facts)


def headers(length: int | None) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + (b"" if length is None else b"Content-Length: %d\r\n" % length) + b"\r\n"


def drip(connection: socket.socket) -> None:
    connection.sendall(headers(len(PAYLOAD)))
    for byte in PAYLOAD:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def stall_in_the_middle(connection: socket.socket) -> None:
    connection.sendall(headers(len(PAYLOAD)) + PAYLOAD[:1000])
    time.sleep(60)


def drip_headers(connection: socket.socket) -> None:
    for byte in headers(len(PAYLOAD)):
        connection.sendall(bytes([byte]))
        time.sleep(0.5)


def say_nothing(connection: socket.socket) -> None:
    time.sleep(60)


@pytest.mark.parametrize("answer", [drip, stall_in_the_middle, drip_headers, say_nothing])
def test_a_download_is_cancelled_within_a_second_whatever_the_server_does(serve, tmp_path: Path, answer) -> None:
    asked = time.monotonic() + 0.6

    def stop(done: int, total: int) -> None:
        assert total == len(PAYLOAD)
        if time.monotonic() > asked:
            raise Stopped

    with pytest.raises(Stopped):
        fetch(model_at(serve(answer)), tmp_path, stop)
    assert time.monotonic() - asked < 1
    assert os.listdir(tmp_path) in ([], ["detection_mobilenet0.25_Final.pth.part"])  # no lock is left


def test_a_server_without_end_is_left_at_the_size_of_the_catalogue(serve, tmp_path: Path) -> None:
    sent = []

    def pour(connection: socket.socket) -> None:
        connection.sendall(headers(None))
        while True:
            sent.append(connection.send(bytes(1 << 16)))

    with pytest.raises(ConnectionError, match=r"sends more than the 1,024,000 bytes expected; they were removed"):
        fetch(model_at(serve(pour)), tmp_path)
    assert os.listdir(tmp_path) == []
    assert sum(sent) < 40 << 20  # the kernel's buffers, and not what a disk holds


def test_a_file_of_unknown_size_is_bounded_too(serve, tmp_path: Path) -> None:
    url = serve(lambda connection: connection.sendall(headers(400_000_000_000)))
    with pytest.raises(ConnectionError, match=r"offers 400,000,000,000 bytes, expected at most 1,073,741,824"):
        fetch(model_at(url, bytes=None), tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_connection_that_is_kept_open_does_not_hold_a_download_up(serve, tmp_path: Path) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(headers(len(PAYLOAD)) + PAYLOAD)
        time.sleep(60)

    begun = time.monotonic()
    assert fetch(model_at(serve(answer)), tmp_path).read_bytes() == PAYLOAD
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("name", ["part", "part.lock"])
@pytest.mark.parametrize("exists", [True, False])
def test_links_of_a_download_s_names_are_not_followed(serve, tmp_path: Path, name: str, exists: bool) -> None:
    mine, folder = tmp_path / "mine.txt", tmp_path / "models"
    folder.mkdir()
    if exists:
        mine.write_bytes(b"my letter")
    model = model_at(serve(lambda connection: connection.sendall(headers(len(PAYLOAD)) + PAYLOAD)))
    (folder / f"{model.file}.{name}").symlink_to(mine)
    assert fetch(model, folder).read_bytes() == PAYLOAD
    assert not (folder / model.file).is_symlink() and os.listdir(folder) == [model.file]
    assert mine.read_bytes() == b"my letter" if exists else not mine.exists()

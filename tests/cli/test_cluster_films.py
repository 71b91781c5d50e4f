"""Films on a Ray cluster of two nodes on this machine, one of which is lost, beside a worker that is killed."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from children import workers_of
from PIL import Image
from small_clips import SOUND

from codeformer_core.cli import films, main
from codeformer_core.cli.plan import ImageTask
from codeformer_core.video.film import Film, Stretch

SIDE, RATE = 96, 30


@pytest.fixture
def clip(tmp_path: Path, close_up: Image.Image) -> Path:
    """Ten seconds of 300 frames in three shots: a face that moves, before another background in each, with a tone."""
    face = close_up.resize((80, 80))
    path, noise = tmp_path / "in.mp4", np.random.default_rng(0)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "12"})
        sound = output.add_stream("aac", rate=SOUND, layout="mono")
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        for shot in range(3):
            blocks = noise.integers(0, 256, (6, 6, 3), np.uint8)
            behind = Image.fromarray(blocks).resize((SIDE, SIDE), Image.Resampling.NEAREST)
            for step in range(100):
                image = behind.copy()
                image.paste(face.crop((12, 0, 68, 80)), (10 + step // 8 + shot, 8))
                output.mux(stream.encode(av.VideoFrame.from_image(image)))
        output.mux(stream.encode(None))
        tone = av.AudioFrame.from_ndarray(np.sin(np.arange(10 * SOUND) / 20)[None].astype(np.float32), "fltp", "mono")
        tone.sample_rate, tone.pts = SOUND, 0
        output.mux(sound.encode(tone))
        output.mux(sound.encode(None))
    return path


def test_a_film_is_shared_out_and_is_that_of_one_process_though_a_worker_and_a_node_are_lost(
    tmp_path: Path, cluster: Any, clip: Path, smallest_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", str(smallest_checkpoint), "--detector", "mtcnn", "--always", "--device", "cpu"]
    alone, shared_out = tmp_path / "alone.mp4", tmp_path / "out" / "film.mp4"
    assert main(["video", str(clip), "-o", str(alone), *options]) == 0
    said_alone = capsys.readouterr().out
    lost: list[int] = []

    def lose() -> None:
        """Kill the worker of the first node, and remove the second, each when it has a part in work."""
        head, second, deadline = cluster.head_node, next(iter(cluster.worker_nodes)), time.monotonic() + 240
        while time.monotonic() < deadline and not shared_out.exists():
            parts = shared_out.parent.glob(".codeformer-*.parts/.codeformer-*.part")
            at_work = {int(path.name.split("-")[-2]) for path in parts}
            for pid in at_work.difference(lost):
                if not lost and pid in workers_of(head):
                    os.kill(pid, signal.SIGKILL)
                    lost.append(pid)
                elif len(lost) == 1 and pid in workers_of(second):
                    cluster.remove_node(second, allow_graceful=False)
                    lost.append(pid)
            time.sleep(0.02)

    watching = threading.Thread(target=lose)
    watching.start()
    assert main(["video", str(clip), "-o", str(shared_out), *options, "--cluster", cluster.address]) == 0
    watching.join()
    assert len(lost) == 2 and not cluster.worker_nodes
    assert shared_out.read_bytes() == alone.read_bytes()
    assert list(shared_out.parent.iterdir()) == [shared_out]
    said = capsys.readouterr().out.replace(str(shared_out), str(alone))
    assert said_alone.splitlines()[0] in said.splitlines()  # beside what Ray says of the loss
    assert "300 frames, faces in 300 of them: 3 found and restored" in said


def test_what_fails_is_a_line_of_the_report(tmp_path: Path, cluster: Any, without_faces: list[str], capsys) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "wrong.mp4").write_text("<html>")
    argv = ["video", str(folder), "-o", str(tmp_path / "out"), *without_faces, "--cluster", cluster.address]
    assert main(argv) == 1
    said = capsys.readouterr()
    assert "0 of 1 done, 1 failed" in said.out and "wrong.mp4: wrong.mp4" not in said.err and "cannot be opened" in said.err


def test_a_film_of_which_a_part_kills_its_workers_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def deadly(items: Any, *_: Any) -> Iterator[tuple[int, Any]]:
        for index, item in enumerate(items):  # tasks to be planned, then stretches
            yield index, [(Film(item.source, item.target, ""), Stretch())] if isinstance(item, ImageTask) else None

    monkeypatch.setattr(films, "connected", lambda _: nullcontext())
    monkeypatch.setattr(films, "work_on_cluster", deadly)
    (tmp_path / "in.mp4").write_text("")
    assert main(["video", str(tmp_path / "in.mp4"), "-o", str(tmp_path / "out"), "--cluster", "local"]) == 1
    assert "in.mp4: its worker has died 4 times" in capsys.readouterr().err


def test_no_resume_is_refused_on_a_cluster(tmp_path: Path, capsys) -> None:
    (tmp_path / "in.mp4").write_text("")
    argv = ["video", str(tmp_path / "in.mp4"), "-o", str(tmp_path / "out"), "--cluster", "local", "--no-resume"]
    assert main(argv) == 2 and "leave out --no-resume" in capsys.readouterr().err

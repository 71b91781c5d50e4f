"""Jobs on a Ray cluster of two nodes on this machine, one of which is lost, beside a worker that is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from children import ROOT, child, workers_of
from drawn import draw
from fatal import fatal
from PIL import Image, ImageEnhance

from codeformer_core.cli import main
from codeformer_core.cli.arguments import Arguments
from codeformer_core.cli.cluster import ClusterError, _pool, work_on_cluster
from codeformer_core.runtime.addresses import to_path


def test_a_job_on_this_machine_imports_neither_ray_nor_s3(tmp_path: Path, without_faces: list[str]) -> None:
    argv = ["fix", str(draw(tmp_path / "a.png")), str(draw(tmp_path / "b.png")), "-o", str(tmp_path / "out"), *without_faces]
    code = f"import sys; from codeformer_core.cli import main; print(main({argv})); print({{'ray', 's3fs'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.endswith("0\nset()\n")


def test_without_ray_the_command_that_installs_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["fix", str(draw(tmp_path / "a.png")), "-o", str(tmp_path / "out"), "--cluster", "local"]) == 1
    assert 'pip install "codeformer-suite[cluster]"' in capsys.readouterr().err


def test_a_cluster_whose_token_is_missing_is_said(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason='needs pip install -e ".[cluster]"')
    argv = ["fix", str(draw(tmp_path / "a.png")), "-o", str(tmp_path / "out"), "--cluster", "127.0.0.1:1"]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_TOKEN"}
    environment |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "absent")}
    command = [sys.executable, "-m", "codeformer_core", *argv]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "needs RAY_AUTH_MODE=token" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--workers", "2"], "--cluster local"),
        (["--gpus-per-worker", "0.5"], "--cluster local"),
        (["--cluster", "local", "--save-faces", "faces.json"], "leave out --cluster"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    tmp_path: Path, options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fix", str(draw(tmp_path / "a.png")), "-o", str(tmp_path / "out"), *options]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("nodes", "options", "pool"),
    [
        ([{"CPU": 2}, {"CPU": 4}], {}, (6, 1, 0)),
        ([{"CPU": 16}], {"workers": 1}, (1, 16, 0)),
        ([{"CPU": 16}], {"workers": 5}, (5, 3, 0)),
        ([{"CPU": 16}, {"CPU": 4}], {"workers": 1}, (1, 4, 0)),  # it may have to go on on the second
        ([{"CPU": 4}], {"workers": 64}, (64, 1, 0)),  # nodes may be added
        ([{"CPU": 4}, {"CPU": 16, "GPU": 2}, {"CPU": 32, "GPU": 2}], {}, (4, 8, 1)),
        ([{"CPU": 16, "GPU": 1}], {"gpus_per_worker": 0.25}, (4, 4, 0.25)),
        ([{"CPU": 16, "GPU": 1}], {"gpus_per_worker": 0.0}, (16, 1, 0)),
    ],
)
def test_workers_share_out_the_cores_and_the_gpus(nodes: list[Any], options: dict[str, Any], pool: tuple[int, ...]) -> None:
    assert _pool(Arguments(command="fix", **options), nodes, 100) == pool


def test_ray_takes_the_configuration_for_a_cloud_that_the_page_has() -> None:
    reason = 'needs pip install -e ".[cluster]"'
    util, yaml = (pytest.importorskip(name, reason=reason) for name in ("ray.autoscaler._private.util", "yaml"))
    page = (ROOT / "docs" / "cluster.md").read_text("utf-8")
    (found,) = re.findall(r"```yaml\n(cluster_name:.*?)```", page, re.DOTALL)
    util.validate_config(util.prepare_config(yaml.safe_load(found)))


# --- a cluster --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def portraits(tmp_path: Path, close_up: Image.Image) -> Path:
    """Sixty small images, each of one face, and a file that is no image."""
    folder = tmp_path / "in"
    folder.mkdir()
    face = close_up.resize((112, 112))
    for index in range(60):
        ImageEnhance.Brightness(face).enhance(0.7 + index / 100).save(folder / f"{index:02}.png")
    (folder / "wrong.png").write_text("<html>")
    return folder


def once(results: Path, count: int, act: Callable[[], object]) -> threading.Thread:
    """Act in a thread when there are so many results."""

    def wait() -> None:
        deadline = time.monotonic() + 120
        while len(list(results.glob("[0-9]*"))) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def report(path: Path) -> list[dict[str, Any]]:
    """The items of a report without what differs from run to run."""
    items = json.loads(path.read_text())["items"]
    return [{**item, "seconds": 0, "result": item["result"] and Path(item["result"]).name} for item in items]


def test_networks_that_no_worker_can_load_are_said_once(
    tmp_path: Path, cluster: Any, portraits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["fix", str(portraits), "-o", str(tmp_path / "out"), "--cluster", cluster.address, "--model", "absent.pth"]
    assert main(argv) == 1
    said = capsys.readouterr()
    assert said.err.count("absent.pth") == 1 and "0 of 61 done, 0 failed, 61 not begun" in said.out


def test_an_item_that_kills_its_workers_is_given_up_and_the_others_are_done(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("codeformer_core.cli.cluster.MOST_RETRIES", 0)  # each waits for a new worker
    monkeypatch.setattr("codeformer_core.cli.cluster.MOST_BLOCKS", 2)  # so that it is handed out with others
    with closing(work_on_cluster(["a", "poison", *"bcdef"], fatal, Arguments(command="crop", cluster=cluster.address))) as rows:
        assert sorted(rows) == [(0, "a"), (1, None), *enumerate("bcdef", 2)]


def test_images_and_crops_come_from_disk_and_store_and_go_to_the_store(
    tmp_path: Path, cluster: Any, bucket: str, close_up: Image.Image, tiny_checkpoint: Path
) -> None:
    """What workers read and write there is what one process does on the disk."""
    disk, store = tmp_path / "in", to_path(f"{bucket}/{tmp_path.name}")
    disk.mkdir()
    close_up.resize((112, 112)).save(disk / "a.png")
    close_up.resize((128, 128)).save(tmp_path / "b.png")
    (store / "in" / "b.png").write_bytes((tmp_path / "b.png").read_bytes())
    of_command = {"fix": ["--model", str(tiny_checkpoint), "--always"], "crop": ["--side", "64"]}
    for command, options in of_command.items():
        options = [*options, "--detector", "mtcnn", "-q"]
        alone, out = tmp_path / command, store / command
        assert main([command, str(disk), str(tmp_path / "b.png"), "-o", str(alone), *options]) == 0
        argv = [command, str(disk), str(store / "in"), "-o", str(out), *options, "--cluster", cluster.address]
        assert main([*argv, "--report", str(store / "job.json")]) == 0
        items = json.loads((store / "job.json").read_text())["items"]
        assert [(item["status"], item["faces_found"]) for item in items] == [("done", 1)] * 2
        results = {path.name: path.read_bytes() for path in alone.iterdir()}
        assert len(results) == 2 and results == {path.name: path.read_bytes() for path in out.iterdir()}


def test_a_fault_of_the_program_ends_the_job(cluster: Any) -> None:
    with pytest.raises(ClusterError, match="ZeroDivisionError"):
        list(work_on_cluster(["a", "bug"], fatal, Arguments(command="crop", cluster=cluster.address)))


def test_a_worker_and_a_node_are_lost_and_every_result_is_made_once(
    tmp_path: Path, cluster: Any, portraits: Path, tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """First the command is ended by Ctrl-C, then the same one finishes the job in spite of the losses."""
    alone, shared_out = tmp_path / "alone", tmp_path / "shared_out"
    networks = ["--model", str(tiny_checkpoint), "--detector", "mtcnn", "--always"]
    assert main(["fix", str(portraits), "-o", str(alone), *networks, "--report", str(tmp_path / "alone.json"), "-q"]) == 1

    argv = ["fix", str(portraits), "-o", str(shared_out), *networks, "--report", str(tmp_path / "shared_out.json")]
    argv += ["--gallery", "--cluster", cluster.address]
    with child([sys.executable, "-m", "codeformer_core", *argv], env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        once(shared_out, 3, lambda: process.send_signal(signal.SIGINT)).join()
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGINT
    done, left = re.findall(r"(\d+) of 61 done, 0 failed, (\d+) not begun", said)[0]
    assert int(done) + int(left) == 61

    begun = len(list(shared_out.glob("[0-9]*")))
    killed: list[int] = []

    def kill() -> None:
        killed.append(workers_of(cluster.head_node)[0])
        os.kill(killed[0], signal.SIGKILL)

    capsys.readouterr()
    losses = [
        once(shared_out, begun + 8, kill),
        once(shared_out, begun + 20, lambda: cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)),
    ]
    assert main(argv) == 1
    for loss in losses:
        loss.join()
    assert killed and not cluster.worker_nodes
    assert f"{60 - begun} of 61 done, 1 failed, {begun} done before" in capsys.readouterr().out
    results = {path.name: path.read_bytes() for path in shared_out.glob("*.png")}
    assert results == {path.name: path.read_bytes() for path in alone.glob("*.png")} and len(results) == 60
    assert (shared_out / "gallery.html").read_text().count("<section") == 61
    items, expected = report(tmp_path / "shared_out.json"), report(tmp_path / "alone.json")
    assert [item["source"] for item in items] == [item["source"] for item in expected]
    for mine, theirs in zip(items, expected, strict=True):
        assert mine == theirs or mine["status"] == "done before"

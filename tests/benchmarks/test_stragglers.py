"""The simulation of a cluster: nothing is lost that is not done again, and the table is of the report."""

import json

import pytest

from benchmarks.stragglers import main, queued, split


def test_without_deaths_the_work_is_shared_out():
    run = queued([1.0] * 12, workers=3, block=1, life=1e12, start=5)
    assert run == (9.0, 0.0, 0) and split([1.0] * 12, 3, 5) == 9.0


def test_one_long_image_at_the_end_holds_up_the_job():
    assert queued([1.0] * 6 + [10.0], workers=2, block=1, life=1e12, start=0).seconds == 13.0


@pytest.mark.parametrize("block", [1, 20])
def test_what_dies_with_a_worker_is_done_again(block):
    run = queued([1.0] * 400, workers=4, block=block, life=50, start=2)
    assert run.deaths > 3 and run.lost > 0
    assert run.seconds * 4 >= 400 + run.lost + 2 * (4 + run.deaths) - 4 * block - 8


def test_the_command_draws_from_a_report(tmp_path, capsys):
    items = [{"status": "done", "seconds": 0.5}, {"status": "failed", "seconds": 9.0}]
    (tmp_path / "job.json").write_text(json.dumps({"items": items}))
    argv = [str(tmp_path / "job.json"), "--items", "100", "--workers", "1,2", "--plot", str(tmp_path / "plot.svg")]
    assert main(argv) == 0
    assert "100 drawn from 1 measured: mean 0.50 s, longest 0.50 s" in capsys.readouterr().out
    assert (tmp_path / "plot.svg").read_text().count("<polyline") == 2

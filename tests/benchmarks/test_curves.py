"""`python -m benchmarks curves`: four curves are measured, and drawn with the lines through them. No test depends on times."""

import xml.etree.ElementTree as ET

import pytest

from benchmarks.__main__ import main
from benchmarks.curves import Curve, Points, curves, svg, words

CURVE = Curve("batch", "crop", {})


def test_a_tiny_run_draws_a_panel_for_each_curve(tmp_path, capfd):
    assert main(["curves", "--tiny", "--quiet", "--out", str(tmp_path / "plots")]) == 0
    shown = capfd.readouterr().out
    plot = ET.fromstring((tmp_path / "plots" / "scaling.svg").read_bytes())
    drawn = "".join(plot.itertext())
    for curve in curves("cpu", tiny=True):
        (line,) = (line for line in shown.splitlines() if line.startswith(f"{curve.title}: "))
        assert curve.title in drawn and f"{curve.unit}s: {line.removeprefix(f'{curve.title}: ')}" in drawn
    assert main(["curves", "--tiny", "--out", str(tmp_path / "plots")]) == 2  # not over the old ones
    assert "scaling.svg exists already" in capfd.readouterr().err


def test_the_line_is_that_of_the_points():
    points = Points([1, 2, 4, 8], [0.7, 0.9, 1.3, 2.1], [10, 10, 10, 10])
    assert points.line == pytest.approx((0.5, 0.2, 1.0))
    assert words(CURVE, points) == "0.5 s + 0.2 s a crop, R² = 1.000"
    bent = Points([1, 2, 4, 8], [1.0, 4.0, 16.0, 64.0], [10, 10, 10, 10])
    assert bent.line[2] < 0.97
    same = svg([CURVE] * 4, [points] * 4)
    assert same == svg([CURVE] * 4, [points] * 4) != svg([CURVE] * 4, [bent] * 4)

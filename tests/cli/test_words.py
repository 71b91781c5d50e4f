"""The order of the words: what is clear is done, and what is not is answered with the right command."""

from pathlib import Path

import pytest
from drawn import draw

from codeformer_core.cli import main
from codeformer_core.cli.parser import build_parser
from codeformer_core.cli.words import in_order


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "a.png")
    draw(tmp_path / "-1.png")
    (tmp_path / "-5").touch()
    (tmp_path / "0.7").touch()
    (tmp_path / "clip.mp4").touch()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("a.png fix -o out", "fix a.png -o out"),
        ("-o out fix a.png", "fix -o out a.png"),
        ("-o out a.png fix", "fix -o out a.png"),
        ("-w 0.3 a.png fix -o out", "fix -w 0.3 a.png -o out"),
        ("-q video clip.mp4 -o out", "video -q clip.mp4 -o out"),
        ("-o fix video clip.mp4", "video -o fix clip.mp4"),  # the value of an option is no command
        ("fix fix -o video", "fix fix -o video"),
        ("help fix", "fix --help"),
        ("--help fix", "fix --help"),
        ("models yunet fetch", "models fetch yunet"),
        ("fetch models yunet", "models fetch yunet"),
        ("fix a.png -out dir", "fix a.png --out dir"),
        ("fix --gallery a.png -o out", "fix a.png -o out --gallery"),
        ("fix --gallery a.html a.png -o out", "fix --gallery a.html a.png -o out"),
        ("fix --tiles a.png -o out", "fix a.png -o out --tiles"),
        ("fix --tiles 512 a.png -o out", "fix --tiles 512 a.png -o out"),
        ("fix -w 0.3 0.6 a.png -o out", "fix -w 0.3 -w 0.6 a.png -o out"),
        ("fix a.png -o out -w 0 0.5 1 -q", "fix a.png -o out -w 0 -w 0.5 -w 1 -q"),
        ("fix a.png --weights DIR --download", "fix a.png --weights DIR --download"),
        ("fix a.png -1.png -o out --grow -5", "fix a.png ./-1.png -o out --grow -5"),
        ("fix -o out -- -1.png", "fix -o out -- -1.png"),
        ("fix -w 0.3 0.7 -o out", "fix -w 0.3 0.7 -o out"),  # there is a file of this name
    ],
)
def test_words_are_put_in_order(typed: str, meant: str) -> None:
    assert in_order(typed.split(), build_parser()) == meant.split()


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("a.png", "as in `codeformer fix a.png -o OUT`"),
        ("-o out a.png", "as in `codeformer fix -o out a.png`"),
        ("clip.mp4 -o out", "as in `codeformer video clip.mp4 -o out`"),
        ("fetch yunet", "say `codeformer models fetch yunet`"),
        ("fix a.png", "with -o: `codeformer fix a.png -o OUT`"),
        ("fix -- -1.png -o out", "say -o before it"),
        ("fix a.png out", "with -o: `codeformer fix a.png -o out`"),
        ("fix a.png b.png", "with -o: `codeformer fix a.png -o b.png`"),
        ("fix a.png clip.mp4", "with -o: `codeformer fix a.png clip.mp4 -o OUT`"),
        ("video 'clip.mp4' out.mp4", "with -o: `codeformer video clip.mp4 -o out.mp4`"),
        ("fix new -o a.png", "Say `codeformer fix a.png -o new`"),
        ("fix b.png -o a.png", "Say `codeformer fix a.png -o b.png`"),
        ("a.png fix video", "as in `codeformer fix a.png -o OUT`"),
    ],
)
def test_what_is_not_clear_is_answered_with_the_right_command(
    typed: str, answer: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed.replace("'", "").split()) == 2
    assert answer in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["-1.png", "-5", "0.7", "a.png", "clip.mp4"]

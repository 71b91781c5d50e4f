"""The report and the gallery of a job: where they go, and what earlier runs of it have told."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..runtime.addresses import make_folder
from ..runtime.atomic_write import write_bytes
from . import gallery, report
from .arguments import Arguments
from .plan import ImageTask, folder_of
from .report import Outcome


class Review(NamedTuple):
    """The files of a job's review, None where they are not wanted, and what is in them already, by result."""

    report: Path | None
    gallery: Path | None
    reported: Mapping[str, Any]
    shown: Mapping[str, str]


def begin_review(arguments: Arguments, tasks: Sequence[ImageTask]) -> Review:
    """Look at the files of an earlier run, before the work.

    Raises:
        ValueError: there is another file under the name of the report or the gallery.
    """
    page = arguments.gallery
    if page == Path():
        page = folder_of(arguments, tasks) / "gallery.html"
    reported, shown = _read(arguments.report, report.from_json), _read(page, gallery.from_html)
    return Review(arguments.report, page, reported, shown)


def write_review(review: Review, command: str, outcomes: Sequence[Outcome]) -> list[str]:
    """Write what became of every image; sentences on what was written."""
    lines = []
    if review.report:
        _write(review.report, report.to_json(command, outcomes, review.reported))
        lines.append(f"Report: {review.report}")
    if review.gallery:
        _write(review.gallery, gallery.to_html(command, outcomes, review.shown))
        lines.append(f"Gallery: {review.gallery}")
    return lines


def _read(path: Path | None, parse: Any) -> Any:
    if path is None or not path.exists():
        return {}
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        return parse(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} exists and is left as it is ({error}): name another file.") from error


def _write(path: Path, text: str) -> None:
    make_folder(path.parent)
    write_bytes(path, text.encode("utf-8", "backslashreplace"), overwrite=True)  # on Linux a name need not be UTF-8

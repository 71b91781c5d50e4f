"""One HTML page about a job, with everything in it: the images before and after, and what became of each face."""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape, unescape
from io import BytesIO
from pathlib import Path
from string import Template

from PIL import Image
from torch import Tensor

from .. import image_io
from ..imaging.resize import resize, thumbnail_size
from .commands import COMMANDS
from .report import FaceRecord, ImageResult, Outcome

#: The longer side of the images on the page, and their JPEG quality: about 200 KB for both of one.
LARGEST, QUALITY = 800, 85

_MARK = '<meta name="generator" content="codeformer gallery">'


def thumbnails(before: Tensor, after: Tensor) -> tuple[bytes, bytes]:
    """JPEG files of two images (1, 3, H, W) in [0, 1], both in the shape of the second."""
    size = thumbnail_size(after.shape[-2], after.shape[-1], LARGEST)
    return _jpeg(resize(before, *size)), _jpeg(resize(after, *size))


def _jpeg(image: Tensor) -> bytes:
    file = BytesIO()
    pixels = (image[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return file.getvalue()


def to_html(command: str, outcomes: Sequence[Outcome], earlier: Mapping[str, str]) -> str:
    """The page; what an earlier run did is shown as that run's page had it."""
    counts = Counter(outcome.status for outcome in outcomes)
    page = Template((Path(__file__).parent / "gallery.html").read_text(encoding="utf-8"))
    return page.substitute(
        title=f"codeformer {escape(command)}",
        summary=", ".join(f"{count} {status}" for status, count in counts.items()),
        sections="\n".join(_section(outcome, COMMANDS[command].done, earlier) for outcome in outcomes),
    )


def from_html(text: str) -> dict[str, str]:
    """The sections of a page, by the paths of results.

    Raises:
        ValueError: it is no page of this program.
    """
    if _MARK not in text:
        raise ValueError("it is not a gallery of this program")
    found = re.finditer(r'<section data-result="([^"]+)".*?</section>', text, re.DOTALL)
    return {unescape(match[1]): match[0] for match in found}


def _section(outcome: Outcome, done: str, earlier: Mapping[str, str]) -> str:
    result = outcome.result
    path = str(result.path.resolve()) if result else ""
    if outcome.status == "done before" and path in earlier:
        return earlier[path]
    head = f"{escape(str(outcome.source))}"
    if result is None:
        body = f'<p class="{outcome.status.replace(" ", "-")}">{escape(outcome.error or outcome.status)}</p>'
    else:
        head += f" → {escape(str(result.path))}"
        told = outcome.status if outcome.status == "done before" else f"{outcome.seconds:.1f} seconds"
        body = f'{_slider(outcome.source, result)}\n<p class="quiet">{told}</p>\n{_table(result, done)}'
    return f'<section data-result="{escape(path)}">\n<h2>{head}</h2>\n{body}\n</section>'


def _slider(source: Path, result: ImageResult) -> str:
    shown = result.thumbnails
    if shown is None:  # done before, without a page
        try:
            shown = thumbnails(*(image_io.read(path).image for path in (source, result.path)))
        except (OSError, ValueError) as error:
            return f'<p class="failed">{escape(str(error))}</p>'
    before, after = (f"data:image/jpeg;base64,{b64encode(data).decode()}" for data in shown)
    marks = "".join(_mark(record, result.size) for record in result.faces if result.size)
    name = escape(source.name)
    return (
        f'<figure><img src="{before}" alt="{name}, before"><img src="{after}" alt="{name}, after">{marks}'
        f'<input type="range" value="50" step="0.5" aria-label="before and after"></figure>'
    )


def _mark(record: FaceRecord, size: tuple[int, int]) -> str:
    """The number of a face at the upper left corner of its box."""
    left, top = (100 * min(max(at / side, 0), 0.97) for at, side in zip(record.face.box[:2], size, strict=True))
    kind = ' class="alone"' if record.left_alone else ""
    return f'<b{kind} style="left: {left:.1f}%; top: {top:.1f}%">{record.number}</b>'


def _table(result: ImageResult, done: str) -> str:
    rows = [
        f"<tr><td>{number}<td>{face.score:.2f}<td>{face.pixels:.0f} px<td>{escape(alone) or done}"
        for number, face, alone, _likeness in sorted(result.faces)
    ]
    if not rows:
        return ""
    return "\n".join(["<table>", "<tr><th>face<th>score<th>size<th>", *rows, "</table>"])

"""What a file is, by its name where that tells and else by its content; which files of a folder a command takes."""

import codecs
import glob
import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from ..image_io import decode
from ..image_io.encode import FORMATS as IMAGE_FORMATS
from ..image_io.numbered import is_pattern, pattern_in
from ..runtime.addresses import is_remote, list_objects

#: Images as cameras, phones and editors store them; the content of raw ones looks like a TIFF file.
FOREIGN = (
    ".heic", ".heif", ".jxl", ".psd", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2",
)  # fmt: skip

#: How videos end; PyAV reads many more kinds, which their content tells.
VIDEO_ENDS = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".mts", ".3gp", ".ogv",
)  # fmt: skip

#: Formats of Pillow that may hold an animation, and how their names end.
_ANIMATED, ANIMATED_ENDS = {"GIF", "PNG", "WEBP", "AVIF"}, (".gif", ".png", ".apng", ".webp", ".avif")


#: A kind of file -> what one is called, and several.
_NAMES = {
    "image": ("an image", "images"),
    "animation": ("an animation", "animations"),
    "foreign": ("an image of another kind", "of other kinds"),
    "video": ("a video", "videos"),
    "remote video": ("a video in an object store", "videos in an object store"),
    "special": ("no file", "that are no files, or links to nothing"),
    "": ("neither an image nor a video", "that are neither images nor videos"),
}


class Media(NamedTuple):
    """Images or videos: which files are taken, and which can be written.

    Attributes:
        name: what one is called.
        kinds: of `kind_of` that are taken.
        read: how the names of files end that are taken, for messages.
        written: how those end that can be written; others become `other`.
        other: how a result ends whose input's format cannot be written.
        advice: other kind -> what to do with such files.
        numbered: numbered images are one as well.
    """

    name: str
    kinds: Collection[str]
    read: Collection[str]
    written: Collection[str]
    other: str
    advice: dict[str, str]
    numbered: bool = False

    def is_pattern(self, path: Path) -> bool:
        """Whether a path stands for numbered images, as frames/%05d.png does."""
        return self.numbered and is_pattern(path)

    def pattern_in(self, path: Path) -> Path | None:
        """The pattern that a path is, or that the images in this folder have which holds no video; None where there is none."""
        if self.is_pattern(path):
            return path
        pattern = pattern_in(path) if self.numbered and not is_remote(path) and path.is_dir() else None
        return pattern if pattern and not look_into(path, False, self, ()).taken else None


_USE_VIDEO, _USE_FIX, _COPY = "use `codeformer video`", "use `codeformer fix`", "copy to a disk first"

IMAGES = Media(
    "image",
    ("image",),
    IMAGE_FORMATS,
    IMAGE_FORMATS,
    ".png",
    {
        "video": _USE_VIDEO,
        "remote video": _COPY,
        "animation": f"{_USE_VIDEO}, or --page for one image of it",
        "foreign": "export those as TIFF or PNG first",
    },
)


def images_for(page: int) -> Media:
    """`IMAGES`, and animations when one image of each is asked for."""
    return IMAGES._replace(kinds=("image", "animation")) if page else IMAGES


#: Without `written`, which is slow to import.
VIDEOS = Media(
    "video", ("video", "animation"), VIDEO_ENDS, (), ".mp4", {"image": _USE_FIX, "remote video": _COPY}, numbered=True
)


class Contents(NamedTuple):
    """What a folder holds.

    Attributes:
        taken: the files to work on, sorted.
        left_out: the others, by kind.
        unreadable: a sentence for each folder in it that cannot be read.
    """

    taken: list[Path]
    left_out: dict[str, list[Path]]
    unreadable: list[str]


def kind_of(path: Path) -> str:
    """What a file is.

    Returns:
        "image": one that can be read; "animation"; "foreign": an image of another kind; "video"; "remote video", which cannot
        be read; "special": a pipe, or a link to nothing; "": anything else.
    """
    end = path.suffix.lower()
    if is_remote(path):  # by its name alone, without a download
        return "image" if end in IMAGE_FORMATS else "foreign" if end in FOREIGN else "remote video" if end in VIDEO_ENDS else ""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "special"
    except FileNotFoundError:
        return "special"
    except OSError:  # its name tells, and why it cannot be read is said when it is its turn
        pass
    if end in ANIMATED_ENDS:
        return _kind_of_image(path) or ("image" if end in IMAGE_FORMATS else "foreign")
    if end in IMAGE_FORMATS:
        return "image"
    if end in FOREIGN:
        return "image" if end in (".heic", ".heif") and find_spec("pillow_heif") else "foreign"
    if end in VIDEO_ENDS:
        return "video"
    return "" if _is_text(path) else _kind_of_image(path) or _kind_of_video(path)


def _is_text(path: Path) -> bool:
    """Whether a file begins with UTF-8 without a zero byte, as no image or video does, so that it need not be opened as one."""
    try:
        with path.open("rb") as file:
            return "\0" not in codecs.getincrementaldecoder("utf-8")().decode(file.read(512))
    except UnicodeDecodeError:
        return False
    except OSError:
        return True


def _kind_of_image(path: Path) -> str:
    with suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError), Image.open(path) as image:
        if image.format in _ANIMATED and getattr(image, "is_animated", False):
            return "animation"
        if image.format in (*decode.FORMATS, "MPO"):
            return "image"
        return "" if image.format == "MPEG" else "foreign"
    return ""


def _kind_of_video(path: Path) -> str:
    from ..video_io.source import open_video  # imports PyAV

    with suppress(OSError, ValueError):
        open_video(path).close()
        return "video"
    return ""


def look_into(folder: Path, recursive: bool, media: Media, without: Collection[Path]) -> Contents:
    """The files of a folder, but for hidden ones and those in other folders that results go to.

    Raises:
        ValueError: it cannot be read.
    """
    found = Contents([], {}, [])
    for path in sorted(_files(folder, recursive, without, found.unreadable)):
        kind = kind_of(path)
        (found.taken if kind in media.kinds else found.left_out.setdefault(kind, [])).append(path)
    return found


def _files(folder: Path, recursive: bool, without: Collection[Path], unreadable: list[str]) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        sentence = f"{error.filename} cannot be read ({error.strerror})."
        if Path(error.filename) == folder:
            raise ValueError(sentence) from error
        unreadable.append(sentence)

    if is_remote(folder):
        yield from (path for path in list_objects(folder, recursive) if not path.name.startswith("."))
        return
    for place, folders, names in os.walk(folder, onerror=refuse):
        inner = [name for name in folders if not name.startswith(".") and (Path(place) / name).resolve() not in without]
        folders[:] = inner if recursive else []
        yield from (Path(place) / name for name in names if not name.startswith("."))  # hidden, as macOS's "._photo.jpg"


def describe(left_out: Mapping[str, Collection[Path]], media: Media) -> str:
    """What is left out and why, in a sentence for each kind; empty where nothing is."""
    sentences = []
    for kind, files in left_out.items():
        ends = ", ".join(sorted({file.suffix.lower() or "no suffix" for file in files}))
        one, several = _NAMES[kind]
        what = one.split(" ", 1)[1] if len(files) == 1 and kind in ("image", "animation", "video", "remote video") else several
        advice = media.advice.get(kind)
        sentences.append(f"{len(files)} {what} ({ends})" + (f": {advice}" if advice else ""))
    return "; ".join(sentences)


def wrong_command(path: Path, media: Media) -> str | None:
    """What to do with a file that this command is not for, in a sentence; None where it may be for it."""
    kind = kind_of(path)
    advice = "" if kind in media.kinds else media.advice.get(kind, "")
    return f"{path} is {_NAMES[kind][0]}: {advice}." if advice.startswith((_USE_VIDEO, _USE_FIX, _COPY)) else None


def expanded(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The paths, with wildcards replaced by what they match, as shells do it and Windows does not.

    Raises:
        ValueError: one matches nothing.
    """
    found: list[Path] = []
    for path in paths:
        matches = [path]
        if not is_remote(path) and not os.path.exists(path) and glob.has_magic(str(path)):
            matches = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
            if not matches:
                raise ValueError(f"{path} matches no file.")
        found += matches
    return tuple(found)

"""Which file is written for which, decided and checked before any work begins."""

import glob
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from ..image_io.encode import FORMATS as IMAGE_FORMATS
from .arguments import FORMATS, Arguments


class Media(NamedTuple):
    """Images or videos: which files are taken, and which can be written.

    Attributes:
        name: what one is called.
        read: how the files end that are taken from folders.
        written: how those end that can be written; others become `other`.
        other: how a result ends whose input's format cannot be written.
        foreign: how files end that are of its kind, and cannot be read.
        wrong: how files end that another command is for.
        hint: what such a file is and which command that is.
    """

    name: str
    read: Collection[str]
    written: Collection[str]
    other: str
    foreign: Collection[str] = ()
    wrong: Collection[str] = ()
    hint: str = ""


#: Images as cameras, phones and editors store them.
_FOREIGN = (
    ".heic", ".heif", ".avif", ".jxl", ".gif", ".psd", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2",
)  # fmt: skip

#: How videos end that are taken from folders; PyAV reads many more kinds, when they are named.
VIDEO_ENDS = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".mts", ".3gp", ".ogv",
)  # fmt: skip

IMAGES = Media("image", IMAGE_FORMATS, IMAGE_FORMATS, ".png", _FOREIGN, VIDEO_ENDS, "a video: use `codeformer video`")


class ImageTask(NamedTuple):
    """One image or video of a run: its files.

    Attributes:
        source: the file that is read.
        target: the file that is written; of `codeformer crop`, how the names of its files begin.
        forced: the user has asked for the target's format; otherwise an image that it cannot hold becomes a PNG.
        crops: how the paths of its face crops begin; None when they are not wanted.
        below: where the source lies below the folder that was named; its masks lie there below theirs.
    """

    source: Path
    target: Path
    forced: bool
    crops: Path | None
    below: Path = Path()


def plan(arguments: Arguments, media: Media) -> list[ImageTask]:
    """One task for each image (or video) among files and folders; nothing is written.

    Paths are files, whatever they are called, and folders, of which the files with an image's name are taken. `out` is a file
    when the input is one file and this ends like one of its kind; otherwise a folder, which need not exist.

    Raises:
        ValueError: something does not exist or is empty, two inputs have one output, an output is an input, a suffix is a path.
    """
    out, suffix, crop = arguments.out, arguments.suffix, arguments.command == "crop"
    end = ".png" if crop else FORMATS[arguments.format]
    if "/" in suffix or "\\" in suffix:
        raise ValueError(f"the suffix {suffix!r} names a folder. Use --suffix for a part of a name, and --out for folders.")
    sources = _sources(arguments, media)
    to_file = out.suffix.lower() in media.written and not out.is_dir()
    if to_file and crop:
        raise ValueError(f"{out} is the name of an image: name a folder for the faces.")
    if to_file and [path.is_file() for path in arguments.paths] != [True]:
        raise ValueError(f"{out} is the name of one {media.name}, but the input is not one file. Name a folder.")
    if to_file and (suffix or end):
        raise ValueError(f"{out} says how the result is called and stored: leave out --suffix and --format, or name a folder.")
    if not to_file and out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file. Name a folder, or a file that ends in one of {', '.join(media.written)}.")
    if len(sources) > 1 and (arguments.save_faces or arguments.faces_from):
        raise ValueError(f"--save-faces and --faces-from are for one image, found {len(sources)}: do them one by one.")
    tasks, crops = [], arguments.save_crops
    for source, below in sources:
        kept = source.suffix if source.suffix.lower() in media.written else media.other
        target = out if to_file else out / below / f"{source.stem}{suffix and '_' + suffix}{end or kept}"
        tasks.append(ImageTask(source, target, bool(to_file or end), crops / below / target.stem if crops else None, below))
    _refuse_collisions(arguments, tasks)
    return tasks


def without_results(arguments: Arguments, tasks: list[ImageTask]) -> list[ImageTask]:
    """The tasks whose results do not exist; with --overwrite all. Which faces `codeformer crop` writes is not known yet."""
    if arguments.overwrite or arguments.command == "crop":
        return tasks
    return [task for task in tasks if not task.target.is_file()]


def _sources(arguments: Arguments, media: Media) -> list[tuple[Path, Path]]:
    """The files and where each belongs below the output folder, each file once."""
    out, recursive = arguments.out, arguments.recursive
    found: dict[Path, tuple[Path, Path]] = {}
    for path in arguments.paths:
        if path.is_dir():
            files = _files(path, recursive, media.read)
            if path.resolve() in out.resolve().parents:  # results of an earlier run lie among the inputs
                files = [file for file in files if out.resolve() not in file.resolve().parents]
            if not files:
                below = not recursive and bool(_files(path, True, media.read))
                hint = " Add --recursive to look into its folders too." if below else ""
                wrong = _files(path, recursive, media.wrong)
                hint += f" {wrong[0].name} is {media.hint}." if wrong else ""
                hint += f" Found {others}." if (others := ignored([path], recursive, media)) else ""
                raise ValueError(f"{path} holds no {media.name} ({', '.join(media.read)}).{hint}")
            for file in files:
                found.setdefault(file.resolve(), (file, file.parent.relative_to(path)))
        elif path.is_file():
            if path.suffix.lower() in media.wrong:
                raise ValueError(f"{path} is {media.hint}.")
            found.setdefault(path.resolve(), (path, Path()))
        else:
            raise ValueError(f"{path} does not exist.")
    return list(found.values())


def expanded(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The paths, with wildcards replaced by what they match, as shells do it and Windows does not.

    Raises:
        ValueError: one matches nothing.
    """
    found: list[Path] = []
    for path in paths:
        matches = [path]
        if not path.exists() and glob.has_magic(str(path)):
            matches = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
            if not matches:
                raise ValueError(f"{path} matches no file.")
        found += matches
    return tuple(found)


def ignored(paths: Iterable[Path], recursive: bool, media: Media) -> str:
    """The images in folders whose formats cannot be read, and what to do with them; empty where there are none."""
    files = [file for path in paths if path.is_dir() for file in _files(path, recursive, media.foreign)]
    ends = ", ".join(sorted({file.suffix.lower() for file in files}))
    return f"{len(files)} of other kinds ({ends}): export those as TIFF or PNG first" if files else ""


def _files(folder: Path, recursive: bool, ends: Collection[str]) -> list[Path]:
    return sorted(
        file
        for file in folder.glob("**/*" if recursive else "*")
        if file.suffix.lower() in ends
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)  # hidden, as macOS's "._photo.jpg"
        and file.is_file()
    )


def _refuse_collisions(arguments: Arguments, tasks: Iterable[ImageTask]) -> None:
    """Raise a ValueError where a result would overwrite an input, a mask or another result."""
    sources = {task.source.resolve() for task in tasks}
    masks = [arguments.inside, arguments.keep_out, arguments.fidelity_mask, arguments.holes]
    writers: dict[str, Path] = {}
    for task in tasks:
        if task.target.resolve() in sources:
            raise ValueError(
                f"{task.target} is an input, which is never overwritten. Name another folder, or add --suffix fixed."
            )
        for mask in filter(None, masks):
            if mask.resolve() in (task.target.resolve(), *task.target.resolve().parents):
                raise ValueError(f"{task.target} would be written to {mask}, which is read. Name another place.")
        for written in filter(None, (task.target, task.crops)):
            name = str(written).casefold()  # one name on Windows and macOS
            if name in writers:
                raise ValueError(
                    f"{writers[name]} and {task.source} would both be written to {written}. "
                    "Fix them one after the other into different folders, or use --recursive, which keeps folders apart."
                )
            writers[name] = task.source

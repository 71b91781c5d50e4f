"""Which file of a command becomes which: all decided, and refused where it makes no sense, before any work begins."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..image_io.encode import FORMATS

#: What may be asked for instead of the input's own format, and how such files end.
ENDS = {"keep": "", "png": ".png", "jpg": ".jpg", "webp": ".webp", "tiff": ".tif"}


class Kind(NamedTuple):
    """What a command works on.

    Attributes:
        name: what one is called.
        read: how the files end that are taken from folders.
        written: how those end that can be written; others become `other`.
        other: how a result ends whose input has an end that cannot be written.
        foreign: how files end that are of its like, and are not read.
    """

    name: str
    read: Collection[str]
    written: Collection[str]
    other: str
    foreign: Collection[str] = ()


#: How pictures end as cameras, phones and editors store them.
_FOREIGN = (
    ".heic", ".heif", ".avif", ".jxl", ".gif", ".psd", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2",
)  # fmt: skip

PICTURES = Kind("picture", FORMATS, FORMATS, ".png", _FOREIGN)


class Job(NamedTuple):
    """One picture or video of a command.

    Attributes:
        source: the file that is read.
        target: the file that is written.
        forced: the user has asked for the target's format; otherwise a picture that it cannot hold becomes a PNG.
        crops: how the paths of its face crops begin; None when they are not wanted.
        below: where the source lies below the folder that was named; its masks lie there below theirs.
    """

    source: Path
    target: Path
    forced: bool
    crops: Path | None
    below: Path = Path()


def plan(
    paths: Sequence[Path],
    out: Path,
    *,
    recursive: bool = False,
    suffix: str = "",
    end: str = "keep",
    crops: Path | None = None,
    read: Sequence[Path] = (),
    kind: Kind = PICTURES,
) -> list[Job]:
    """One job for each picture (or video) among files and folders.

    Args:
        paths: files, whatever they are called, and folders, of which the files with a picture's name are taken.
        out: a file when `paths` is one file and this ends like one of its kind; otherwise a folder, which need not exist.
        recursive: look into the folders' folders too, and make the same ones in `out`.
        suffix: added to the names: "fixed" makes photo_fixed.png.
        end: a row of `ENDS`.
        crops: the folder for face crops.
        read: other files and folders that are read, such as masks.
        kind: pictures or videos.

    Raises:
        ValueError: something does not exist or is empty, two inputs have one output, an output is an input, a suffix is a path.
    """
    if "/" in suffix or "\\" in suffix:
        raise ValueError(f"the suffix {suffix!r} names a folder. Use --suffix for a part of a name, and --out for folders.")
    sources = _sources(paths, out, recursive, kind)
    to_file = out.suffix.lower() in kind.written and not out.is_dir()
    if to_file and (len(paths) > 1 or not paths[0].is_file()):
        raise ValueError(f"{out} is the name of a {kind.name}, but the input is not one file. Name a folder.")
    if to_file and (suffix or end != "keep"):
        raise ValueError(f"{out} says how the result is called and stored: leave out --suffix and --format, or name a folder.")
    if not to_file and out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file. Name a folder, or a file that ends in one of {', '.join(kind.written)}.")
    jobs = []
    for source, below in sources:
        kept = source.suffix if source.suffix.lower() in kind.written else kind.other
        target = out if to_file else out / below / f"{source.stem}{suffix and '_' + suffix}{ENDS[end] or kept}"
        jobs.append(Job(source, target, to_file or end != "keep", crops / below / target.stem if crops else None, below))
    _refuse_collisions(jobs)
    for job in jobs:
        for path in read:
            if path.resolve() in (job.target.resolve(), *job.target.resolve().parents):
                raise ValueError(f"{job.target} would be written to {path}, which is read. Name another place.")
    return jobs


def _sources(paths: Iterable[Path], out: Path, recursive: bool, kind: Kind) -> list[tuple[Path, Path]]:
    """The files and where each belongs below the output folder, each file once."""
    found: dict[Path, tuple[Path, Path]] = {}
    for path in paths:
        if path.is_dir():
            files = [
                file
                for file in _inside(path, recursive, kind.read)
                if out.resolve() not in file.resolve().parents or path == out
            ]
            if not files:
                below = not recursive and bool(_inside(path, True, kind.read))
                hint = " Add --recursive to look into its folders too." if below else ""
                hint += f" Found {others}." if (others := left_out([path], recursive, kind)) else ""
                raise ValueError(f"{path} holds no {kind.name} ({', '.join(kind.read)}).{hint}")
            for file in files:
                found.setdefault(file.resolve(), (file, file.parent.relative_to(path)))
        elif path.is_file():
            found.setdefault(path.resolve(), (path, Path()))
        else:
            raise ValueError(f"{path} does not exist.")
    return list(found.values())


def left_out(paths: Iterable[Path], recursive: bool, kind: Kind) -> str:
    """The pictures in folders that are of no kind that is read, and what to do with them; empty where there are none."""
    if not kind.foreign:
        return ""
    files = [file for path in paths if path.is_dir() for file in _inside(path, recursive, kind.foreign)]
    ends = ", ".join(sorted({file.suffix.lower() for file in files}))
    return f"{len(files)} of other kinds ({ends}): export those as TIFF or PNG first" if files else ""


def _inside(folder: Path, recursive: bool, ends: Collection[str]) -> list[Path]:
    files = folder.rglob("*") if recursive else folder.iterdir()
    return sorted(
        file
        for file in files
        if file.suffix.lower() in ends
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)  # hidden, as macOS's "._photo.jpg"
        and file.is_file()
    )


def _refuse_collisions(jobs: Iterable[Job]) -> None:
    sources = {job.source.resolve(): job.source for job in jobs}
    writers: dict[str, Path] = {}
    for job in jobs:
        if job.target.resolve() in sources:
            raise ValueError(
                f"{job.target} is an input, which is never written over. Name another folder, or add --suffix fixed."
            )
        for written in (job.target, job.crops):
            name = str(written).casefold()  # one name on Windows and macOS
            if written is not None and name in writers:
                raise ValueError(
                    f"{writers[name]} and {job.source} would both be written to {written}. "
                    "Fix them one after the other into different folders, or use --recursive, which keeps folders apart."
                )
            writers[name] = job.source

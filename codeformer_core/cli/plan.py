"""Which file is written for which, decided and checked before any work begins."""

import errno
import os
import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from ..image_io.numbered import is_pattern
from ..runtime.addresses import is_remote
from .arguments import FORMATS, Arguments, Fidelity
from .commands import COMMANDS
from .contents import ANIMATED_ENDS, FOREIGN, IMAGES, VIDEO_ENDS, Media, describe, look_into, wrong_command
from .values import problem


class ImageTask(NamedTuple):
    """One result of a run: its files.

    Attributes:
        source: the file that is read.
        target: the file that is written; of `codeformer crop`, how the names of its files begin.
        forced: the user has asked for the target's format; otherwise an image that it cannot hold becomes a PNG.
        crops: how the paths of its face crops begin; None when they are not wanted.
        below: where the source lies below the folder that was named; its masks lie there below theirs.
        fidelity: the one of several that this result is for; None where all have the same.
    """

    source: Path
    target: Path
    forced: bool
    crops: Path | None
    below: Path = Path()
    fidelity: Fidelity | None = None


class Plan(NamedTuple):
    """The tasks of a run.

    Attributes:
        notes: sentences on files that are left out, and on results that are called otherwise than their inputs.
        unreadable: a sentence for each folder that cannot be read.
    """

    tasks: list[ImageTask]
    notes: list[str]
    unreadable: list[str]


class _Source(NamedTuple):
    """A file to read, where it belongs below the output folder, and whether it was found in a folder."""

    path: Path
    below: Path
    found: bool = False


def plan(arguments: Arguments, media: Media) -> Plan:
    """One task for each image (or video) among files and folders, and for each fidelity; nothing is written.

    Paths are files, whatever they are called, and folders, see `contents.look_into`. `out` is a file when the input is one file
    and this ends like one of its kind; otherwise a folder, which need not exist.

    Raises:
        ValueError: something does not exist or is empty, two inputs have one output, an output is an input, a suffix is a path.
    """
    out, suffix, crop = arguments.out, arguments.suffix, arguments.command == "crop"
    end = ".png" if crop else FORMATS[arguments.format]
    if "/" in suffix or "\\" in suffix:
        raise ValueError(f"the suffix {suffix!r} names a folder. Use --suffix for a part of a name, and --out for folders.")
    if media.numbered and is_remote(out):
        raise ValueError(f"{out} is in an object store, where only images are written: name a file or folder on a disk.")
    made = Plan([], [], [])
    sources = _sources(arguments, media, made)
    to_file = (out.suffix.lower() in media.written or media.is_pattern(out)) and not out.is_dir()
    if to_file and crop:
        raise ValueError(f"{out} is the name of an image: name a folder for the faces.")
    if to_file and [source.found for source in sources] != [False]:
        hint = _swapped(arguments) or " Name a folder."
        raise ValueError(f"{out} is the name of one {media.name}, but the input is not one file.{hint}")
    if to_file and (suffix or end):
        raise ValueError(f"{out} says how the result is called and stored: leave out --suffix and --format, or name a folder.")
    if not to_file and not out.exists() and out.suffix.lower() in (*FOREIGN, *ANIMATED_ENDS, *VIDEO_ENDS, *IMAGES.written):
        raise ValueError(
            f"{out} ends like a file of a kind that this command does not write. Name a file that ends in one of "
            f"{', '.join(media.written)}, or a folder."
        )
    if not to_file and out.exists() and not out.is_dir():
        hint = _swapped(arguments) or f" Name a folder, or a file that ends in one of {', '.join(media.written)}."
        raise ValueError(f"{out} is a file.{hint}")

    def target(source: _Source, mark: str = "") -> Path:
        if to_file:
            return out
        keeps = source.path.suffix.lower() in media.written or media.is_pattern(source.path)
        kept = source.path.suffix if keeps else media.other
        ending = "".join(f"_{part}" for part in (mark, suffix, COMMANDS[arguments.command].ending) if part)
        return out.joinpath(*source.below.parts, f"{source.path.stem}{ending}{end or kept}")

    sources = _without_results(sources, {target(source).with_suffix("").resolve() for source in sources}, arguments, made)
    if len(sources) > 1 and (arguments.save_faces or arguments.faces_from):
        raise ValueError(f"--save-faces and --faces-from are for one {media.name}, found {len(sources)}: do them one by one.")
    for source, path in _apart(sources, target, made):
        made.tasks.extend(_tasks(arguments, source, path, bool(to_file or end)))
    _refuse_collisions(arguments, made.tasks)
    return made


def _apart(sources: list[_Source], target: Callable[..., Path], made: Plan) -> list[tuple[_Source, Path]]:
    """The sources and their targets; of two with one target the one in another format gets its own suffix into the name.

    Raises:
        ValueError: that does not tell them apart.
    """
    taken: dict[str, _Source] = {}
    targets: dict[Path, Path] = {}
    for source in sorted(sources, key=lambda source: target(source).suffix.lower() != source.path.suffix.lower()):
        path, own = target(source), source.path.suffix.removeprefix(".")
        other = taken.get(str(path).casefold())  # one name on Windows and macOS
        if other and other.path.suffix.lower() != source.path.suffix.lower():
            path = target(source, own)
            made.notes.append(f"The result of {source.path} is {path.name}, beside that of {other.path.name}.")
            other = taken.get(str(path).casefold())
        if other:
            raise ValueError(
                f"{other.path} and {source.path} would both be written to {path}. "
                "Fix them one after the other into different folders, or rename one."
            )
        taken[str(path).casefold()] = source
        targets[source.path] = path
    return [(source, targets[source.path]) for source in sources]


def _tasks(arguments: Arguments, source: _Source, target: Path, forced: bool) -> Iterable[ImageTask]:
    """The tasks for a file: one, or one for each fidelity."""
    crops = arguments.save_crops
    for fidelity in arguments.fidelities or (None,):
        path = target if fidelity is None else target.with_name(f"{target.stem}_w{_label(fidelity)}{target.suffix}")
        yield ImageTask(
            source.path, path, forced, crops.joinpath(*source.below.parts, path.stem) if crops else None, source.below, fidelity
        )


def _label(fidelity: Fidelity) -> str:
    values = fidelity if isinstance(fidelity, tuple) else (fidelity,)
    return "-".join(f"{value:.2f}" if round(value, 2) == value else f"{value:g}" for value in values)


def _without_results(sources: list[_Source], results: set[Path], arguments: Arguments, made: Plan) -> list[_Source]:
    """The sources without those that an earlier run of the same command has written beside them.

    Args:
        results: the paths of all results, without suffixes and without the marks of crops, fidelities and comparisons.
    """
    marked = bool(arguments.suffix or COMMANDS[arguments.command].ending)
    label = r"_w[01][.\d]*(-[01][.\d]*)*"
    marks = r"_\d\d+" if arguments.command == "crop" else f"({label}){'?' if marked else ''}(_compare)?"

    def is_result(source: _Source) -> bool:
        path = source.path.resolve().with_suffix("")
        plain = path.with_name(re.sub(f"{marks}$", "", path.name, count=1))
        return source.found and (plain != path or marked) and plain in results

    kept = [source for source in sources if not is_result(source)]
    if len(kept) < len(sources):
        made.notes.append(f"Left out: {len(sources) - len(kept)} that are results of an earlier run, by their names.")
    return kept


def folder_of(arguments: Arguments, tasks: Iterable[ImageTask]) -> Path:
    """The folder that the results go to: `out`, or where that lies when it names a file."""
    out = arguments.out
    return out.parent if all(task.target.parent == out.parent for task in tasks) else out


def has_result(arguments: Arguments, task: ImageTask) -> bool:
    """Whether a task was done before; with --overwrite none. Which faces `codeformer crop` writes is not known yet."""
    return not arguments.overwrite and arguments.command != "crop" and task.target.is_file()


def too_long(arguments: Arguments, task: ImageTask) -> str | None:
    """Why a disk does not take the names of the results, in a sentence."""
    crop = task.crops and task.crops.with_name(f"{task.crops.name}_01_restored.png")
    compared = task.target.with_stem(f"{task.target.stem}_compare") if arguments.compare else None
    for path in filter(None, (task.target, crop, compared)):
        if is_remote(path):
            continue
        folder = next((folder for folder in path.parents if folder.is_dir()), Path())
        try:
            os.lstat(folder / path.name)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return f"the disk takes no name as long as {path.name}. Rename the file, or leave out or shorten --suffix."
    return None


def _sources(arguments: Arguments, media: Media, made: Plan) -> list[_Source]:
    """The files and where each belongs below the output folder, each file once."""
    found: dict[Path, _Source] = {}
    left_out: dict[str, dict[Path, Path]] = {}  # a folder may be named twice, or within another
    results = {folder.resolve() for folder in (arguments.out, arguments.save_crops) if folder}
    for path in arguments.paths:
        frames = media.pattern_in(path)
        if frames is not None:
            found[frames.resolve()] = _Source(frames, Path())
            continue
        if wrong := problem(path):
            hint = _swapped(arguments) if wrong == "does not exist" else ""
            raise ValueError(f"{path} {wrong}.{hint}")
        if path.is_dir():
            contents = look_into(path, arguments.recursive, media, results)
            made.unreadable.extend(one for one in contents.unreadable if one not in made.unreadable)
            if not contents.taken:
                raise ValueError(f"{path} holds no {media.name} ({', '.join(media.read)}).{_why_empty(path, arguments, media)}")
            for kind, files in contents.left_out.items():
                left_out.setdefault(kind, {}).update({file.resolve(): file for file in files})
            for file in contents.taken:
                found.setdefault(file.resolve(), _Source(file, Path(*file.parent.parts[len(path.parts) :]), True))
        elif sentence := wrong_command(path, media):
            raise ValueError(sentence)
        else:
            found[path.resolve()] = _Source(path, Path())
    if left_out:
        made.notes.append(f"Left out: {describe({kind: files.values() for kind, files in left_out.items()}, media)}.")
    return list(found.values())


def _why_empty(folder: Path, arguments: Arguments, media: Media) -> str:
    """What is in a folder without a file to work on, and in its folders."""
    if not arguments.recursive and look_into(folder, True, media, ()).taken:
        return " Add --recursive to look into its folders too."
    left_out = describe(look_into(folder, arguments.recursive, media, ()).left_out, media)
    return f" Found {left_out}." if left_out else ""


def _swapped(arguments: Arguments) -> str:
    """A question where -o names an existing file, which may be the input."""
    if not arguments.out.is_file() or len(arguments.paths) != 1:
        return ""
    files = shlex.join([str(arguments.out), "-o", str(arguments.paths[0])])
    return f" Are the two in the wrong places? Say `codeformer {arguments.command} {files}`."


def _refuse_collisions(arguments: Arguments, tasks: Iterable[ImageTask]) -> None:
    """Raise a ValueError where a result would overwrite an input or a mask."""
    sources = {task.source.resolve() for task in tasks}
    frames = {source.parent for source in sources if is_pattern(source)}
    masks = [arguments.inside, arguments.keep_out, arguments.fidelity_mask, arguments.holes]
    for task in tasks:
        if task.target.resolve() in sources and arguments.command != "crop":  # which writes others, that are looked at then
            raise ValueError(
                f"{task.target} is an input, which is never overwritten. Name another folder, or add --suffix fixed."
            )
        if is_pattern(task.target) and task.target.parent.resolve() in frames:
            raise ValueError(f"{task.target} would lie among the frames that are read. Name another folder.")
        for mask in filter(None, masks):
            if mask.resolve() in (task.target.resolve(), *task.target.resolve().parents):
                raise ValueError(f"{task.target} would be written to {mask}, which is read. Name another place.")

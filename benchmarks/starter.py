"""Train a starter of 256 pixels in a given time: three stages, a file in 16 bits, its claims, a comparison (docs/training.md).

python -m benchmarks.starter faces out --minutes 9
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors.torch import save_file

from codeformer_core import checkpoints
from codeformer_core.cli import main as codeformer
from codeformer_core.training import config_file
from codeformer_core.training.config import Config
from codeformer_core.training.run import train

from . import claims

#: Stage -> share of the time.
SHARES = {1: 0.35, 2: 0.4, 3: 0.25}

#: The largest file that comes with the project.
LARGEST = 12_000_000

#: Steps that are timed, after others that warm up.
TIMED, WARMING = 20, 10


def configured(args: argparse.Namespace, stage: int, steps: int, speed: float = 0.0) -> Config:
    """The preset of a stage with so many steps, and a checkpoint every minute at this speed (steps a second).

    The discriminator takes part from the same share of the steps on as in the preset.
    """
    config, out = config_file.read(f"starter-256-{stage}", args.set), args.out
    return replace(
        config,
        out=out / f"starter-256-{stage}",
        start=out / f"starter-256-{stage - 1}" / "network.pth" if stage > 1 else None,
        codes_from=out / "starter-256-1" / "network.pth" if stage == 3 else None,
        faces=replace(config.faces, folder=args.faces),
        optimiser=replace(config.optimiser, steps=steps),
        losses=replace(config.losses, adversarial_from=config.losses.adversarial_from * steps // config.optimiser.steps),
        codebook=replace(config.codebook, continuous=min(config.codebook.continuous, steps // 5)),
        every=replace(config.every, checkpoint=max(1, round(60 * speed)) if speed else config.every.checkpoint),
    )


def speed_of(args: argparse.Namespace, stage: int) -> float:
    """Steps a second of a stage, with the discriminator and without what begins once."""
    seconds = []
    for steps in (WARMING, WARMING + TIMED):
        with TemporaryDirectory() as folder:
            config = configured(args, stage, steps)
            config = replace(config, out=Path(folder), losses=replace(config.losses, adversarial_from=0))
            config = replace(config, every=replace(config.every, validation=0, sheet=10**6))
            begun = time.perf_counter()
            train(config, quiet=True)
            seconds.append(time.perf_counter() - begun)
    return TIMED / max(1e-3, seconds[1] - seconds[0])


def export(network: Path, path: Path) -> None:
    """A network of stage III as a file in 16 bits."""
    save_file({name: value.half().contiguous() for name, value in checkpoints.read(network).items()}, path)
    if (size := path.stat().st_size) > LARGEST:
        raise ValueError(f"{path} has {size:,} bytes, expected at most {LARGEST:,}: make [network] smaller.")


def parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(description="Train a starter of 256 pixels, and compare it with the one that is here.")
    parser.add_argument("faces", type=Path, help="folder of aligned faces; every tenth is held out")
    parser.add_argument("out", type=Path, help="folder for the runs and the results; the same one resumes")
    parser.add_argument("--minutes", type=float, default=9.0, help="for the three stages together (default 9)")
    parser.add_argument("--steps", type=int, default=0, help="of each stage, instead of as many as the time allows: to try it")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="changes a setting of all stages")
    return parser


def main() -> None:
    """Train, export, measure."""
    args = parser().parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for stage, share in SHARES.items():
        speed = 0.0 if args.steps else speed_of(args, stage)
        config = configured(args, stage, args.steps or round(60 * args.minutes * share * speed), speed)
        done = train(config)
        print(f"stage {stage}: {done} steps, {speed:.1f} a second", flush=True)
    starter = args.out / "starter-256.safetensors"
    export(args.out / "starter-256-3" / "network.pth", starter)
    held = configured(args, 1, 1).faces.hold_out
    claims.write(starter, args.out / "starter-256-1" / "network.pth", args.faces, args.out / "claims.md", held)
    compare(starter, args.faces, args.out, held)


def compare(starter: Path, faces: Path, out: Path, hold_out: int) -> None:
    """Score the new and the old starter on the held-out faces, both at 128 pixels."""
    old = checkpoints.find("starter")
    with TemporaryDirectory() as folder:
        for path in claims.split(faces, hold_out)[1]:
            (Path(folder) / path.name).write_bytes(path.read_bytes())
        for name, model in (("new", starter), ("old", old)):
            words = ["evaluate", "--model", str(model), "--truth", folder, "--degrade", "severe", "--side", "128"]
            codeformer([*words, *(word for w in ("0", "0.5", "1") for word in ("-w", w)), "-o", str(out / name)])


if __name__ == "__main__":
    main()

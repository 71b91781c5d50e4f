"""`python -m benchmarks.stragglers`: simulates a job on a cluster: images take as long as a report says, and workers die."""

import argparse
import heapq
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from codeformer_core.cli.values import listed, number, problem
from codeformer_core.options.option import Numbers
from codeformer_core.runtime.atomic_write import write_bytes

#: Workers that are simulated.
WORKERS = (1, 2, 4, 8, 16, 32, 64)


class Run(NamedTuple):
    """What became of a simulated job: seconds of wall time, seconds of work that were lost, and how often workers died."""

    seconds: float
    lost: float
    deaths: int


def queued(times: Sequence[float], workers: int, block: int, life: float, start: float, seed: int = 0) -> Run:
    """A job whose workers take the next block of images as soon as they are free, as `cli.cluster` does.

    Args:
        times: seconds of each image.
        block: images that are handed out, and done again, together.
        life: mean seconds from the start of a worker to its death, exponentially distributed.
        start: seconds until a new worker has loaded the networks.
    """
    draw = random.Random(seed)
    blocks = [sum(times[at : at + block]) for at in range(0, len(times), block)][::-1]
    free = [(start, start + draw.expovariate(1 / life)) for _ in range(workers)]  # (when it is free, when it dies)
    heapq.heapify(free)
    end, lost, deaths = 0.0, 0.0, 0
    while blocks:
        now, dies = heapq.heappop(free)
        needed = blocks.pop()
        if now + needed > dies:
            lost, deaths, ready = lost + dies - now, deaths + 1, dies + start
            blocks.append(needed)
            heapq.heappush(free, (ready, ready + draw.expovariate(1 / life)))
        else:
            end = max(end, now + needed)
            heapq.heappush(free, (now + needed, dies))
    return Run(end, lost, deaths)


def split(times: Sequence[float], workers: int, start: float) -> float:
    """Seconds of a job whose list was cut into equal parts beforehand, one for each worker, none of which dies."""
    share = -(-len(times) // workers)
    return start + max(sum(times[at : at + share]) for at in range(0, len(times), share))


def parser() -> argparse.ArgumentParser:
    """The options of the command."""
    command = argparse.ArgumentParser(prog="python -m benchmarks.stragglers", description=__doc__, allow_abbrev=False)
    add, count = command.add_argument, number(Numbers(1, whole=True))
    add("report", type=Path, metavar="REPORT.json", help="of a job whose seconds are drawn from (--report)")
    add("--items", type=count, default=10_000, metavar="N", help="images of the job (default 10000)")
    add("--workers", type=listed(count), default=WORKERS, metavar="N,N", help="numbers of workers")
    add("--block", type=count, default=1, metavar="N", help="images that are handed out together (default 1)")
    add("--life", type=number(Numbers(1e-3)), default=24.0, metavar="H", help="mean hours until a worker dies (default 24)")
    add("--start", type=number(Numbers(0)), default=20.0, metavar="S", help="seconds until a worker can work (default 20)")
    add("--plot", type=Path, metavar="FILE.svg", help="draws the efficiency over the number of workers")
    return command


def main(argv: Sequence[str]) -> int:
    """Print a table, and draw a plot of it."""
    args = parser().parse_args(argv)
    if wrong := problem(args.report):
        print(f"benchmarks.stragglers: {args.report} {wrong}", file=sys.stderr)
        return 2
    measured = [item["seconds"] for item in json.loads(args.report.read_text())["items"] if item["status"] == "done"]
    times = random.Random(0).choices(measured, k=args.items)
    work = sum(times)
    mean, longest = work / len(times), max(measured)
    print(f"{args.items} drawn from {len(measured)} measured: mean {mean:.2f} s, longest {longest:.2f} s")
    print("workers      hours  efficiency  as one split beforehand  deaths  lost")
    curves: dict[str, list[tuple[int, float]]] = {"queue": [], "split beforehand": []}
    for workers in args.workers:
        run = queued(times, workers, args.block, args.life * 3600, args.start)
        ideal, whole = work / workers, split(times, workers, args.start)
        curves["queue"].append((workers, ideal / run.seconds))
        curves["split beforehand"].append((workers, ideal / whole))
        row = f"{workers:7}  {run.seconds / 3600:9.2f}  {ideal / run.seconds:10.1%}  {ideal / whole:23.1%}"
        print(f"{row}  {run.deaths:6}  {run.lost / work:.2%}")
    if args.plot:
        write_bytes(args.plot, svg(curves).encode(), overwrite=True)
    return 0


def svg(curves: dict[str, list[tuple[int, float]]]) -> str:
    """Efficiency (0 to 100 %) over the number of workers, each twice the one before."""
    workers = [count for count, _ in next(iter(curves.values()))]
    left, top, width, height = 60, 20, 480, 220

    def at(index: int, value: float) -> str:
        return f"{left + width * index / max(1, len(workers) - 1):.1f},{top + height * (1 - value):.1f}"

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 20} {top + height + 50}" font-size="13">']
    parts += [f'<rect width="{left + width + 20}" height="{top + height + 50}" fill="white"/>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = top + height * (1 - share)
        parts += [f'<path d="M{left},{y}h{width}" stroke="#ccc"/>']
        parts += [f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{share:.0%}</text>']
    for index, count in enumerate(workers):
        x = left + width * index / max(1, len(workers) - 1)
        parts += [f'<text x="{x:.1f}" y="{top + height + 20}" text-anchor="middle">{count}</text>']
    parts += [f'<text x="{left + width / 2}" y="{top + height + 42}" text-anchor="middle">workers</text>']
    for (name, curve), colour in zip(curves.items(), ("#1668dc", "#d4380d"), strict=True):
        points = " ".join(at(index, value) for index, (_, value) in enumerate(curve))
        parts += [f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>']
        y = top + height * (1 - curve[-1][1]) + 18
        parts += [f'<text x="{left + width - 6}" y="{y:.1f}" text-anchor="end" fill="{colour}">{name}</text>']
    return "\n".join([*parts, "</svg>\n"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Films in parts: wherever the work stops and goes on, the result is that of an uninterrupted run, bit for bit."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from small_clips import write_clip

from codeformer_core import checkpoints
from codeformer_core.faces import Face
from codeformer_core.options import FixOptions, Selection
from codeformer_core.runtime.fingerprint import fingerprint
from codeformer_core.video import film_parts
from codeformer_core.video.film import Film
from codeformer_core.video.pipeline import fix_video

OPTIONS = FixOptions(always=True, chunk=4, mask="box", selection=Selection(order="left", count=1))

#: Images of shots of 17, 5, 1 and 3 frames, whose stripes move a little; every other shot has inverted stripes.
SHOTS = [0.1 * step for step in range(17)] + [7.3 + 0.1 * step for step in range(5)] + [0.0, 7.2, 7.3, 7.4]


@pytest.fixture(autouse=True)
def short_parts(monkeypatch):
    monkeypatch.setattr(film_parts, "LONGEST", 5)
    monkeypatch.setattr(film_parts, "SHORTEST", 2)


@pytest.fixture(scope="module")
def tiny(smallest_checkpoint):
    return checkpoints.load(smallest_checkpoint)


class Wandering:
    """Two faces that are where the image's content says, and of which one is sometimes missed."""

    def __init__(self, first=0):
        self.asked = []

    def detect(self, images, options):
        found = []
        for index, image in enumerate(images):
            self.asked.append(image)
            value = float(image[:, :, :8].mean())
            for x, y, seen in ((10 + 20 * value, 12.0, True), (50 - 12 * value, 20.0, round(value * 1e4) % 5 > 0)):
                eyes = ((x + 8, y + 10), (x + 20, y + 10 + value))
                mouth = ((x + 9, y + 23), (x + 19, y + 23))
                face = Face(index, (x, y, x + 28, y + 30), (*eyes, (x + 14, y + 17), *mouth), 0.5 + value / 3)
                found += [face] if seen else []
        return found


class Stop(Exception):
    pass


def stop_after(frames):
    def tick(done, total):
        if done == frames:
            raise Stop

    return tick


def contents(path):
    """PTS and pixels of the frames; the packets of sound and subtitles; each stream's begin; tags and duration."""
    with av.open(str(path)) as container:
        streams = [(one.type, one.codec_context.name, one.start_time) for one in container.streams]
        kept = [one for one in container.streams if one.type != "video"]
        packets = [(one.stream_index, one.pts, one.duration, bytes(one)) for one in container.demux(kept) if one.size]
        tags = container.metadata, container.duration, container.chapters()
    with av.open(str(path)) as container:
        decoder = av.CodecContext.create("libvpx-vp9", "r") if container.streams.video[0].codec_context.name == "vp9" else None
        shown, pixels = [], []
        for packet in container.demux(video=0):
            for frame in packet.decode() if decoder is None else decoder.decode(packet):
                shown.append((frame.pts, frame.format.name))
                alpha = frame.format.name == "yuva420p"
                pixels.append(frame.to_ndarray(format="rgba") if alpha else frame.to_ndarray())
    return streams, sorted(packets), tags, shown, np.stack(pixels)


def same(one, other):
    *rest, pixels = contents(one)
    *others, expected = contents(other)
    return rest == others and np.array_equal(pixels, expected)


def film_of(source, path, **more):
    return Film(source, path, more.pop("identity", "1"), **more)


def whole(film, restorer, options=OPTIONS):
    """The film made without a stop."""
    film.work(Wandering, restorer, options)
    return film.join()


def clip(path, **more):
    return write_clip(path, **{"video": "libx264", "numbers": SHOTS, "rate": 25} | more)


def test_parts_end_at_cuts_or_within_a_long_shot(tmp_path, tiny):
    film = film_of(clip(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    film.work(Wandering, tiny, OPTIONS)
    assert [part.about["number"] for part in film.finished()] == [0, 5, 10, 15, 17, 22]
    assert [part.about["cut"] for part in film.finished()] == [False, False, False, True, True, True]
    assert [one.end for one in film.stretches()] == [17, 22, None]


@pytest.mark.parametrize("options", [OPTIONS, replace(OPTIONS, always=False, match_grain=True, keep_detail="off")])
@pytest.mark.parametrize("more", [{}, {"fps": 30.0, "start": 0.12, "duration": 0.8}], ids=["all", "range and fps"])
def test_a_film_in_parts_is_that_of_fix_video(tmp_path, tiny, options, more):
    """In a lossless encoding, since the encoder of a part does not know the frames before."""
    source = clip(tmp_path / "in.mp4")
    done, found = whole(film_of(source, tmp_path / "parts.mp4", crf=0, **more), tiny, options)
    restored = []
    show = lambda state: restored.append([one.found for one in state.tracked if one.found])  # noqa: E731
    expected = fix_video(source, tmp_path / "one.mp4", Wandering(), tiny, options, crf=0, show=show, **more)
    assert same(tmp_path / "parts.mp4", tmp_path / "one.mp4")
    assert done == expected and found == restored and done.with_faces > done.frames / 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "one.mp4", "parts.mp4"]


@pytest.mark.parametrize(("more", "stops"), [({}, (11, 16, 17, 24)), ({"fps": 20.0}, (12,))], ids=["plain", "fps"])
def test_it_can_stop_anywhere(tmp_path, tiny, more, stops):
    source = clip(tmp_path / "in.mp4")
    whole(film_of(source, tmp_path / "whole.mp4", **more), tiny)
    for frames in stops:
        film = film_of(source, tmp_path / f"{frames}.mp4", **more)
        with pytest.raises(Stop):
            film.work(Wandering, tiny, replace(OPTIONS, chunk=1 + frames % 5), tick=stop_after(frames))
        parts, detector = film.finished(), Wandering()
        known = parts[-1].about["number"] + parts[-1].about["frames"] if parts else 0
        film.work(lambda first, detector=detector: detector, tiny, OPTIONS)
        assert len(detector.asked) <= 26 - known  # what has been searched is not searched again
        film.join()
        assert film.path.read_bytes() == (tmp_path / "whole.mp4").read_bytes()


CONTAINERS = {
    "sound": ({}, "aac", ".mp4", {}),
    "VFR": ({"times": [Fraction(n, 25) + Fraction(n % 3, 100) for n in range(26)]}, "aac", ".mp4", {}),
    "a late first frame": ({"late": 0.4}, "aac", ".mov", {}),
    "HEVC": ({}, "aac", ".mp4", {"codec": "hevc"}),
    "AV1": ({"clock": 5000.5, "container": "mpegts"}, "aac", ".mkv", {"codec": "av1"}),
    "10 bits": ({"pixel_format": "yuv420p10le"}, "flac", ".mkv", {}),
    "alpha": ({"video": "libvpx-vp9", "pixel_format": "yuva420p", "alpha": True, "container": "webm"}, "libopus", ".webm", {}),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_kind_of_video_goes_on(tmp_path, tiny, name):
    clip_of, audio, end, how = CONTAINERS[name]
    source = clip(tmp_path / f"in{end}", audio=audio, **clip_of)
    whole(film_of(source, tmp_path / f"whole{end}", **how), tiny)
    film = film_of(source, tmp_path / f"out{end}", **how)
    for frames in (12, 20, 25):
        with pytest.raises(Stop):
            film.work(Wandering, tiny, OPTIONS, tick=stop_after(frames))
    whole(film, tiny)
    assert same(film.path, tmp_path / f"whole{end}")
    fix_video(source, tmp_path / f"one{end}", Wandering(), tiny, OPTIONS, **how)
    streams, packets, tags, shown, pixels = contents(film.path)
    assert (streams, packets, tags, shown) == contents(tmp_path / f"one{end}")[:4] and len(pixels) == 26
    if name == "alpha":
        assert {pixel_format for _, pixel_format in shown} == {"yuva420p"}


def test_damaged_frames_are_counted_alike(tmp_path, tiny):
    source = clip(tmp_path / "in.mp4", options={"g": "1", "preset": "ultrafast"})
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    data[places[3] + 8 : places[4] - 4] = bytes(places[4] - places[3] - 12)
    source.write_bytes(data)
    expected, _ = whole(film_of(source, tmp_path / "whole.mp4"), tiny)
    film = film_of(source, tmp_path / "out.mp4")
    with pytest.raises(Stop):
        film.work(Wandering, tiny, OPTIONS, tick=stop_after(18))
    assert whole(film, tiny)[0] == expected and "damaged" in expected.notices[0]
    assert same(film.path, tmp_path / "whole.mp4")


@pytest.mark.parametrize("frames", [1, 2, 6])
def test_short_films(tmp_path, tiny, frames):
    source = clip(tmp_path / "in.mp4", numbers=SHOTS[:frames])
    whole(film_of(source, tmp_path / "out.mp4", crf=0), tiny)
    fix_video(source, tmp_path / "one.mp4", Wandering(), tiny, OPTIONS, crf=0)
    assert same(tmp_path / "out.mp4", tmp_path / "one.mp4")


def test_stretches_are_worked_on_by_themselves_in_any_order(tmp_path, tiny):
    source = clip(tmp_path / "in.mp4")
    whole(film_of(source, tmp_path / "whole.mp4"), tiny)
    film = film_of(source, tmp_path / "out.mp4")
    for stretch in [*film.stretches()][::-1]:
        with pytest.raises(Stop):
            film.work(Wandering, tiny, OPTIONS, stretch=stretch, tick=stop_after(stretch.number + 2))
        film.work(Wandering, tiny, OPTIONS, stretch=stretch)
        film.work(Wandering, tiny, OPTIONS, stretch=stretch, tick=stop_after(stretch.number))  # nothing is left to do
    film.join()
    assert film.path.read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_a_film_that_is_not_finished_is_not_joined(tmp_path, tiny):
    film = film_of(clip(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    with pytest.raises(Stop):
        film.work(Wandering, tiny, OPTIONS, tick=stop_after(20))
    with pytest.raises(ValueError, match="out.mp4 is not finished: found [34] parts"):
        film.join()
    film.work(Wandering, tiny, OPTIONS, stretch=[*film.stretches()][-1])
    with pytest.raises(ValueError, match="not finished"):
        film.join()


def test_a_part_that_is_not_whole_is_made_again(tmp_path, tiny):
    film = film_of(clip(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    film.work(Wandering, tiny, OPTIONS)
    whole(film_of(film.source, tmp_path / "whole.mp4"), tiny)
    parts = sorted(film.folder.iterdir())
    for part, data in zip(parts[2:5], (parts[2].read_bytes()[:-20], b"", parts[4].read_bytes()[7:]), strict=True):
        part.write_bytes(data)
    assert len(film.finished()) == 2
    whole(film, tiny)
    assert film.path.read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_parts_of_something_else_are_not_used_and_go_when_the_film_is_there(tmp_path, tiny):
    source = clip(tmp_path / "in.mp4")
    films = [film_of(source, tmp_path / "out.mp4", **more) for more in ({}, {"identity": "2"}, {"crf": 30}, {"start": 0.1})]
    for film in films:
        assert not film.finished()
        with pytest.raises(Stop):
            film.work(Wandering, tiny, OPTIONS, tick=stop_after(16))
        assert film.finished()
    other = film_of(source, tmp_path / "other.mp4")
    with pytest.raises(Stop):
        other.work(Wandering, tiny, OPTIONS, tick=stop_after(16))
    whole(films[2], tiny)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.mp4", "out.mp4", other.folder.name])
    assert other.finished()


def test_a_fingerprint_tells_contents(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "b").write_bytes(b"1")
    ones = torch.ones(1, 1, 2, 3)
    different = [(1, 2), (12,), ("1", 2), (tmp_path / "a", 2), (ones,), (ones.transpose(2, 3),), (ones * 2,), (None,), ()]
    prints = [fingerprint(*one) for one in different]
    assert len(set(prints)) == len(prints) and fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b")
    (tmp_path / "b").write_bytes(b"2")
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "b")
    (tmp_path / "model").mkdir()
    empty = fingerprint(tmp_path / "model")
    (tmp_path / "model" / "a").write_bytes(b"1")
    assert fingerprint(tmp_path / "model") not in (empty, fingerprint(tmp_path / "b"))

"""Damaged, truncated and foreign files, and failed writes: a clear message, and no partial file."""

import io
import random
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
from small_clips import read_clip, write_clip

from codeformer_core.video_io import VideoWriter, probe, read_frames

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def talk(videos) -> Path:
    """60 frames at 30 a second with audio."""
    return videos / "talk_cfr30_640x360.mp4"


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A video of 64 x 48 with 30 frames, whose header is at its beginning."""
    path = tmp_path_factory.mktemp("small") / "small.mp4"
    with av.open(str(path), "w", options={"movflags": "faststart"}) as output:
        stream = output.add_stream("mpeg4", rate=30)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for number in range(30):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes((x * 7 + number * 5) % 200 + 20 for x in range(plane.buffer_size)))
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def read(source) -> tuple[list[float], list[str]]:
    """Times of all frames, and the notices."""
    reader = read_frames(source)
    return [float(frame.time) for frame in reader], reader.notices


def write(target: Path, source, frames: int = 30, **options) -> list[str]:
    with VideoWriter(target, source, **options) as writer:
        for frame in read_frames(source, count=frames):
            writer.write(frame)
    return writer.notices


def test_damage_in_the_middle_is_reported_and_the_other_frames_keep_their_times(talk, tmp_path):
    data = bytearray(talk.read_bytes())
    with av.open(str(talk)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    noise = random.Random(0)
    for position, size in places[28:31]:
        data[position + 8 : position + size] = bytes(noise.randrange(256) for _ in range(size - 8))
    (tmp_path / "a.mp4").write_bytes(data)
    times, notices = read(tmp_path / "a.mp4")
    whole, none = read(talk)
    assert none == [] and 50 < len(times) <= 60 and set(times) <= set(whole) and times[-1] == whole[-1]
    assert any("a.mp4 is damaged at 1.0" in notice for notice in notices)
    write(tmp_path / "b.mp4", tmp_path / "a.mp4", 100)
    assert read(tmp_path / "b.mp4")[0] == times


@pytest.mark.parametrize("part", [0.7, 0.8])
def test_a_truncated_file_is_read_as_far_as_it_goes(small, part):
    data = small.read_bytes()
    times, notices = read(io.BytesIO(data[: int(len(data) * part)]))
    assert 3 < len(times) < 29
    assert any("should last 1.0 s and ends at" in notice for notice in notices)


def test_stopping_after_count_frames_reports_no_damage(small):
    reader = read_frames(small, count=5)
    assert len(list(reader)) == 5 and reader.notices == []


def truncated_header(small, folder):
    data = small.read_bytes()
    (folder / "cut.mp4").write_bytes(data[:200])
    return folder / "cut.mp4"


def image(small, folder):
    from PIL import Image

    Image.new("RGB", (64, 64)).save(folder / "photo.png")
    return (folder / "photo.png").rename(folder / "photo.mp4")


def text(small, folder):
    (folder / "text.txt").write_text("no video " * 100)
    return folder / "text.txt"


def empty_file(small, folder):
    (folder / "nothing.mp4").touch()
    return folder / "nothing.mp4"


def playlist(small, folder):
    (folder / "list.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n")
    return folder / "list.mp4"


def concat_list(small, folder):
    (folder / "list.mkv").write_text(f"ffconcat version 1.0\nfile '{small}'\n")
    return folder / "list.mkv"


def audio_only(small, folder):
    with av.open(str(folder / "audio.mp4"), "w") as output:
        stream = output.add_stream("aac", rate=44_100, layout="mono")
        frame = av.AudioFrame(format="fltp", layout="mono", samples=4096)
        frame.sample_rate = 44_100
        frame.planes[0].update(bytes(4 * 4096))
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return folder / "audio.mp4"


def no_frames(small, folder):
    with av.open(str(small)) as old, av.open(str(folder / "empty.mkv"), "w") as output:
        stream = output.add_stream_from_template(old.streams.video[0])
        assert stream.type == "video"
        output.start_encoding()
    return folder / "empty.mkv"


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (truncated_header, "cut.mp4 has no video stream .* or copy this one again"),
        (image, "photo.mp4 is an image, expected a video"),
        (text, "text.txt cannot be opened as a video"),
        (empty_file, r"nothing.mp4 is empty \(0 bytes\). Copy it again"),
        (playlist, "list.mp4 cannot be opened as a video"),
        (concat_list, "list.mkv cannot be opened as a video"),
        (audio_only, "audio.mp4 has no video stream"),
        (no_frames, "empty.mkv (cannot be opened|has no frame)"),
    ],
)
def test_files_that_are_no_videos_are_rejected_by_name_with_advice(small, tmp_path, made, message):
    with pytest.raises(ValueError, match=message):
        probe(made(small, tmp_path))


def test_a_photo_is_rejected(data):
    with pytest.raises(ValueError, match="is an image"):
        read_frames(data / "photos" / "astronaut_1face.png")


def test_missing_files_and_wrong_types_raise_standard_errors(tmp_path):
    with pytest.raises(FileNotFoundError):
        probe(tmp_path / "none.mp4")
    with pytest.raises(TypeError, match="expected the path"):
        probe(3)


def test_a_file_without_a_duration_is_read_without_notices(videos, tmp_path):
    source = videos / "no_duration_vp9_VFR.webm"
    assert probe(source).duration == 0
    times, notices = read(source)
    assert len(times) == 74 and notices == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": 5}, "no frame in the window 5 s to the end: it lasts 1.00 s"),
        ({"first": 40}, "no frame in the window 0 s to the end, from frame 40 on"),
        ({"start": -1}, "Expected finite numbers from 0 on"),
        ({"start": float("nan")}, "Expected finite numbers from 0 on"),
        ({"every": 0}, "every=0. Expected at least 0, 0 and 1"),
    ],
)
def test_windows_without_a_frame_are_rejected(small, options, message):
    with pytest.raises(ValueError, match=message):
        list(read_frames(small, **options))


def test_frames_without_timestamps_get_them_from_the_frame_rate(tmp_path):
    with av.open(str(tmp_path / "a.mjpeg"), "w", format="mjpeg") as output:  # bare frames, one behind the other
        stream = output.add_stream("mjpeg", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        for _ in range(12):
            output.mux(stream.encode(av.VideoFrame(64, 48, "yuvj420p")))
        output.mux(stream.encode(None))
    times, _ = read(tmp_path / "a.mjpeg")
    assert times == pytest.approx([number / 25 for number in range(12)])
    write(tmp_path / "b.mp4", tmp_path / "a.mjpeg")
    assert read(tmp_path / "b.mp4")[0] == pytest.approx(times)


def test_repeated_and_decreasing_timestamps_are_repaired_and_reported(small, tmp_path):
    with av.open(str(small)) as old, av.open(str(tmp_path / "a.mkv"), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(packet for packet in old.demux(video=0) if packet.size):
            step = int(1 / 30 / packet.time_base)
            packet.pts = packet.dts = step * (number if number != 10 else 9) - (100 * step if number >= 20 else 0) + 100 * step
            packet.dts = step * number
            packet.stream = stream
            new.mux(packet)
    times, notices = read(tmp_path / "a.mkv")
    assert len(times) == 30 and all(b > a for a, b in zip(times, times[1:], strict=False))
    assert any("had no timestamp" in notice for notice in notices)
    assert times[29] - times[20] == pytest.approx(9 / 30, abs=0.01)  # they begin anew at 20 and go on behind what was there
    write(tmp_path / "b.mkv", tmp_path / "a.mkv")
    assert read(tmp_path / "b.mkv")[0] == pytest.approx(times, abs=0.001)


def test_a_change_of_frame_size_is_resized_and_reported(small, tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as output:
        stream = output.add_stream("mjpeg", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuvj420p"
        for number, (width, height) in enumerate([(64, 48), (64, 48), (32, 24), (32, 24)]):
            context = av.CodecContext.create("mjpeg", "w")
            context.width, context.height, context.pix_fmt = width, height, "yuvj420p"
            context.time_base = Fraction(1, 10)
            frame = av.VideoFrame(width, height, "yuvj420p")
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.pts = 0
            for packet in context.encode(frame):
                packet.time_base, packet.pts, packet.dts = Fraction(1, 10), number, number
                packet.stream = stream
                output.mux(packet)
    reader = read_frames(tmp_path / "a.mkv")
    assert {tuple(frame.image().shape) for frame in reader} == {(1, 3, 48, 64)}
    assert any("changes its frame size (to 32 x 24 at 0.20 s)" in notice for notice in reader.notices)


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_existing_file_is_replaced_only_with_overwrite(small, tmp_path):
    target = tmp_path / "b.mp4"
    target.write_text("mine")
    with pytest.raises(FileExistsError, match="exists already and is left as it is"):
        write(target, small)
    assert target.read_text() == "mine"
    write(target, small, overwrite=True)
    assert probe(target).frames == 30 and leftovers(tmp_path) == ["b.mp4"]


def test_the_source_cannot_be_the_target(small, tmp_path):
    source = tmp_path / "a.mp4"
    source.write_bytes(small.read_bytes())
    (tmp_path / "link.mp4").symlink_to(source)
    for target in (source, tmp_path / "link.mp4"):
        with pytest.raises(FileExistsError, match="is the source video"):
            write(target, source, overwrite=True)
    assert source.read_bytes() == small.read_bytes()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("b.avi", {}, "Use one of .mp4, .mov, .mkv, .webm"),
        ("b.webm", {}, "WebM holds av1 or vp9, got h264"),
        ("b.mp4", {"codec": "vp9"}, "MP4 holds h264 or hevc or av1, got vp9"),
        ("b.mp4", {"crf": 52}, "A crf of 52 for h264, expected 0 to 51"),
        ("b.mp4", {"duration": -1}, "Expected finite numbers from 0 on"),
        ("b.mp4", {"codec": "hevc", "source": 24}, "cannot encode frames of 24 x 24"),
    ],
)
def test_unsupported_outputs_are_rejected_with_the_alternatives(small, tmp_path, name, options, message):
    source = small
    if options.pop("source", None):
        source = tmp_path / "tiny.mkv"
        with av.open(str(source), "w") as output:
            stream = output.add_stream("ffv1", rate=25)
            stream.height, stream.width, stream.pix_fmt = 24, 24, "yuv420p"
            output.mux(stream.encode(av.VideoFrame(24, 24, "yuv420p")))
            output.mux(stream.encode(None))
    with pytest.raises(ValueError, match=message):
        write(tmp_path / name, source, **options)
    assert not (tmp_path / name).exists() and not [name for name in leftovers(tmp_path) if name.endswith(".part")]


def test_missing_folders_are_reported_before_the_work(small, tmp_path):
    (tmp_path / "file").touch()
    for folder, kind in (("none", FileNotFoundError), ("file", NotADirectoryError)):
        with pytest.raises(kind, match="b.mp4 cannot be written: .* Choose a folder that exists"):
            VideoWriter(tmp_path / folder / "b.mp4", small).__enter__()
    assert leftovers(tmp_path) == ["file"]


def test_a_folder_without_write_permission_is_reported(small):
    if not Path("/sys/kernel").is_dir():
        pytest.skip("needs a folder that not even the superuser writes to: /sys, which is Linux")
    with pytest.raises(OSError, match="cannot be written: .* Choose a folder that can be written to"):
        write(Path("/sys/kernel/b.mp4"), small)


_FULL = """
import resource, sys
from pathlib import Path
from codeformer_core.video_io import VideoWriter, read_frames
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    with VideoWriter(sys.argv[2], sys.argv[1], crf=0) as writer:
        for frame in read_frames(sys.argv[1]):
            writer.write(frame)
except OSError as error:
    print(error)
    print([path.name for path in Path(sys.argv[2]).parent.iterdir()])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("share", [0.1, 0.995])
def test_a_full_disk_is_reported_and_leaves_no_file(small, tmp_path, share):
    write(tmp_path / "b.mp4", small, crf=0)
    limit = int((tmp_path / "b.mp4").stat().st_size * share)
    (tmp_path / "b.mp4").unlink()
    command = [sys.executable, "-c", _FULL, str(small), str(tmp_path / "b.mp4"), str(limit)]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "b.mp4 cannot be written: File too large. Choose another disk" in lines[0] and lines[1] == "[]"


class Stop(BaseException):
    """Like a host's own signal to stop."""


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, Stop])
def test_an_error_between_frames_leaves_no_file_and_no_thread(small, tmp_path, error):
    threads = threading.active_count()
    with pytest.raises(error), VideoWriter(tmp_path / "b.mp4", small) as writer:
        for number, frame in enumerate(read_frames(small)):
            writer.write(frame)
            if number == 7:
                raise error
    assert leftovers(tmp_path) == [] and threading.active_count() == threads


def test_an_error_in_the_encoding_thread_is_raised_by_the_writer(small, tmp_path):
    with (
        pytest.raises(ValueError, match="an image of 32 x 32 in a video of 64 x 48"),
        VideoWriter(tmp_path / "b.mp4", small) as writer,
    ):
        for frame in read_frames(small):
            writer.write(frame, None if frame.index < 3 else torch.zeros(1, 3, 32, 32))
    assert leftovers(tmp_path) == []


def test_a_file_without_a_frame_is_not_written(small, tmp_path):
    with pytest.raises(ValueError, match="Got no frame for b.mp4"), VideoWriter(tmp_path / "b.mp4", small):
        pass
    assert leftovers(tmp_path) == []


def test_closing_a_reader_closes_its_file(small, tmp_path):
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs the open files of a process from /proc, which is Linux")

    own = tmp_path / "own.mp4"  # that no error of another test, which the test runner keeps, holds open
    own.write_bytes(small.read_bytes())

    def opened():
        return sum(link.exists() and link.resolve() == own.resolve() for link in Path("/proc/self/fd").iterdir())

    reader = read_frames(own)
    next(reader)
    assert opened() == 1
    reader.close()
    assert opened() == 0 and list(reader) == []


@pytest.mark.parametrize("damaged", [[0], [25], [-1], range(0, 63, 2)], ids=["first", "middle", "last", "every second"])
@pytest.mark.parametrize("name", ["c.mp4", "c.mov"])
def test_damaged_sound_that_a_container_refuses_costs_no_more_than_that_sound(tmp_path, damaged, name):
    """Their muxers read the packets of AC-3: one that they do not take ended the work at its end, or was left out unsaid."""
    source = write_clip(tmp_path / "a.mkv", audio="ac3", frames=50)
    with av.open(str(source)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    written, broken = source.read_bytes(), {packets[index] for index in damaged}
    for packet in broken:
        written = written.replace(packet, b"\x55" * len(packet))
    (tmp_path / "b.mkv").write_bytes(written)
    reader = read_frames(tmp_path / "b.mkv")
    with VideoWriter(tmp_path / name, tmp_path / "b.mkv") as writer:
        for frame in reader:
            writer.write(frame)
    count = "1 packet" if len(broken) == 1 else f"{len(broken)} packets"
    format = {"c.mp4": "MP4", "c.mov": "QuickTime"}[name]
    assert writer.notices == [f"The audio is damaged: {format} does not take {count} of it, left out."]
    with av.open(str(tmp_path / name)) as container:
        copied = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    assert copied == [packet for packet in packets if packet not in broken] and len(read_clip(tmp_path / name)) == 50

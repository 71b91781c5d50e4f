"""The nodes for videos in this process: frames of a video, faces in a video, and frames that follow one another."""

import gc
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from small_clips import write_clip

FRAMES, RATE, SOUND = 24, Fraction(25), 16000
FIXING = {
    "always": True,  # the tests' networks draw 64 pixels
    "fidelity": 0.5,
    "steady": True,
    "upscale": 1.0,
    "choice": "all",
    "mask": "square",
    "codec": {"codec": "h264", "crf": 10},
    "match_style": True,
    "grey": "auto",
    "side": 640,
    "confidence": 0.8,
    "overlap": 0.4,
    "eye_distance": 5.0,
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A video of 24 frames of 120 x 90, frame i 6 * i brighter than the first, with a second of rising tone."""
    path = tmp_path_factory.mktemp("videos") / "clip.mp4"
    with av.open(path, "w") as output:
        video, audio = output.add_stream("libx264", rate=RATE), output.add_stream("aac", rate=SOUND, layout="mono")
        video.width, video.height, video.pix_fmt = 120, 90, "yuv420p"
        video.options = {"crf": "0", "g": "8"}
        texture = np.random.default_rng(0).integers(20, 80, (90, 120, 1)) + (20, 0, -20)  # one tint: chroma is shared
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray((texture + 6 * index).astype(np.uint8), format="rgb24")
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        wave = np.linspace(0, 0.9, SOUND, dtype=np.float32) * np.sin(np.arange(SOUND, dtype=np.float32) / 5)
        sound = av.AudioFrame.from_ndarray(wave[None], format="fltp", layout="mono")
        sound.sample_rate = SOUND
        output.mux(audio.encode(sound))
        output.mux(audio.encode(None))
    return path


@pytest.fixture
def video(pack, clip):
    """The clip as the host's VIDEO."""
    from comfy_api.latest import InputImpl

    return InputImpl.VideoFromFile(str(clip))


@pytest.fixture
def temporary():
    """A function that lists the host's temporary files."""
    from pathlib import Path

    import folder_paths

    return lambda: sorted(Path(folder_paths.get_temp_directory()).glob("*"))


def decoded(source):
    """The frames of a file (B, H, W, 3) in [0, 1] as PyAV has them, and their times in seconds."""
    with av.open(source) as container:
        frames = list(container.decode(video=0))
    return torch.from_numpy(np.stack([f.to_ndarray(format="rgb24") for f in frames])) / 255, [f.time for f in frames]


def test_all_frames_with_their_times_rate_and_audio(pack, video, clip):
    images, audio, fps, count, times = pack.run("CodeFormerVideoFrames", video=video, start=0, count=0, every=1).result
    expected, when = decoded(str(clip))
    assert images.shape == (FRAMES, 90, 120, 3) and images.dtype == torch.float32 and count == FRAMES and fps == 25.0
    assert (images - expected).abs().mean() < 0.01
    assert [float(entry) for entry in times.split(", ")] == pytest.approx(when)
    assert audio["sample_rate"] == SOUND and audio["waveform"].shape == (1, 1, int(FRAMES / 25 * SOUND))


def test_a_window_of_frames_has_its_own_audio(pack, video):
    every = pack.run("CodeFormerVideoFrames", video=video, start=0, count=0, every=1).result
    images, audio, fps, count, times = pack.run("CodeFormerVideoFrames", video=video, start=5, count=4, every=3).result
    assert count == 4 and torch.equal(images, every[0][5:17:3]) and fps == pytest.approx(25 / 3)
    assert times == "0.2, 0.32, 0.44, 0.56"
    first, length = int(0.2 * SOUND), int(12 / 25 * SOUND)
    assert torch.equal(audio["waveform"], every[1]["waveform"][..., first : first + length])


def test_the_hosts_trim_is_kept(pack, video):
    whole = pack.run("CodeFormerVideoFrames", video=video, start=0, count=0, every=1).result[0]
    trimmed = video.as_trimmed(0.2, 0.4)
    images, audio, _, count, times = pack.run("CodeFormerVideoFrames", video=trimmed, start=1, count=0, every=1).result
    assert count == 9 and torch.equal(images, whole[6:15]) and times.startswith("0.04, 0.08")
    assert audio["waveform"].shape[-1] == int(0.36 * SOUND)


def test_frames_that_do_not_fit_into_memory_are_an_error_with_the_numbers(pack, video, monkeypatch):
    import comfy.model_management as mm

    needed = FRAMES * 90 * 120 * 3 * 4
    monkeypatch.setattr(mm, "get_free_memory", lambda device: needed)
    with pytest.raises(ValueError, match=r"24 frames of 120 x 90 need 0\.0 GB .* fewer frames.*Fix Faces in Video"):
        pack.run("CodeFormerVideoFrames", video=video, start=0, count=0, every=1)
    assert pack.run("CodeFormerVideoFrames", video=video, start=0, count=12, every=1).result[3] == 12


def test_a_start_beyond_the_end_is_an_error_that_says_so(pack, video):
    with pytest.raises(ValueError, match="frame"):
        pack.run("CodeFormerVideoFrames", video=video, start=FRAMES, count=0, every=1)


def test_the_hosts_create_video_takes_frames_rate_and_audio(pack, video, tmp_path):
    from comfy_api.latest import InputImpl, Types

    images, audio, fps, _, _ = pack.run("CodeFormerVideoFrames", video=video, start=0, count=0, every=2).result
    parts = Types.VideoComponents(images=images, audio=audio, frame_rate=Fraction(fps))
    InputImpl.VideoFromComponents(parts).save_to(str(tmp_path / "again.mp4"))
    _, times = decoded(str(tmp_path / "again.mp4"))
    assert times == pytest.approx([index * 0.08 for index in range(12)], abs=0.001)


def test_only_the_face_changes_and_the_rest_of_the_video_stays(pack, restorer, one_face, video, clip, temporary):
    before = temporary()
    fixed, people, report = pack.run(
        "CodeFormerFixFacesInVideo", video=video, model=restorer, detector=one_face, **FIXING
    ).result
    (path,) = set(temporary()) - set(before)
    assert path.suffix == ".mp4" and fixed.get_stream_source() == str(path)
    assert people == 1 and "24 frames, 24 of them with faces; 1 face was tracked" in report
    (old, when), (new, now) = decoded(str(clip)), decoded(str(path))
    assert new.shape == old.shape and now == when
    assert (new[:, 25:55, 35:65] - old[:, 25:55, 35:65]).abs().mean() > 0.02
    assert (new[:, :, 90:] - old[:, :, 90:]).abs().mean() < 0.01
    with av.open(str(clip)) as one, av.open(str(path)) as other:
        packets = [[bytes(packet) for packet in container.demux(audio=0)] for container in (one, other)]
    assert packets[0] == packets[1] and len(packets[0]) > 10


def test_a_temporary_file_lasts_as_long_as_the_videos_that_use_it(pack, restorer, one_face, video, temporary):
    before = temporary()
    fixed = pack.run("CodeFormerFixFacesInVideo", video=video, model=restorer, detector=one_face, **FIXING).result[0]
    trimmed = fixed.as_trimmed(0.2, 0.4)
    del fixed
    gc.collect()
    assert len(temporary()) == len(before) + 1 and len(trimmed.get_components().images) == 10
    del trimmed
    gc.collect()
    assert temporary() == before


def test_a_trimmed_video_gives_that_part(pack, restorer, one_face, video):
    trimmed = video.as_trimmed(0.2, 0.4)
    fixed = pack.run("CodeFormerFixFacesInVideo", video=trimmed, model=restorer, detector=one_face, **FIXING).result[0]
    assert len(decoded(fixed.get_stream_source())[1]) == 10 and fixed.get_active_trim_window() == (0.0, 0.0)


def test_a_video_that_the_host_made_of_images(pack, restorer, one_face, picture, temporary):
    from comfy_api.latest import InputImpl, Types

    before = temporary()
    images = picture[:1].repeat(6, 1, 1, 1)
    made = InputImpl.VideoFromComponents(Types.VideoComponents(images=images, audio=None, frame_rate=Fraction(10)))
    fixed = pack.run("CodeFormerFixFacesInVideo", video=made, model=restorer, detector=one_face, **FIXING).result[0]
    new, times = decoded(fixed.get_stream_source())
    assert new.shape == images.shape and times == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5], abs=0.001)
    assert len(temporary()) == len(before) + 1, "the file in between is gone"


def test_a_video_of_images_with_an_odd_side_is_an_error_that_says_what_to_do(pack):
    from comfy_api.latest import InputImpl, Types

    parts = Types.VideoComponents(images=torch.rand(2, 90, 121, 3), audio=None, frame_rate=Fraction(10))
    made = InputImpl.VideoFromComponents(parts)
    with pytest.raises(ValueError, match="121 x 90.*even.*resize"):
        pack.run("CodeFormerVideoFrames", video=made, start=0, count=0, every=1)


def test_the_times_of_a_long_video_keep_their_frames_apart(pack, clip, tmp_path):
    from comfy_api.latest import InputImpl

    with av.open(str(clip)) as source, av.open(tmp_path / "late.mp4", "w") as late:
        old = source.streams.video[0]
        new = late.add_stream_from_template(old)
        for packet in source.demux(old):
            if packet.dts is not None:
                later = round(72000 / packet.time_base) if packet.pts else 0  # than the first frame, which is at 0
                packet.stream = new
                packet.pts, packet.dts = packet.pts + later, packet.dts + later
                late.mux(packet)
    video = InputImpl.VideoFromFile(str(tmp_path / "late.mp4"))
    times = pack.run("CodeFormerVideoFrames", video=video, start=1, count=2, every=1).result[4]
    first, second = map(float, times.split(", "))
    assert first == pytest.approx(72000.04)
    assert second - first == pytest.approx(0.04, abs=1e-5)


@pytest.mark.parametrize(("suffix", "clock"), [(".ts", 5001.4), (".mkv", 600.0)])
def test_a_clock_that_does_not_begin_at_zero_is_not_seen(pack, restorer, one_face, tmp_path, suffix, clock):
    from comfy_api.latest import InputImpl

    video = InputImpl.VideoFromFile(str(write_clip(tmp_path / f"a{suffix}", "libx264", clock=clock)))
    images, audio, _, _, times = pack.run("CodeFormerVideoFrames", video=video, start=0, count=0, every=1).result
    assert len(images) == 12 and times.startswith("0, 0.04, 0.08")
    assert audio["waveform"].shape[-1] == pytest.approx(0.48 * 48_000, abs=2000)
    trimmed = video.as_trimmed(0.2, 0.2)
    part = pack.run("CodeFormerVideoFrames", video=trimmed, start=0, count=0, every=1).result
    assert torch.equal(part[0], images[5:10]) and part[4].startswith("0, 0.04")
    fixed, _, report = pack.run("CodeFormerFixFacesInVideo", video=trimmed, model=restorer, detector=one_face, **FIXING).result
    assert "5 frames" in report and "cut off" not in report
    assert decoded(fixed.get_stream_source())[1] == pytest.approx([index / 25 for index in range(5)], abs=0.002)


def test_without_steadiness_each_frame_is_fixed_by_itself(pack, restorer, one_face, video):
    images = pack.run("CodeFormerVideoFrames", video=video, start=0, count=0, every=1).result[0]
    options = {key: value for key, value in FIXING.items() if key not in ("steady", "codec")}
    alone = pack.run("CodeFormerFixFaces", image=images, model=restorer, detector=one_face, **options).result[0]
    options = {**FIXING, "steady": False, "codec": {"codec": "h264", "crf": 0}}
    fixed = pack.run("CodeFormerFixFacesInVideo", video=video, model=restorer, detector=one_face, **options).result[0]
    assert (decoded(fixed.get_stream_source())[0] - alone).abs().mean() < 0.01


def test_faces_are_tracked_only_in_consecutive_frames(pack, restorer, video):
    images = pack.run("CodeFormerVideoFrames", video=video, start=0, count=8, every=1).result[0]

    class Trembling:
        """A detector that finds the face at a slightly different place in every image."""

        def __init__(self):
            self.seen = 0

        def detect(self, images, options):
            found = []
            for index in range(len(images)):
                offset = 3.0 * (self.seen % 2)
                self.seen += 1
                (face,) = pack.finds((30.0 + offset, 20.0, 70.0 + offset, 60.0)).detect(images[:1], options)
                found.append(face._replace(image_index=index))
            return found

    options = {key: value for key, value in FIXING.items() if key not in ("steady", "codec")}
    jitter = {}
    for consecutive in (False, True):
        fixed, mask, faces, count = pack.run(
            "CodeFormerFixFaces", image=images, model=restorer, detector=Trembling(), consecutive=consecutive, **options
        ).result
        assert count == 8 and torch.equal(fixed[mask == 0], images[mask == 0])
        jitter[consecutive] = np.abs(np.diff([face.box[0] for face in faces.faces])).max()
    assert jitter[False] == 3.0 and jitter[True] < 1.0


@pytest.fixture
def negative():
    """An upscaler of factor 2 that also turns light into dark, as the host's loader would give it."""
    import comfy.model_patcher

    cpu = torch.device("cpu")

    class Negative:
        scale, model = 2, torch.nn.Identity()
        patcher = comfy.model_patcher.CoreModelPatcher(torch.nn.Identity(), load_device=cpu, offload_device=cpu)

        def __call__(self, image):
            return 1 - torch.nn.functional.interpolate(image, scale_factor=2)

    return Negative()


@pytest.mark.parametrize("faces", [0, 1])
def test_videos_are_enlarged_with_a_model_with_or_without_faces(pack, restorer, video, clip, negative, faces):
    detector = pack.finds(*[(30.0, 20.0, 70.0, 60.0)] * faces)
    inputs = {"model": restorer, "detector": detector, **FIXING, "upscale": 2.0, "upscale_model": negative}
    fixed = pack.run("CodeFormerFixFacesInVideo", video=video.as_trimmed(0.2, 0.2), **inputs).result[0]
    new = decoded(fixed.get_stream_source())[0]
    old = decoded(str(clip))[0][5:10]
    assert new.shape == (5, 180, 240, 3)
    assert (new[:, ::2, 180::2] - (1 - old[:, :, 90:])).abs().mean() < 0.05


def test_consecutive_frames_are_enlarged_with_a_model_too(pack, restorer, one_face, picture, negative):
    options = {key: value for key, value in FIXING.items() if key not in ("steady", "codec")}
    options |= {"upscale": 2.0, "upscale_model": negative, "face_upscale_model": negative, "consecutive": True}
    fixed, mask, faces, _ = pack.run("CodeFormerFixFaces", image=picture, model=restorer, detector=one_face, **options).result
    assert fixed.shape == (2, 180, 240, 3) and mask.shape == (2, 180, 240) and faces.crops.shape == (2, 3, 128, 128)
    outside = mask[:, ::2, ::2] == 0
    assert torch.allclose(fixed[:, ::2, ::2][outside], (1 - picture)[outside], atol=1e-6)


def test_progress_counts_frames_and_shows_their_rate(pack, restorer, one_face, video, monkeypatch):
    import comfy.utils

    seen = []
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: seen.append((value, total)))
    monkeypatch.setattr(comfy.utils, "PROGRESS_THROTTLE_MIN_INTERVAL", 0)
    pack.run("CodeFormerFixFacesInVideo", video=video, model=restorer, detector=one_face, **FIXING)
    assert list(dict.fromkeys(seen)) == [(done, FRAMES) for done in range(FRAMES + 1)]  # previews repeat the last value


def test_some_frames_of_a_video_are_fixed_with_their_own_sound(pack, restorer, one_face, video, clip):
    inputs = {"model": restorer, "detector": one_face, **FIXING, "first_frame": 5, "frame_limit": 6, "every": 2}
    fixed, _, report = pack.run("CodeFormerFixFacesInVideo", video=video, **inputs).result
    (old, _), (new, when) = decoded(str(clip)), decoded(fixed.get_stream_source())
    assert report.startswith("3 frames, 3 of them with faces") and when == pytest.approx([0, 0.08, 0.16])
    assert (new[:, :, 90:] - old[5:11:2, :, 90:]).abs().mean() < 0.01
    with av.open(fixed.get_stream_source()) as container:
        audio = container.streams.audio[0]
        assert float(audio.duration * audio.time_base) == pytest.approx(6 / 25, abs=2048 / SOUND)


def test_frames_beyond_the_end_are_an_error_that_says_so(pack, restorer, one_face, video):
    inputs = {"model": restorer, "detector": one_face, **FIXING, "first_frame": FRAMES}
    with pytest.raises(ValueError, match=f"no frame in the window .* from frame {FRAMES} on"):
        pack.run("CodeFormerFixFacesInVideo", video=video, **inputs)


def test_the_frame_being_written_is_shown_in_the_node(pack, restorer, one_face, video, monkeypatch):
    import importlib
    from itertools import count
    from types import SimpleNamespace

    import comfy.utils

    seen = []
    clock = SimpleNamespace(monotonic=count(0, 0.3).__next__)  # two calls a frame, so every other frame is a second later
    monkeypatch.setattr(importlib.import_module(f"{pack.hosted.__package__}.video"), "time", clock)
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, preview, **_: seen.append(preview))
    pack.run("CodeFormerFixFacesInVideo", video=video, model=restorer, detector=one_face, **FIXING)
    kinds = {(kind, image.size) for kind, image, _ in filter(None, seen)}
    assert kinds == {("JPEG", (120, 90))} and FRAMES // 3 < len([one for one in seen if one]) < FRAMES


def test_cancel_leaves_no_file_behind_and_says_so(pack, restorer, one_face, video, temporary, monkeypatch):
    import importlib

    import comfy.model_management as mm

    before, said = temporary(), []
    monkeypatch.setattr(importlib.import_module(f"{pack.hosted.__package__}.progress"), "show", said.append)

    class Cancelled:
        """A detector during whose second call the user cancels."""

        def detect(self, images, options):
            mm.interrupt_current_processing(self.seen)
            self.seen = True
            return one_face.detect(images, options)

        seen = False

    with pytest.raises(mm.InterruptProcessingException):
        pack.run("CodeFormerFixFacesInVideo", video=video, model=restorer, detector=Cancelled(), **{**FIXING, "chunk": 4})
    assert temporary() == before
    assert said[-1].startswith("Cancelled after frame ") and said[-1].endswith(": no part of the video is kept.")


@pytest.mark.parametrize(
    ("done", "total", "rate", "words"),
    [
        (120, 900, 3.4, "120 of 900 frames, 3.4 a second, 3:49 left"),
        (10, 90000, 2.0, "10 of 90000 frames, 2.0 a second, 12:29:55 left"),
        (7, 0, 1.25, "7 frames, 1.2 a second"),
    ],
)
def test_the_text_of_the_frame_rate_and_the_remaining_time(pack, done, total, rate, words):
    import importlib

    assert importlib.import_module(f"{pack.hosted.__package__}.video").format_pace(done, total, rate) == words


def test_the_frame_rate_is_shown_once_a_second_from_the_first_frame_on(pack, monkeypatch):
    import importlib

    videos = importlib.import_module(f"{pack.hosted.__package__}.video")
    clock, said = iter([100.0, 100.0, 100.5, 102.0, 102.5, 103.0]), []
    monkeypatch.setattr(videos.time, "monotonic", lambda: next(clock))  # the clock of Windows stands still for 16 ms
    monkeypatch.setattr(videos.progress, "show", said.append)
    tick = videos.progress_callback(lambda done, total: None)
    for done in range(1, 7):
        tick(done, 0)
    assert said == ["4 frames, 1.5 a second", "6 frames, 1.7 a second"]

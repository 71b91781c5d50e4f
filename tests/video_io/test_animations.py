"""Animated WebP, AVIF, GIF and PNG are videos; tags in other encodings than UTF-8 do not stop any."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, features
from small_clips import stripes, write_clip

from codeformer_core.video_io import VideoWriter, probe, read_frames

LASTS = [40, 80, 40, 120, 60]  # milliseconds
TIMES = [0, 0.04, 0.12, 0.16, 0.28]


def animate(path: Path, alpha: bool = False, **options) -> Path:
    frames = [Image.fromarray(stripes(number)) for number in range(len(LASTS))]
    if alpha:
        for frame in frames:
            mask = Image.new("L", frame.size)
            mask.paste(255, (0, 0, 48, frame.height))
            frame.putalpha(mask)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=LASTS, **options)
    return path


@pytest.fixture(params=[".webp", ".gif", ".png", ".avif"])
def animation(request, tmp_path) -> Path:
    if request.param == ".avif" and not features.check("avif"):
        pytest.skip("needs a Pillow with AVIF")
    return animate(tmp_path / f"a{request.param}", **({"lossless": True} if request.param == ".webp" else {}))


def rewrite(source, target: Path) -> list[str]:
    reader = read_frames(source)
    with VideoWriter(target, source, codec=None) as writer:
        for frame in reader:
            writer.write(frame)
    return [*reader.notices, *writer.notices]


def test_animations_have_their_frames_and_times(animation, tmp_path):
    frames = list(read_frames(animation))
    assert [float(frame.time) for frame in frames] == pytest.approx(TIMES)
    error = [np.abs(frame.image()[0].permute(1, 2, 0).numpy() * 255 - stripes(frame.index)).mean() for frame in frames]
    assert max(error) < (0.01 if animation.suffix in (".webp", ".png") else 12), "GIF has 256 colours, AVIF loses a little"
    rewrite(animation, tmp_path / "b.mp4")
    written = list(read_frames(tmp_path / "b.mp4"))
    assert [float(frame.time) for frame in written] == pytest.approx(TIMES)
    assert probe(tmp_path / "b.mp4").duration == pytest.approx(0.34, abs=0.001)


def test_animations_are_read_from_bytes_and_by_any_name(animation, tmp_path):
    other = animation.rename(tmp_path / "clip.mp4")
    assert len(list(read_frames(other))) == len(list(read_frames(io.BytesIO(other.read_bytes())))) == 5
    assert [float(frame.time) for frame in read_frames(other, 0.12, 0.1)] == pytest.approx([0, 0.04])


def test_transparency_of_animated_webp_is_kept_or_said(tmp_path):
    source = animate(tmp_path / "a.webp", alpha=True, lossless=True)
    assert "transparency is left out" in " ".join(rewrite(source, tmp_path / "b.mp4"))
    assert "transparency" not in " ".join(rewrite(source, tmp_path / "b.webm"))
    assert probe(tmp_path / "b.webm").alpha


@pytest.mark.parametrize("name", ["a.gif", "a.png"])
def test_only_transparency_that_is_seen_is_said_to_be_left_out(tmp_path, name):
    """GIF, and PNG with alpha, are decoded with transparency whether or not a pixel shows it."""
    for opaque in (True, False):
        images = [Image.fromarray(stripes(number)).convert("RGBA") for number in range(3)]
        for image in () if opaque else images:
            image.paste((0, 0, 0, 0), (0, 0, 20, 20))
        images[0].save(tmp_path / name, save_all=True, append_images=images[1:], duration=40, disposal=2)
        assert ("transparency" in " ".join(rewrite(tmp_path / name, tmp_path / f"{opaque}.mp4"))) == (not opaque)
        assert probe(tmp_path / name).alpha == (not opaque)


def test_comfyui_s_workflow_in_a_webp_is_kept(tmp_path):
    exif = Image.Exif()
    exif[0x0110], exif[0x010F] = 'prompt:{"1": {}}', 'workflow:{"nodes": []}'
    rewrite(animate(tmp_path / "a.webp", exif=exif), tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert (container.metadata["prompt"], container.metadata["workflow"]) == ('{"1": {}}', '{"nodes": []}')


@pytest.mark.parametrize("suffix", [".webp", ".png", ".avif", ".jpg"])
def test_still_images_are_no_videos(tmp_path, suffix):
    if suffix == ".avif" and not features.check("avif"):
        pytest.skip("needs a Pillow with AVIF")
    Image.fromarray(stripes(0)).save(tmp_path / f"a{suffix}")
    with pytest.raises(ValueError, match="is an image, expected a video. Images are for Fix Faces, or `codeformer fix`"):
        probe(tmp_path / f"a{suffix}")


def test_a_cut_off_webp_is_refused_by_name(tmp_path):
    source = animate(tmp_path / "a.webp", lossless=True)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"a\.webp cannot be opened as a video .* copy this one again"):
        list(read_frames(source))


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4"])
def test_tags_that_are_not_utf_8_do_not_stop_a_video(tmp_path, suffix):
    plain = write_clip(tmp_path / f"plain{suffix}", "mpeg4", None)
    with av.open(str(plain)) as old, av.open(str(tmp_path / f"a{suffix}"), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        new.metadata["title"] = "Cafe QQ"
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    data = (tmp_path / f"a{suffix}").read_bytes()
    assert data.count(b"Cafe QQ") >= 1
    (tmp_path / f"a{suffix}").write_bytes(data.replace(b"Cafe QQ", "Café QQ".encode("latin-1")))
    rewrite(tmp_path / f"a{suffix}", tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert container.metadata["title"] == "Caf� QQ" and len(list(container.decode(video=0))) == 12


def test_the_case_from_the_field(shared):
    assert len(list(read_frames(shared / "data" / "cases" / "animated_webp_sent_in_circles" / "anim.webp"))) == 7

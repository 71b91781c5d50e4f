"""Video Frames: a window of a video as images."""

from collections.abc import Iterable
from fractions import Fraction

from comfy_api.latest import Input, io
from torch import Tensor

from ..codeformer_core.video_io import Frame, estimate_frames, read_audio, read_frames
from . import inputs
from .host import progress, tensors
from .host.execution import completed
from .host.video import open_host_video


class CodeFormerVideoFrames(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerVideoFrames",
            display_name="Video Frames",
            category=inputs.CATEGORY,
            description="Reads some frames of a video and their audio, and nothing else of it. Create Video makes a video of "
            "them again, Save Video saves it.",
            search_aliases=["codeformer", "get video components", "extract frames", "video to images", "load video frames"],
            inputs=[
                io.Video.Input("video", tooltip="The video. Connect Load Video."),
                inputs.number_of_frames("start", "The first frame to read; 0 is the video's first."),
                inputs.number_of_frames(
                    "count",
                    "How many frames are read at most; 0 reads all to the end. A minute of a 1920 x 1080 video needs about "
                    "45 GB.",
                    display_name="frames",
                ),
                inputs.one_of_every(
                    "Reads one frame of every n: 1 reads each, 2 leaves out every other. The output frame rate is lower by as "
                    "much, so that the audio still fits."
                ),
            ],
            outputs=[
                io.Image.Output("images", tooltip="The frames, upright."),
                io.Audio.Output("audio", tooltip="The audio of these frames; nothing when the video has none."),
                io.Float.Output("fps", tooltip="Frames per second, for Create Video; the average where the rate varies."),
                io.Int.Output("frames", tooltip="How many frames were read."),
                io.String.Output("times", tooltip="When each frame is shown, in seconds of the video, separated by commas."),
            ],
        )

    @classmethod
    @completed
    def execute(cls, video: Input.Video, start: int, count: int, every: int) -> io.NodeOutput:
        with open_host_video(video) as (source, offset, duration):
            window = {"first": start, "count": count, "every": every}
            frames = read_frames(source, offset, duration, **window)
            expected = estimate_frames(frames.video, offset, duration, **window)
            images, times = _collect(frames, frames.video.size, expected)
            rate = frames.video.rate / every or Fraction(1)
            sound = read_audio(source, float(offset + times[0]), float(times[-1] - times[0] + 1 / rate))
        if notices := [*frames.notices, *(sound.notices if sound else ())]:
            progress.log_and_show(" ".join(notices))
        audio = None if sound is None else {"waveform": sound.waveform[None], "sample_rate": sound.rate}
        shown = ", ".join(f"{float(time):.6f}".rstrip("0").rstrip(".") for time in times)
        return io.NodeOutput(images, audio, float(rate), len(times), shown)


def _collect(frames: Iterable[Frame], size: tuple[int, int], expected: int) -> tuple[Tensor, list[Fraction]]:
    """Frames as an IMAGE, and their times; the buffer is doubled when there are more than expected."""
    images, times, tick = tensors.allocate_images(expected or 64, *size), [], progress.progress()
    for frame in frames:
        if len(times) == len(images):
            fewer, images = images, tensors.allocate_images(2 * len(images), *size)
            images[: len(fewer)] = fewer
        images[len(times)] = tensors.to_host(frame.image())[0]
        times.append(frame.time)
        tick(len(times), max(expected, len(times)) if expected else 0)
    return images[: len(times)], times

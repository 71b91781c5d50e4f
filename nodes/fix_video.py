"""Fix Faces in Video: the whole job on a video, which is read and written frame by frame."""

from typing import Any

from comfy_api.latest import Input, io

from ..codeformer_core.video.pipeline import FixedVideo, fix_video
from ..codeformer_core.video_io import CODECS
from ..codeformer_core.video_io.codecs import Encoder, find_encoder
from . import inputs
from .host import model_files, networks, progress
from .host.video import open_host_video, progress_callback, temporary_video


class CodeFormerFixFacesInVideo(io.ComfyNode):
    """From a video to a video with restored faces."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerFixFacesInVideo",
            display_name="Fix Faces in Video (CodeFormer)",
            category=inputs.CATEGORY,
            description="Finds every face of a video, repairs it and puts it back, a few frames at a time: a film needs no "
            "more memory than a clip. Faces stay steady from frame to frame; sound, frame times and all the rest stay as they "
            "were. Save Video saves the result as it is.",
            search_aliases=[*inputs.ALIASES, "video face restore", "fix faces video", "deflicker", "video upscale"],
            inputs=[
                io.Video.Input("video", tooltip="The video. Connect Load Video or Create Video."),
                inputs.model_input(),
                inputs.detector_input(),
                *inputs.widgets("fidelity", "steady", "upscale", "choice", "mask"),
                _codec_input(),
                *inputs.widgets("match_style", "grey", "side", "confidence", "overlap", "eye_distance"),
                inputs.parser_input(),
                *inputs.widgets("keep_detail", "colour", "largest", "tile", optional=True),
                *inputs.upscaler_inputs(),
                *inputs.widgets("strength", "chunk", optional=True),
                *inputs.new_widgets(),
            ],
            outputs=[
                io.Video.Output("fixed", display_name="video", tooltip="The video with repaired faces. Connect Save Video."),
                io.Int.Output("people", tooltip="How many faces were followed; one that leaves and comes back counts again."),
                io.String.Output("report", tooltip="What was done, and what of the file could not be kept."),
            ],
        )

    @classmethod
    def execute(
        cls,
        video: Input.Video,
        model: networks.HostedRestorer,
        detector: networks.HostedDetector,
        codec: dict[str, Any],
        parser: networks.HostedParser | None = None,
        upscale_model: Any = None,
        face_upscale_model: Any = None,
        **values: Any,
    ) -> io.NodeOutput:
        """Read, fix, write."""
        path = model_files.temporary_path(".mp4")
        with open_host_video(video) as part:
            done = fix_video(
                part.source,
                path,
                detector,
                model,
                inputs.chosen(values),
                inputs.extras(parser, upscale_model, face_upscale_model),
                start=part.start,
                duration=part.duration,
                codec=codec["codec"],
                crf=codec["crf"],
                device=model.device,
                tick=progress_callback(progress.progress()),
            )
        report = _report(done)
        progress.log_and_show(report)
        return io.NodeOutput(temporary_video(path), done.people, report)


def _report(done: FixedVideo) -> str:
    """What became of a video, in sentences."""
    people = {0: "no face was found", 1: "1 face was followed"}.get(done.people, f"{done.people} faces were followed")
    return " ".join([f"{done.frames} frames, {done.with_faces} of them with faces; {people}.", *done.notices])


def _codec_input() -> io.Input:
    """The codecs that this host can write, each with its own scale of quality."""
    encoders = {codec: encoder for codec in CODECS if (encoder := find_encoder(codec))}
    return io.DynamicCombo.Input(
        "codec",
        options=[io.DynamicCombo.Option(name, [_quality_input(encoder)]) for name, encoder in encoders.items()],
        tooltip="How the result is compressed. h264 plays everywhere; hevc and av1 make smaller files and take longer.",
    )


def _quality_input(encoder: Encoder) -> io.Input:
    # Its name and tooltip are in locales/ alone: given here, the browser would show them in every language.
    return io.Int.Input("crf", default=encoder.crf, min=0, max=encoder.max_crf)


NODES = [CodeFormerFixFacesInVideo]

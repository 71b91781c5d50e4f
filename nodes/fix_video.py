"""Fix Faces in Video: the whole job on a video, which is read and written frame by frame."""

from typing import Any

from comfy_api.latest import Input, io
from torch import Tensor

from ..codeformer_core.selection.report import left_as_they_are
from ..codeformer_core.video.pipeline import fix_video
from ..codeformer_core.video_io import CONTAINERS
from ..codeformer_core.video_io.codecs import find_encoder
from . import inputs
from .host import model_files, networks, progress
from .host.execution import completed
from .host.video import live_preview, open_host_video, progress_callback, saying_when_cancelled, temporary_video


class CodeFormerFixFacesInVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CodeFormerFixFacesInVideo",
            display_name="Fix Faces in Video (CodeFormer)",
            category=inputs.CATEGORY,
            description="Finds every face of a video, repairs it and puts it back, a few frames at a time: a film needs no "
            "more memory than a clip. Faces stay steady from frame to frame; audio, timing and metadata are kept. Save Video "
            "saves the result as it is.",
            search_aliases=[*inputs.ALIASES, "video face restore", "fix faces video", "deflicker", "video upscale"],
            inputs=[
                io.Video.Input("video", tooltip="The video. Connect Load Video or Create Video."),
                inputs.MODEL,
                inputs.DETECTOR,
                *inputs.widgets("fidelity", "steady", "upscale", "choice", "mask"),
                io.DynamicCombo.Input(
                    "codec",
                    options=[
                        # The name and tooltip of crf are in locales/ alone: given here, they would show in every language.
                        io.DynamicCombo.Option(
                            codec,
                            [io.Int.Input("crf", default=encoder.crf, min=0, max=encoder.max_crf, optional=True)],
                        )
                        for codec in CONTAINERS[".mp4"].codecs
                        if (encoder := find_encoder(codec))
                    ],
                    optional=True,
                    tooltip="How the result is compressed. h264 plays everywhere; hevc and av1 make smaller files and take "
                    "longer.",
                ),
                *inputs.widgets("match_style", "grey", "side", "confidence", "overlap", "eye_distance"),
                inputs.PARSER,
                *inputs.widgets("keep_detail", "colour", "largest", "tile"),
                *inputs.UPSCALERS,
                *inputs.widgets("strength", "chunk"),
                *inputs.widgets("sampling", "always"),
                inputs.number_of_frames(
                    "first_frame",
                    "The result begins with this frame; 0 is the video's first.",
                    display_name="first frame",
                    advanced=True,
                ),
                inputs.number_of_frames(
                    "frame_limit",
                    "The result ends after this many frames of the video, to try the settings on a few; 0 goes on to the end.",
                    display_name="frame limit",
                    advanced=True,
                ),
                inputs.one_of_every(
                    "Keeps one frame of every n: 1 keeps each, 2 leaves out every other. The speed stays the same.",
                    advanced=True,
                ),
                *inputs.new_widgets("sampling", "always", "likeness"),
                inputs.PERSON,
            ],
            outputs=[
                io.Video.Output("fixed", display_name="video", tooltip="The video with repaired faces. Connect Save Video."),
                io.Int.Output("people", tooltip="How many faces were tracked; one that leaves and comes back counts again."),
                io.String.Output("report", tooltip="What was done, and what could not be kept of the file."),
            ],
        )

    @classmethod
    def validate_inputs(cls, keep_detail: str | bool = "auto", codec: Any = None) -> bool | str:
        return inputs.accept_saved_switch(keep_detail)  # the host passes a DynamicCombo to whatever it calls

    @classmethod
    @completed
    def execute(
        cls,
        video: Input.Video,
        model: networks.HostedRestorer,
        detector: networks.HostedDetector,
        first_frame: int,
        frame_limit: int,
        every: int,
        codec: dict[str, Any] | None = None,
        person: Tensor | None = None,
        **values: Any,
    ) -> io.NodeOutput:
        compression, options = codec or {}, inputs.chosen(values)
        path, shown = model_files.temporary_path(".mp4"), progress.progress()
        ticking = saying_when_cancelled(progress_callback(shown))
        with open_host_video(video) as (source, start, duration), ticking as tick:
            done = fix_video(
                source,
                path,
                detector,
                model,
                options,
                inputs.extras(values, inputs.people_in_video(options, person, detector)),
                start=start,
                duration=duration,
                first=first_frame,
                count=frame_limit,
                every=every,
                codec=compression.get("codec"),
                crf=compression.get("crf"),
                device=model.device,
                tick=tick,
                show=live_preview(shown),
            )
        none = "no face was restored" if done.left_alone else "no face was found"
        people = {0: none, 1: "1 face was tracked"}.get(done.people, f"{done.people} faces were tracked")
        alone = [f"{sentence}." for sentence in left_as_they_are(done.left_alone)]
        report = " ".join([f"{done.frames} frames, {done.with_faces} of them with faces; {people}.", *alone, *done.notices])
        progress.log_and_show(report)
        return io.NodeOutput(temporary_video(path), done.people, report)

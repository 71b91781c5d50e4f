"""Fix Faces in Video: the whole job on a video, which is never held as a whole."""

from typing import Any

from comfy_api.latest import Input, io

from ..codeformer_core.colour import COLOURS
from ..codeformer_core.faces import DetectionOptions
from ..codeformer_core.recipe import Recipe
from ..codeformer_core.tracking import OFF, Steadiness
from ..codeformer_core.upscale import TILE
from ..codeformer_core.video import FixedVideo, fix_video
from ..codeformer_core.videos import CODECS
from ..codeformer_core.videos.codecs import Encoder
from . import files, fixing, host, hosted, sockets, videos


class CodeFormerFixFacesInVideo(io.ComfyNode):
    """Videos in, videos with repaired faces out."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """The node's sockets."""
        return io.Schema(
            node_id="CodeFormerFixFacesInVideo",
            display_name="Fix Faces in Video (CodeFormer)",
            category=sockets.CATEGORY,
            description="Finds every face of a video, repairs it and puts it back, a few frames at a time: a film needs no "
            "more memory than a clip. Faces stay steady from frame to frame; sound, frame times and all the rest stay as they "
            "were. Save Video saves the result as it is.",
            search_aliases=[*sockets.ALIASES, "video face restore", "fix faces video", "deflicker", "video upscale"],
            inputs=[
                io.Video.Input("video", tooltip="The video. Connect Load Video or Create Video."),
                sockets.model_input(),
                sockets.detector_input(),
                sockets.fidelity_input(),
                _steady_input(),
                fixing.upscale_input(),
                sockets.choice_input(),
                sockets.mask_input(),
                _codec_input(),
                *sockets.style_inputs(),
                *sockets.detection_inputs(),
                sockets.parser_input(),
                sockets.detail_input(),
                sockets.colour_input(),
                fixing.largest_input(),
                *fixing.upscaler_inputs(),
                _strength_input(),
                _chunk_input(),
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
        model: hosted.HostedRestorer,
        detector: hosted.HostedDetector,
        fidelity: float,
        steady: bool,
        upscale: float,
        choice: str,
        mask: str,
        codec: dict[str, Any],
        match_style: bool,
        grey: str,
        side: int,
        confidence: float,
        overlap: float,
        eye_distance: float,
        parser: hosted.HostedParser | None = None,
        keep_detail: bool = False,
        colour: str = next(iter(COLOURS)),
        largest: int = 0,
        tile: int = TILE,
        upscale_model: Any = None,
        face_upscale_model: Any = None,
        strength: float = Steadiness().codes,
        chunk: int = Recipe().chunk,
    ) -> io.NodeOutput:
        """Read, fix, write."""
        recipe = fixing.recipe(
            model,
            choice=choice,
            largest=largest,
            upscale=upscale,
            tile=tile,
            upscale_model=upscale_model,
            face_upscale_model=face_upscale_model,
            detection=DetectionOptions(side, confidence, overlap, eye_distance),
            fidelity=fidelity,
            match_style=match_style,
            grey=grey,
            colour=colour,
            mask=mask,
            parser=parser,
            keep_detail=keep_detail,
            steadiness=Steadiness(codes=strength) if steady else OFF,
            chunk=chunk,
        )
        path = files.temporary(".mp4")
        with videos.opened(video) as part:
            done = fix_video(
                part.source,
                path,
                detector,
                model,
                recipe,
                start=part.start,
                duration=part.duration,
                codec=codec["codec"],
                crf=codec["crf"],
                device=model.device,
                tick=videos.paced(host.progress()),
            )
        report = _report(done)
        host.say(report)
        return io.NodeOutput(videos.lasting(path), done.people, report)


def _report(done: FixedVideo) -> str:
    """What became of a video, in sentences."""
    people = {0: "no face was found", 1: "1 face was followed"}.get(done.people, f"{done.people} faces were followed")
    return " ".join([f"{done.frames} frames, {done.with_faces} of them with faces; {people}.", *done.notices])


def _steady_input() -> io.Input:
    return io.Boolean.Input(
        "steady",
        default=True,
        tooltip="Follows every face through the video, so that it does not tremble or change from frame to frame. Turn it off "
        "to repair each frame by itself, as Fix Faces does.",
    )


def _strength_input() -> io.Input:
    return io.Float.Input(
        "strength",
        display_name="temporal strength",
        default=Steadiness().codes,
        min=0.0,
        max=1.0,
        step=0.05,
        optional=True,
        advanced=True,
        tooltip="How much neighbouring frames decide together what a face looks like. Raise it when skin or eyes still "
        "flicker; lower it when quick expressions get lost. 0 only keeps the face in its place. Only with steady on.",
    )


def _chunk_input() -> io.Input:
    return io.Int.Input(
        "chunk",
        display_name="frames at once",
        default=Recipe().chunk,
        min=1,
        max=256,
        optional=True,
        advanced=True,
        tooltip="How many frames are worked on together. Lower it when memory runs out, for example with 4K videos; the result "
        "stays the same.",
    )


def _codec_input() -> io.Input:
    """The codecs that this host can write, each with its own scale of quality."""
    there = {name: codec.encoder for name, codec in CODECS.items() if codec.crf is not None}
    return io.DynamicCombo.Input(
        "codec",
        options=[io.DynamicCombo.Option(name, [_quality_input(encoder)]) for name, encoder in there.items()],
        tooltip="How the result is compressed. h264 plays everywhere; hevc and av1 make smaller files and take longer.",
    )


def _quality_input(encoder: Encoder) -> io.Input:
    # Its name and tooltip are in locales/ alone: given here, the browser would show them in every language.
    return io.Int.Input("crf", default=encoder.crf, min=0, max=encoder.worst)


NODES = [CodeFormerFixFacesInVideo]

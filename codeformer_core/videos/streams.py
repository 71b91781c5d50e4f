"""The other streams of a video: sound, subtitles and more, copied beside the new pictures."""

import av.container
from av.stream import Discard

from .reading import Window
from .source import Source, first_stream, open_video


class Companions:
    """Copies the packets of the other streams of a window."""

    def __init__(self, source: Source, output: av.container.OutputContainer, window: Window) -> None:
        self._output = output
        self._window = window
        self._input = open_video(source)
        self._pairs = {}
        self._packets = None

    def add(self) -> None:
        for stream in self._input.streams.audio:
            self._pairs[stream.index] = self._output.add_stream_from_template(stream)
        streams = [self._input.streams[index] for index in self._pairs]
        first_stream(self._input).discard = Discard.all
        self._packets = self._input.demux(streams) if streams else iter(())

    def until(self, time) -> None:
        for packet in self._packets:
            if packet.dts is None:
                continue
            packet.stream = self._pairs[packet.stream.index]
            self._output.mux(packet)
            if time is not None and packet.pts * packet.time_base > time:
                return

"""Sound that the new file cannot carry as it is, encoded once more."""

import av
import av.audio.stream
import av.container
import numpy as np

from .sound import Samples
from .windows import Window

_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # that both AAC and Opus have
_BITS_PER_CHANNEL = 96_000  # a second; AAC is taken for transparent from 64 000 to 96 000 on


class RecodedSound:
    """An audio stream that is decoded and encoded.

    Attributes:
        stream: the new one.
        name: of its codec, for the user.
    """

    def __init__(
        self, stream: av.audio.stream.AudioStream, output: av.container.OutputContainer, encoder: str, window: Window
    ) -> None:
        context = stream.codec_context
        rates = av.Codec(encoder, "w").audio_rates or [context.sample_rate]
        rate = context.sample_rate if context.sample_rate in rates else 48_000
        self._layout = _LAYOUTS.get(context.layout.nb_channels, "stereo")
        new = output.add_stream(encoder, rate=rate, layout=self._layout)
        assert isinstance(new, av.audio.stream.AudioStream)
        new.codec_context.bit_rate = _BITS_PER_CHANNEL * new.codec_context.layout.nb_channels
        self.stream, self.name = new, {"aac": "AAC", "libopus": "Opus"}.get(encoder, encoder)
        end = None if window.seconds is None else window.origin + window.seconds
        self._samples = Samples(stream, window.origin, end, self._layout, rate)
        self._done = 0

    def feed(self, packet: av.Packet) -> list[av.Packet]:
        """What is to be written for a packet of the source; the empty packet at its end gives the rest."""
        packets = [new for piece in self._samples.feed(packet) for new in self.stream.encode(self._frame(piece))]
        if not packet.size:
            packets += self.stream.encode(None)
        return packets

    def _frame(self, samples: np.ndarray) -> av.AudioFrame:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=self._layout)
        frame.sample_rate = self._samples.rate
        frame.pts = self._done
        self._done += samples.shape[1]
        return frame

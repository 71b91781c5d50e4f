"""The codebook of stage I alone, to see what it can draw: encode, take the nearest entries, decode."""

from pathlib import Path

import torch
from torch import Tensor, nn

from .. import checkpoints
from ..networks import misfit, vqgan
from .codes import nearest

#: The side of faces where a file does not say it: a codebook's weights are the same for every size.
PUBLISHED_SIDE = 512


class Autoencoder(nn.Module):
    """Encoder, codebook and generator of a file: `network.pth` of stage I, the published vqgan_code1024.pth, or a whole
    restorer, whose encoder has learnt to read degraded faces instead.

    Args:
        file: the weights.
        side: S; None for the one that the file is for, or 512.

    Raises:
        ValueError: the file holds no codebook, or the side does not fit.
    """

    def __init__(self, file: Path, side: int | None = None) -> None:
        super().__init__()
        state = checkpoints.read(file)
        parts = {key: value for key, value in state.items() if key.split(".")[0] in ("encoder", "quantize", "generator")}
        step = 2 ** sum(key.startswith("encoder.blocks.") and key.endswith(".conv.weight") for key in parts)
        known = round(len(state["position_emb"]) ** 0.5) * step if "position_emb" in state else PUBLISHED_SIDE
        self.side = side or known
        if self.side % step:
            raise ValueError(f"Found a side of {self.side} pixels; this codebook needs a multiple of {step}: change --side.")
        try:
            sized = {**state, "position_emb": torch.zeros((self.side // step) ** 2, 64)}
            architecture = vqgan.Architecture.read(sized)
            self.encoder, self.quantize = vqgan.Encoder(architecture), vqgan.Codebook(architecture)
            self.generator = vqgan.Generator(architecture)
            problem = misfit(self.state_dict(), parts)
        except (KeyError, IndexError, ValueError) as error:
            problem = f"{error} does not fit"
        if problem:
            raise ValueError(f"{file} holds no codebook of this family: {problem}. Give network.pth of a run of stage I.")
        self.load_state_dict(parts)
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, faces: Tensor) -> Tensor:
        """Faces (N, 3, S, S) in [0, 1] -> as the codebook draws them, (N, 3, S, S) in [0, 1]."""
        features = self.encoder(faces * 2 - 1)[0]
        codes = nearest(features, self.quantize.embedding.weight)
        return ((self.generator(self.quantize(codes, like=features)) + 1) / 2).clamp(0, 1)

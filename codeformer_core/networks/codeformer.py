"""CodeFormer (Zhou et al., NeurIPS 2022): a transformer predicts the codes of a clean face from a degraded one, a generator
decodes them, and the controllable feature transformation restores as much of the input as the fidelity weight asks for.

Parameter names are those of the released files, with one difference: `in_proj` of the attention is split into three linear
layers, which the host's casting layers can place one by one; `transformer.split_attention` makes them from a released state
dict.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .encoded import EncodedFaces
from .fusion import ControllableFeatureTransform, Fidelity, adain, check_fidelity, over_map
from .precision import PRECISIONS, Precision, check_dtype
from .transformer import TransformerLayer
from .vqgan import Architecture, Codebook, Encoder, Generator

#: Task -> the published file.
FILES = {
    "restoration": "codeformer.pth",
    "colorization": "codeformer_colorization.pth",
    "inpainting": "codeformer_inpainting.pth",
}


def check_side(crops: Tensor, side: int) -> None:
    """A ValueError unless crops (N, 3, H, W) have the side that a network takes."""
    if crops.shape[-2:] != (side, side):
        raise ValueError(
            f"Found faces of {crops.shape[-1]} x {crops.shape[-2]} pixels; this network takes {side} x {side}: "
            f"align with side={side}."
        )


class CodeFormer(nn.Module):
    """The whole network. Load one with `codeformer_core.networks.load`.

    Attributes:
        role: "restorer".
        task: what the weights were trained for: "restoration", "colorization" or "inpainting".
        side: S, the side of the crops in pixels.
    """

    role = "restorer"

    def __init__(self, arch: Architecture, operations: Any = nn, folded: bool = False) -> None:
        super().__init__()
        self.arch, self.task, self.side = arch, arch.task, arch.side
        self.precision = PRECISIONS["exact"]
        self.layout = torch.preserve_format
        self.encoder = Encoder(arch, operations)
        self.quantize = Codebook(arch, operations)
        self.generator = Generator(arch, operations, folded)
        self.position_emb = nn.Parameter(torch.zeros(arch.code_side**2, arch.embed_dim))
        self.feat_emb = operations.Linear(arch.code_dim, arch.embed_dim)
        self.ft_layers = nn.ModuleList(TransformerLayer(arch.embed_dim, arch.heads, operations) for _ in range(arch.layers))
        self.idx_pred_layer = nn.Sequential(
            operations.LayerNorm(arch.embed_dim), operations.Linear(arch.embed_dim, arch.codebook_size, bias=False)
        )
        width = dict(zip(arch.level_sides, arch.channels, strict=True))
        self.fuse_convs_dict = nn.ModuleDict(
            {str(side): ControllableFeatureTransform(width[side], operations) for side in arch.fuse_sides}
        )

    def with_precision(self, precision: Precision) -> "CodeFormer":
        """Cast the weights in place to the dtypes of a precision, channels_last; for inference only. Returns itself."""
        self.precision, self.layout = precision, torch.channels_last
        for part in (self.generator, self.fuse_convs_dict):
            part.to(precision.generator_dtype)
        self.encoder.with_dtype(precision.encoder_dtype)
        self.to(memory_format=self.layout)  # pyright: ignore[reportCallIssue] - not in the stubs of nn.Module.to
        return self

    def compiled(self) -> "CodeFormer":
        """Let `torch.compile` compile the three parts at their first call and for every new input shape. Returns itself.

        Compiling takes a minute or more, and results round in another order; `python -m benchmarks` measures the gain.
        """
        for part in ("encode", "predict", "decode"):
            setattr(self, part, torch.compile(getattr(self, part)))
        return self

    def memory_used(self, batch: int, height: int, width: int) -> int:
        """Bytes of activations that one call needs in float32, beside the weights (measured, see tests)."""
        # At full resolution the generator holds a map twice as wide as the first level, its normalised copy and the
        # convolution's result, and im2col's patches beside them: about eight maps of the first level.
        return batch * height * width * self.arch.channels[0] * 4 * 8

    def encode(self, x: Tensor, keep: tuple[int, ...] = ()) -> tuple[Tensor, dict[int, Tensor]]:
        """Degraded faces (N, 3, S, S) in [-1, 1] -> features (N, C, s, s), and the encoder's maps at the sides in `keep`."""
        features, kept = self.encoder(x.to(torch.float32, memory_format=self.layout), keep)
        return features, {side: one.to(self.precision.generator_dtype) for side, one in kept.items()}

    def predict(self, features: Tensor) -> Tensor:
        """Encoder features (N, C, s, s) -> logits (N, s * s, codebook size) of the codes of the clean face."""
        x = self.feat_emb(features.flatten(2).transpose(1, 2))  # (N, T, D)
        position = self.position_emb.to(x)
        for layer in self.ft_layers:
            x = layer(x, position)
        return self.idx_pred_layer(x).float()

    def decode(
        self, codes: Tensor, features: Tensor, kept: Mapping[int, Tensor], fidelity: Fidelity, match_style: bool = True
    ) -> Tensor:
        """Decode codes into faces.

        Args:
            codes: (N, s * s) indices into the codebook.
            features: (N, C, s, s) encoder features: the style to match.
            kept: the encoder's maps by side; absent sides are not fused.
            fidelity: weight of the fusion, see `Fidelity`.
            match_style: give the quantised features the mean and standard deviation of the encoder's (AdaIN).

        Returns:
            (N, 3, S, S) around [-1, 1].
        """
        x = self.quantize(codes, like=features)
        if match_style:
            x = adain(x.float(), features.float())
        x = x.to(self.precision.generator_dtype, memory_format=self.layout)
        return self.generate(x, kept, {side: over_map(fidelity, one) for side, one in kept.items()})

    def generate(self, x: Tensor, kept: Mapping[int, Tensor], weights: Mapping[int, float | Tensor]) -> Tensor:
        """Quantised features (N, C, s, s), and the encoder's maps with the weights of their fusion by side -> see `decode`."""
        for index, block in enumerate(self.generator.blocks):
            x = block(x)
            side = self.generator.tap_sides.get(index, 0)
            if side in kept:
                x = self.fuse_convs_dict[str(side)](kept[side], x, weights[side])
        return x.to(torch.float32, memory_format=torch.contiguous_format)

    def forward(self, x: Tensor, fidelity: Fidelity, match_style: bool = True) -> Tensor:
        """Degraded faces (N, 3, S, S) in [-1, 1] -> restored faces (N, 3, S, S) around [-1, 1].

        Args:
            fidelity: 0 follows the codebook (quality), 1 the input; a number, (N,), or (N, 1, h, w) over the face.
            match_style: see `decode`.
        """
        return self._decode(self._encode(x, fidelity), fidelity, match_style)

    def _encode(self, x: Tensor, fidelity: Fidelity) -> EncodedFaces:
        check_dtype(self)
        check_side(x, self.side)
        check_fidelity(fidelity, x.shape[0])
        fuses = bool((torch.as_tensor(fidelity) > 0).any())
        features, kept = self.encode(x, keep=self.arch.fuse_sides if fuses else ())
        return EncodedFaces(self.predict(features), features, kept)

    def _decode(self, encoded: EncodedFaces, fidelity: Fidelity, match_style: bool) -> Tensor:
        output = self.decode(encoded.logits.argmax(dim=2), encoded.features, encoded.kept, fidelity, match_style)
        # Some code is the likeliest even where none is finite: zeros, or NaN for a whole face, without waiting for a GPU.
        return output + 0 * encoded.logits.amax(dim=(1, 2)).reshape(-1, 1, 1, 1)

    def restore(self, crops: Tensor, fidelity: Fidelity = 0.5, match_style: bool = True) -> Tensor:
        """Degraded crops (N, 3, S, S) RGB in [0, 1] -> restored crops (N, 3, S, S) in [0, 1].

        Raises:
            ValueError: these are the weights of another task, or the crops have another side.
        """
        return self.decode_faces(self.encode_faces(crops, fidelity), fidelity, match_style)

    @torch.no_grad()
    def encode_faces(self, crops: Tensor, fidelity: Fidelity = 0.5) -> EncodedFaces:
        """The first half of `restore`: degraded crops (N, 3, S, S) RGB in [0, 1] -> their encoding.

        Args:
            fidelity: the one that `decode_faces` will be given; at 0 no encoder maps are kept for the fusion.
        """
        self.require_task("restoration")
        return self._encode(crops * 2 - 1, fidelity)

    @torch.no_grad()
    def decode_faces(self, encoded: EncodedFaces, fidelity: Fidelity = 0.5, match_style: bool = True) -> Tensor:
        """The second half of `restore`: the likeliest codes decoded to (N, 3, S, S) in [0, 1], on the network's device."""
        check_fidelity(fidelity, encoded.faces)
        return _to_unit_range(self._decode(encoded, fidelity, match_style))

    def sweep(self, crops: Tensor, fidelities: Sequence[float], match_style: bool = True) -> Tensor:
        """The same crops (N, 3, S, S) restored with several weights: (N, W, 3, S, S) in [0, 1].

        Features and codes are computed once; each weight costs one pass of the generator.
        """
        encoded = self.encode_faces(crops, max(fidelities))
        unfused = encoded._replace(kept={})
        return torch.stack([self.decode_faces(encoded if w > 0 else unfused, w, match_style) for w in fidelities], dim=1)

    @torch.no_grad()
    def colorize(self, crops: Tensor) -> Tensor:
        """Greyscale or faded crops (N, 3, S, S) in [0, 1] -> colorized (N, 3, S, S) in [0, 1]; w = 0, as in the reference."""
        self.require_task("colorization")
        return _to_unit_range(self(crops * 2 - 1, 0.0, match_style=True))

    @torch.no_grad()
    def inpaint(self, crops: Tensor, holes: Tensor) -> Tensor:
        """Crops with their holes filled; where `holes` is 0 they come back bit for bit.

        The network was trained on white holes, with w = 1 and without matching the style (inference_inpainting.py).

        Args:
            crops: (N, 3, S, S) in [0, 1].
            holes: (N, 1, S, S) in [0, 1]; what is above one half is hidden from the network. The result takes as much of the
                filling as `holes` says, so that a ramp below one half fades it into what is known.
        """
        self.require_task("inpainting")
        white = torch.where(holes > 0.5, torch.ones_like(crops), crops)
        filled = _to_unit_range(self(white * 2 - 1, 1.0, match_style=False)).to(crops)
        return torch.where(holes > 0, torch.lerp(crops, filled, holes), crops)

    @torch.no_grad()
    def certainty(self, crops: Tensor) -> Tensor:
        """The softmax probability of each predicted code: (N, 1, s, s), 0 to 1.

        One cell is 32 x 32 pixels of a 512-pixel crop. Where it is low, the face is invented.
        """
        encoded = self._encode(crops * 2 - 1, 0.0)
        probabilities = encoded.logits.softmax(dim=2).amax(dim=2)  # (N, s * s)
        return probabilities.reshape(-1, 1, *encoded.features.shape[-2:])

    def require_task(self, task: str) -> None:
        """A ValueError when the weights were trained for another task."""
        if self.task != task:
            raise ValueError(
                f"This is the {self.task} checkpoint (codebook of {self.arch.codebook_size}, fusion at "
                f"{', '.join(map(str, self.arch.fuse_sides)) or 'no side'}), and {task} was asked for: choose {FILES[task]}."
            )


def _to_unit_range(output: Tensor) -> Tensor:
    """A network's output around [-1, 1], mapped to [0, 1] and clamped, in place."""
    return output.add_(1).div_(2).clamp_(0, 1)

"""Face restorers that spandrel loads, GFPGAN and RestoreFormer, with the methods that the pipeline asks a restorer for."""

from collections.abc import Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from .codeformer import FILES, check_side
from .encoded import EncodedFaces

#: Network -> how names of its parameters begin, and how it is called beside the crops: GFPGAN with its stored noise, since with
#: fresh noise a face would be another one in every run and flicker in a video.
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "GFPGAN": ("stylegan_decoder.", {"randomize_noise": False}),
    "RestoreFormer": ("encoder.down.0.", {}),
}

#: Raised by the constructors of networks, spandrel's and ours, for weights with the right names and wrong shapes.
MALFORMED = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)


def kind_of(state: Mapping[str, Tensor]) -> str:
    """The name of the network that a state dict belongs to, a row of `KINDS`; "" for any other."""
    return next((kind for kind, (mark, _) in KINDS.items() if any(key.startswith(mark) for key in state)), "")


def describe(state: Mapping[str, Tensor]) -> Any:
    """spandrel's description of the network that weights belong to, with the network.

    Raises:
        spandrel.UnsupportedModelError: spandrel knows no such network.
        one of `MALFORMED`: the weights do not fit it.
    """
    from spandrel import ModelLoader

    descriptor = ModelLoader().load_from_state_dict(dict(state))
    for key, value in descriptor.model.state_dict().items():
        if value.is_floating_point() and key in state and not state[key].is_floating_point():
            raise TypeError(key)  # loading would take whole numbers for weights
    return descriptor


def load(state: Mapping[str, Tensor], kind: str, name: str) -> "SpandrelRestorer":
    """The restorer of this kind that a state dict belongs to, in float32.

    Raises:
        ImportError: spandrel is not installed.
        ValueError: the weights fit no network of this kind.
    """
    try:
        from spandrel import UnsupportedModelError
    except ModuleNotFoundError as error:
        if error.name != "spandrel":
            raise
        raise ImportError(f"{name} is a {kind}, which needs the package spandrel: pip install spandrel") from error
    try:
        descriptor = describe(state)
    except (UnsupportedModelError, *MALFORMED) as error:
        raise ValueError(
            f"{name} looks like {kind} but does not fit. Expected a complete, unchanged file of GFPGAN 1.2 to 1.4 or of "
            "RestoreFormer: get it again, or choose another that `codeformer models` lists."
        ) from error
    return SpandrelRestorer(descriptor.model, kind, name)


class SpandrelRestorer(nn.Module):
    """A restorer without fidelity weight and codes.

    Attributes:
        role, task: what it is for: "restorer", "restoration".
        side: S, the side of the crops in pixels.
        kind: a row of `KINDS`.
        file: what messages call it.
    """

    role, task, side = "restorer", "restoration", 512

    def __init__(self, network: nn.Module, kind: str, file: str) -> None:
        super().__init__()
        self.network, self.kind, self.file = network, kind, file

    @property
    def notice(self) -> str:
        """What a user should know who expects a CodeFormer."""
        return (
            f"{self.file} is a {self.kind}: it has no fidelity weight, so that a fidelity changes nothing, and no codes that "
            "could be averaged over the frames of a video; tracking and the smoothing of poses work."
        )

    def memory_used(self, batch: int, height: int, width: int) -> int:
        """Bytes of activations that one call needs in float32, beside the weights."""
        return batch * height * width * 64 * 4 * 16  # sixteen maps of 64 channels; GFPGAN's peak is eleven, measured on a CPU

    @torch.no_grad()
    def restore(self, crops: Tensor, fidelity: float | Tensor = 0.5, match_style: bool = True) -> Tensor:
        """Degraded crops (N, 3, 512, 512) RGB in [0, 1] -> restored crops (N, 3, 512, 512) in [0, 1].

        Raises:
            ValueError: several fidelities or a map of them, or crops of another side.
        """
        if isinstance(fidelity, Tensor) and fidelity.numel() > 1:
            self._refuse("a fidelity weight, by face or by mask")
        check_side(crops, self.side)
        output = self.network(crops * 2 - 1, **KINDS[self.kind][1])[0]
        return ((output + 1) / 2).clamp_(0, 1)

    def encode_faces(self, crops: Tensor, fidelity: float | Tensor = 0.5) -> EncodedFaces:
        """The crops themselves, as what `decode_faces` restores: there are no codes between."""
        return EncodedFaces(crops.new_zeros(len(crops), 0, 0), crops, {})

    def decode_faces(self, encoded: EncodedFaces, fidelity: float | Tensor = 0.5, match_style: bool = True) -> Tensor:
        """Restored crops (N, 3, 512, 512) in [0, 1], see `restore`."""
        return self.restore(encoded.features, fidelity, match_style)

    def sweep(self, *_: Any) -> NoReturn:
        """Refused."""
        self._refuse("a fidelity weight")

    def certainty(self, *_: Any) -> NoReturn:
        """Refused."""
        self._refuse("codes to be certain of")

    def colorize(self, *_: Any) -> NoReturn:
        """Refused."""
        self._refuse("training for colours", FILES["colorization"])

    def inpaint(self, *_: Any) -> NoReturn:
        """Refused."""
        self._refuse("training for holes", FILES["inpainting"])

    def compiled(self) -> NoReturn:
        """Refused."""
        raise AttributeError(f"{self.file} is a {self.kind}, which is not compiled")

    def _refuse(self, lacking: str, instead: str = FILES["restoration"]) -> NoReturn:
        raise ValueError(f"{self.file} is a {self.kind} without {lacking}: choose {instead} for this.")

"""Face restorers that spandrel loads, GFPGAN and RestoreFormer, with the methods that the pipeline asks a restorer for."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from .codeless import CodelessRestorer
from .precision import check_dtype

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


def import_spandrel(kind: str, name: str, extra: bool = False) -> type[Exception]:
    """Import spandrel for a network of this kind; the exception that it raises for those that it does not know.

    Args:
        name: what the error calls the file.
        extra: the kind is in spandrel's second package.

    Raises:
        ImportError: it is not installed.
    """
    package = "spandrel_extra_arches" if extra else "spandrel"
    try:
        if extra:
            import spandrel_extra_arches

            spandrel_extra_arches.install(ignore_duplicates=True)
        from spandrel import UnsupportedModelError
    except ModuleNotFoundError as error:
        if error.name not in ("spandrel", package):
            raise
        raise ImportError(f"{name} is a {kind}, which needs the package {package}: pip install {package}") from error
    return UnsupportedModelError


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
    unsupported = import_spandrel(kind, name)
    try:
        descriptor = describe(state)
    except (unsupported, *MALFORMED) as error:
        raise ValueError(
            f"{name} looks like {kind} but does not fit. Expected a complete, unchanged file of GFPGAN 1.2 to 1.4 or of "
            "RestoreFormer: get it again, or choose another that `codeformer models` lists."
        ) from error
    return SpandrelRestorer(descriptor.model, kind, name)


class SpandrelRestorer(CodelessRestorer):
    """GFPGAN or RestoreFormer; `kind` is a row of `KINDS`."""

    side = 512

    def __init__(self, network: nn.Module, kind: str, file: str) -> None:
        super().__init__(kind, file)
        self.network = network

    def memory_used(self, batch: int, height: int, width: int) -> int:
        """Bytes of activations that one call needs in float32, beside the weights."""
        return batch * height * width * 64 * 4 * 16  # sixteen maps of 64 channels; GFPGAN's peak is eleven, measured on a CPU

    def restored(self, crops: Tensor) -> Tensor:
        """See `CodelessRestorer`."""
        check_dtype(self)
        return self.network(crops, **KINDS[self.kind][1])[0]

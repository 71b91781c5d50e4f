"""What each stage trains, and the losses that it does it with (Zhou et al., 2022, sections 3.1 to 3.3)."""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import checkpoints
from ..networks.codeformer import CodeFormer
from ..networks.transformer import split_attention
from .codes import clusters, nearest, vectors
from .config import Config
from .dataset import Batch, Sampler
from .distributed import Process
from .losses import Perceptual, structure

#: stage -> the parts of `CodeFormer` that it trains; everything else is frozen.
TRAINED = {
    1: ("encoder", "quantize", "generator"),
    2: ("encoder", "position_emb", "feat_emb", "ft_layers", "idx_pred_layer"),
    3: ("encoder", "position_emb", "feat_emb", "ft_layers", "idx_pred_layer", "fuse_convs_dict"),
}

#: stage -> the parts that its file has. A file of stage II is a whole network that fuses nothing; one of stage I is none yet.
SAVED = {1: TRAINED[1], 2: (*TRAINED[1], *TRAINED[2][1:]), 3: (*TRAINED[1], *TRAINED[3][1:])}


class Losses(NamedTuple):
    """What one batch says.

    Attributes:
        picture: loss of the drawn faces, a scalar; zero in stage II, which draws none.
        code: loss of the codes and features, a scalar.
        parts: each loss by its name, before it is weighted.
        drawn: (B, 3, S, S) around [-1, 1] for the discriminator; None in stage II.
    """

    picture: Tensor
    code: Tensor
    parts: dict[str, Tensor]
    drawn: Tensor | None


class Stage:
    """The network of a run, and its losses.

    Attributes:
        network: a `CodeFormer`.
        encoder: stages II and III: stage I's, frozen; it says which codes a clear face has.
        table: (F, 2, T) the codes of every face as it is and mirrored, where they are the same at every step; otherwise None.
        used: stage I: how many features chose each entry since unused ones were last looked for.
    """

    def __init__(self, config: Config, device: torch.device) -> None:
        self.config = config
        self.network = CodeFormer(config.network).to(device)
        self.encoder: nn.Module | None = None
        self.table: Tensor | None = None
        self.used = torch.zeros(config.network.codebook_size, device=device)
        self.perceptual = None
        if config.losses.perceptual and config.losses.perceptual_file is not None and config.stage != 2:
            self.perceptual = Perceptual(config.losses.perceptual_file).to(device)
        if config.start is not None:
            self._start(config.start)
        if config.stage == 3:  # the fusion starts by changing nothing
            for name, parameter in self.network.fuse_convs_dict.named_parameters():
                if ".scale.2." in name or ".shift.2." in name:
                    nn.init.zeros_(parameter)
        if config.stage > 1:
            self.encoder = CodeFormer(config.network).encoder.to(device).eval().requires_grad_(False)
            state = checkpoints.read(config.codes_from or config.start or Path())
            self.encoder.load_state_dict({k[8:]: v for k, v in state.items() if k.startswith("encoder.")})
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(name.split(".")[0] in TRAINED[config.stage])

    def _start(self, path: Path) -> None:
        """Take over what the stage before has trained.

        Raises:
            ValueError: the file does not fit the configured network.
        """
        state = split_attention(checkpoints.read(path))
        try:
            missing, superfluous = self.network.load_state_dict(state, strict=False)
        except RuntimeError as error:
            raise ValueError(f"{path} does not fit [network]: {' '.join(str(error).split()[:40])}.") from error
        lacking = [name for name in missing if name.split(".")[0] in SAVED[self.config.stage - 1]]
        if lacking or superfluous:
            wrong = ", ".join((lacking or superfluous)[:3])
            raise ValueError(f"{path} is not from stage {self.config.stage - 1} of this [network]: see {wrong}.")

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Those that are trained."""
        return [parameter for parameter in self.network.parameters() if parameter.requires_grad]

    def saved(self, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Of the network's parameters, those that the stage's file has."""
        return {name: value for name, value in parameters.items() if name.split(".")[0] in SAVED[self.config.stage]}

    def losses(self, batch: Batch, step: int) -> Losses:
        """Of a batch on the network's device."""
        return self._codebook(batch, step) if self.config.stage == 1 else self._codes(batch)

    def true_codes(self, clear: Tensor) -> Tensor:
        """Clear faces (N, 3, S, S) -> the codes (N, s * s) that stage I draws them from."""
        assert self.encoder is not None
        with torch.no_grad():
            return nearest(self.encoder(clear)[0], self.network.quantize.embedding.weight)

    def draw(self, network: CodeFormer, batch: Batch, step: int) -> Tensor:
        """Faces of a contact sheet, (N, 3, S, S) around [-1, 1], by a network such as the EMA."""
        with torch.no_grad():
            if self.config.stage > 1:
                return network(batch.degraded, 1.0 if self.config.stage == 3 else 0.0, match_style=False)
            features = network.encode(batch.clear)[0]
            if step >= self.config.codebook.continuous:
                codes = nearest(features, network.quantize.embedding.weight)
                features = network.quantize(codes, like=features)
            return network.generator(features)

    def _codebook(self, batch: Batch, step: int) -> Losses:
        """Stage I: the face again, through the nearest codes."""
        counts = self.config.losses
        features = self.network.encode(batch.clear)[0].float()
        code = features.new_zeros(())
        parts: dict[str, Tensor] = {}
        x = features
        if step >= self.config.codebook.continuous:
            codes = nearest(features, self.network.quantize.embedding.weight)
            self.used += torch.bincount(codes.flatten(), minlength=len(self.used))
            quantised = self.network.quantize(codes, like=features)
            code = F.mse_loss(quantised, features.detach()) + counts.commitment * F.mse_loss(features, quantised.detach())
            parts["code"] = code
            x = features + (quantised - features).detach()  # straight-through estimator
        drawn = self.network.generator(x).float()
        picture = self._picture(drawn, batch.clear, parts)
        return Losses(picture, counts.code * code, parts, drawn)

    def _codes(self, batch: Batch) -> Losses:
        """Stages II and III: the clear face's codes from the degraded face; in III the face itself, with w = 1."""
        counts, network = self.config.losses, self.network
        true = self.true_codes(batch.clear) if self.table is None else self.table[batch.faces, batch.mirrored.long()]
        fuses = self.config.stage == 3
        features, kept = network.encode(batch.degraded, keep=self.config.network.fuse_sides if fuses else ())
        logits = network.predict(features).float()  # (B, T, K)
        parts = {
            "token": F.cross_entropy(logits.flatten(0, 1), true.flatten()),
            "feature": F.mse_loss(features.float(), network.quantize(true, like=features.float()).detach()),
        }
        code = counts.code * (counts.token * parts["token"] + counts.feature * parts["feature"])
        with torch.no_grad():
            parts["agreement"] = (logits.argmax(dim=2) == true).float().mean()
        if not fuses:
            return Losses(code.new_zeros(()), code, parts, None)
        drawn = network.decode(logits.argmax(dim=2), features, kept, 1.0, match_style=False).float()
        return Losses(self._picture(drawn, batch.clear, parts), code, parts, drawn)

    def _picture(self, drawn: Tensor, clear: Tensor, parts: dict[str, Tensor]) -> Tensor:
        counts = self.config.losses
        parts["pixel"] = F.l1_loss(drawn, clear)
        total = counts.pixel * parts["pixel"]
        if counts.structure:
            parts["structure"] = structure(drawn, clear)
            total = total + counts.structure * parts["structure"]
        if self.perceptual is not None:
            parts["perceptual"] = self.perceptual(drawn, clear)
            total = total + counts.perceptual * parts["perceptual"]
        return total

    @torch.no_grad()
    def place_entries(self, step: int, sampler: Sampler, process: Process) -> bool:
        """Before a step of stage I: fill the codebook when it is first used, and give unused entries new places.

        Returns:
            Whether entries have moved.
        """
        how, entries = self.config.codebook, self.network.quantize.embedding.weight
        since = step - how.continuous
        begins = how.continuous > 0 and since == 0
        if self.config.stage > 1 or not (begins or (how.revive and since > 0 and since % how.revive == 0)):
            return False
        draw = torch.Generator().manual_seed(self.config.seed + step)
        pictures = [sampler(step + ahead).clear.to(entries.device) for ahead in range(8 if begins else 1)]
        points = torch.cat([vectors(self.network.encode(each)[0]) for each in pictures])
        if begins:
            placed = clusters(points.cpu(), len(entries), draw).to(entries)
        else:
            process.sum(self.used)
            chosen = points[torch.randint(len(points), (len(entries),), generator=draw).to(points.device)]
            placed = torch.where(self.used[:, None] > 0, entries, chosen)
        process.broadcast(placed)
        entries.copy_(placed)
        self.used.zero_()
        return True

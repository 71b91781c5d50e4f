"""What each stage trains, and its losses (Zhou et al., 2022, sections 3.1 to 3.3)."""

from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import checkpoints
from ..networks import misfit
from ..networks.codeformer import CodeFormer
from ..networks.transformer import split_attention
from .codes import k_means, nearest, vectors
from .config import Config
from .dataset import Batch, Sampler
from .distributed import Process
from .losses import Perceptual, gradient_l1

#: stage -> the parts of `CodeFormer` that it trains; everything else is frozen.
TRAINED = {
    1: ("encoder", "quantize", "generator"),
    2: ("encoder", "position_emb", "feat_emb", "ft_layers", "idx_pred_layer"),
    3: ("encoder", "position_emb", "feat_emb", "ft_layers", "idx_pred_layer", "fuse_convs_dict"),
}

#: stage -> the parts in its file. That of stage II is a whole network without fusion; that of stage I has no transformer yet.
SAVED = {1: TRAINED[1], 2: (*TRAINED[1], *TRAINED[2][1:]), 3: (*TRAINED[1], *TRAINED[3][1:])}


class Losses(NamedTuple):
    """Losses of one batch.

    Attributes:
        image: weighted loss of the generated images, a scalar; zero in stage II, which generates none.
        code: weighted loss of codes and features, a scalar.
        parts: each loss by its name, unweighted.
        generated: (B, 3, S, S) around [-1, 1] for the discriminator; None in stage II.
    """

    image: Tensor
    code: Tensor
    parts: dict[str, Tensor]
    generated: Tensor | None


class Stage:
    """The network of a run, and its losses.

    Attributes:
        network: a `CodeFormer`.
        encoder: stages II and III: stage I's, frozen; gives the true codes of a clear face.
        table: (F, 2, T) cached codes of every face, original and mirrored; None where augmentation changes them.
        used: stage I: codebook utilisation, the number of features per entry since unused ones were last replaced.
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
        if config.stage == 3:  # a new fusion starts as the identity
            for name, parameter in self.network.fuse_convs_dict.named_parameters():
                if ".scale.2." in name or ".shift.2." in name:
                    nn.init.zeros_(parameter)
        if config.start is not None:
            self._start(config.start)
        if config.stage > 1:
            self._codes_from(config.codes_from or config.start or Path(), device)
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(name.split(".")[0] in TRAINED[config.stage])

    def _start(self, path: Path) -> None:
        """Load the weights to start from: those of the stage before, or of this stage or a later one, to fine-tune them.

        Raises:
            ValueError: the file does not fit the configured network, or lacks a part of it.
        """
        stage, state = self.config.stage, checkpoints.read(path)
        needed = SAVED[max(1, stage - 1)]
        state = {name: value for name, value in split_attention(state).items() if name.split(".")[0] in SAVED[stage]}
        try:
            missing, superfluous = self.network.load_state_dict(state, strict=False)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"{path} does not fit [network]: {' '.join(str(error).split()[:40])}.") from error
        lacking = [name for name in missing if name.split(".")[0] in needed]
        if lacking or superfluous:
            wrong = ", ".join((lacking or superfluous)[:3])
            raise ValueError(f"{path} lacks parts of stage {max(1, stage - 1)} of this [network], or has others: see {wrong}.")
        if stage == 2 and not missing and self.config.codes_from is None:
            raise ValueError(
                f"{path} has a transformer, so its encoder has learnt to read degraded faces. Name the network.pth of stage 1, "
                "whose encoder gives a clear face's codes, as `codes_from`."
            )

    def _codes_from(self, path: Path, device: torch.device) -> None:
        """Load stage I's encoder, which gives a clear face's codes, with its codebook and generator."""
        frozen = CodeFormer(self.config.network)
        parts = nn.ModuleDict({name: getattr(frozen, name) for name in SAVED[1]})
        state = {name: value for name, value in checkpoints.read(path).items() if name.split(".")[0] in SAVED[1]}
        if problem := misfit(parts.state_dict(), state):
            raise ValueError(f"{path} does not fit [network]: {problem}. Give the file of stage 1 as `codes_from`.")
        parts.load_state_dict(state)
        self.encoder = frozen.encoder.to(device).eval().requires_grad_(False)
        for name in SAVED[1][1:]:
            getattr(self.network, name).load_state_dict(getattr(frozen, name).state_dict())

    def losses(self, batch: Batch, step: int) -> Losses:
        """The losses of a batch on the network's device."""
        return self._codebook(batch, step) if self.config.stage == 1 else self._codes(batch)

    def true_codes(self, clear: Tensor) -> Tensor:
        """Clear faces (N, 3, S, S) -> the codes (N, s * s) of stage I."""
        assert self.encoder is not None
        with torch.no_grad():
            return nearest(self.encoder(clear)[0], self.network.quantize.embedding.weight)

    def generate(self, network: CodeFormer, batch: Batch, step: int) -> Tensor:
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
        """Stage I: reconstruct the clear face from its nearest codes (VQGAN)."""
        weights = self.config.losses
        features = self.network.encode(batch.clear)[0].float()
        code = features.new_zeros(())
        parts: dict[str, Tensor] = {}
        x = features
        if step >= self.config.codebook.continuous:
            codes = nearest(features, self.network.quantize.embedding.weight)
            self.used += torch.bincount(codes.flatten(), minlength=len(self.used))
            quantised = self.network.quantize(codes, like=features)
            code = F.mse_loss(quantised, features.detach()) + weights.commitment * F.mse_loss(features, quantised.detach())
            parts["code"] = code
            x = features + (quantised - features).detach()  # straight-through estimator
        generated = self.network.generator(x).float()
        image = self._image_loss(generated, batch.clear, parts)
        return Losses(image, weights.code * code, parts, generated)

    def _codes(self, batch: Batch) -> Losses:
        """Stages II and III: predict the clear face's codes from the degraded one; III generates the face too, with w = 1."""
        weights, network = self.config.losses, self.network
        true = self.true_codes(batch.clear) if self.table is None else self.table[batch.faces, batch.mirrored.long()]
        with_fusion = self.config.stage == 3
        features, kept = network.encode(batch.degraded, keep=self.config.network.fuse_sides if with_fusion else ())
        logits = network.predict(features).float()  # (B, T, K)
        parts = {
            "token": F.cross_entropy(logits.flatten(0, 1), true.flatten()),
            "feature": F.mse_loss(features.float(), network.quantize(true, like=features.float()).detach()),
        }
        code = weights.code * (weights.token * parts["token"] + weights.feature * parts["feature"])
        with torch.no_grad():
            parts["agreement"] = (logits.argmax(dim=2) == true).float().mean()
        if not with_fusion:
            return Losses(code.new_zeros(()), code, parts, None)
        generated = network.decode(logits.argmax(dim=2), features, kept, 1.0, match_style=False).float()
        return Losses(self._image_loss(generated, batch.clear, parts), code, parts, generated)

    def _image_loss(self, generated: Tensor, clear: Tensor, parts: dict[str, Tensor]) -> Tensor:
        weights = self.config.losses
        parts["pixel"] = F.l1_loss(generated, clear)
        total = weights.pixel * parts["pixel"]
        if weights.structure:
            parts["structure"] = gradient_l1(generated, clear)
            total = total + weights.structure * parts["structure"]
        if self.perceptual is not None:
            parts["perceptual"] = self.perceptual(generated, clear)
            total = total + weights.perceptual * parts["perceptual"]
        return total

    @torch.no_grad()
    def update_codebook(self, step: int, sampler: Sampler, process: Process) -> bool:
        """Before a step of stage I: initialise the codebook by k-means at its first use; replace unused entries.

        Returns:
            Whether entries were replaced.
        """
        schedule, entries = self.config.codebook, self.network.quantize.embedding.weight
        age = step - schedule.continuous
        initial = schedule.continuous > 0 and age == 0
        if self.config.stage > 1 or not (initial or (schedule.revive and age > 0 and age % schedule.revive == 0)):
            return False
        rng = torch.Generator().manual_seed(self.config.seed + step)
        images = [sampler(step + offset).clear.to(entries.device) for offset in range(8 if initial else 1)]
        points = torch.cat([vectors(self.network.encode(image)[0]) for image in images])
        if initial:
            replaced = k_means(points.cpu(), len(entries), rng).to(entries)
        else:
            process.sum(self.used)
            chosen = points[torch.randint(len(points), (len(entries),), generator=rng).to(points.device)]
            replaced = torch.where(self.used[:, None] > 0, entries, chosen)
        process.broadcast(replaced)
        entries.copy_(replaced)
        self.used.zero_()
        return True

"""The state of a training run (networks, EMA, optimisers) and one optimisation step."""

import math
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..evaluation import metrics
from ..networks.codeformer import CodeFormer
from ..networks.precision import suited
from . import codes, distributed, saving
from .config import Config, Optimiser, TrainingFaces
from .dataset import Batch, Sampler, read_face, resize_face, split, to_tensor
from .losses import Discriminator, adaptive_weight
from .stages import SAVED, Stage

#: Betas of Adam (options/*.yml of the reference).
BETAS = (0.9, 0.99)

#: Faces that are encoded at once for the cached codes.
ENCODED = 8

#: Faces on a contact sheet, and held-out ones that are scored while training.
SHEET_FACES, VALIDATED = 8, 64


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The context of a forward pass; where a processor has to emulate bfloat16, it is tens of times slower."""
    bf16 = precision == "bf16" or (precision == "auto" and suited("auto", device) != "exact")
    return torch.autocast(device.type, torch.bfloat16, enabled=bf16)


class Run:
    """The state of a training run.

    Args:
        config: its settings.
        process: this process of a distributed run.
    """

    def __init__(self, config: Config, process: distributed.Process) -> None:
        self.config, self.process, self.step = config, process, 0
        #: Settings that must not change when a run is resumed.
        self.identity = f"stage {config.stage}, seed {config.seed}, batch {config.optimiser.batch}, {config.network}"
        torch.manual_seed(config.seed)
        if config.threads:
            torch.set_num_threads(config.threads)
        self.stage = Stage(config, process.device)
        self.autocast = autocast(config.optimiser.precision, process.device)
        self.ema = ema_of(self.stage.network, config.optimiser.average)
        self.averaged = cast(CodeFormer, self.ema.module)
        adam = partial(torch.optim.AdamW, lr=config.optimiser.rate, betas=BETAS, weight_decay=config.optimiser.decay)
        self.optimiser = adam([parameter for parameter in self.stage.network.parameters() if parameter.requires_grad])
        self.discriminator = self.discriminator_optimiser = None
        if config.losses.adversarial and config.stage != 2:
            self.discriminator = Discriminator(config.network.side).to(process.device)
            self.discriminator_optimiser = adam(self.discriminator.parameters())
        #: What has a state dict, by its key in the state file.
        self.parts = {
            "network": self.stage.network,
            "average": self.averaged,
            "optimiser": self.optimiser,
            "discriminator": self.discriminator,
            "critic": self.discriminator_optimiser,
        }
        files, self.held_out = split(config.faces.folder, config.faces.hold_out)
        if not files:
            raise ValueError(f"hold_out = {config.faces.hold_out} leaves no face to train with: add faces, or raise hold_out.")
        settings = (config.faces, config.degradation, config.network.side)
        self.sampler = Sampler(files, *settings, config.optimiser.batch, config.seed, process.rank, process.world)
        if config.stage > 1 and not (config.faces.shift or config.faces.zoom or config.faces.colour):
            self.stage.table = self._table(files)

    def state(self) -> dict[str, Any]:
        """What `resume` needs; the keys are a file format."""
        parts = {name: part.state_dict() if part else None for name, part in self.parts.items()}
        return {"same": self.identity, "step": self.step, "used": self.stage.used, "held_out": self._held_names()} | parts

    def resume(self, state: dict[str, Any]) -> None:
        """Continue from a `state`. A discriminator that it lacks, since the run had no adversarial loss then, begins anew.

        Raises:
            ValueError: it belongs to another run, or to one that held other faces out: it may have been trained on some of
                those that it would be evaluated on now.
        """
        if (same := state.get("same", "of another kind")) != self.identity:
            raise ValueError(
                f"{self.config.out} holds another run ({same}); this one is {self.identity}. Choose another `out`."
            )
        held_out = set(state.get("held_out", self._held_names()))  # version 0.1.0 did not keep them
        if others := [name for name in self._held_names() if name not in held_out]:
            raise ValueError(
                f"{self.config.out} held other faces out; now it would be evaluated on {len(others)} that it may have been "
                f"trained on, such as {others[0]}. Keep hold_out and the files of the folder, say hold_out = 0, or choose "
                "another `out`."
            )
        self.step = state["step"]
        self.ema.n_averaged.fill_(self.step + 1)
        if self.process.is_main:
            self.stage.used.copy_(state["used"])
        for name, part in self.parts.items():
            if part and state[name]:
                part.load_state_dict(state[name])

    def _held_names(self) -> list[str]:
        return [file.name for file in self.held_out]

    def _table(self, files: list[Path]) -> Tensor:
        """The true codes of the faces and their mirror images, (F, 2, T), cached in a file; each process encodes its share."""
        process, side = self.process, self.config.network.side
        cache, encoder = self.config.out / "codes.pt", self.stage.encoder
        assert encoder is not None  # stages II and III have one
        entries = self.stage.network.quantize.embedding.weight
        key = codes.fingerprint(files, side, [*encoder.state_dict().values(), entries]) if process.is_main else ""
        table = torch.zeros(len(files), 2, self.config.network.code_side**2, dtype=torch.long, device=process.device)
        stored = saving.load(cache) if process.is_main else None
        valid = process.any(stored is not None and stored.get("of") == key)
        if stored is not None and valid:
            table.copy_(stored["codes"])
        share = [] if valid else list(range(process.rank, len(files), process.world))
        for rows in (share[first : first + ENCODED] for first in range(0, len(share), ENCODED)):
            clear = to_tensor([resize_face(read_face(files[row]), side) for row in rows]).to(process.device)
            table[rows] = torch.stack([self.stage.true_codes(clear), self.stage.true_codes(clear.flip(3))], dim=1)
        process.sum(table)
        if process.is_main and not valid:
            saving.save({"of": key, "codes": table}, cache)
        return table

    def learn(self, batch: Batch) -> dict[str, float]:
        """One optimisation step; returns the losses before it."""
        config, network = self.config, self.stage.network
        if self.stage.update_codebook(self.step, self.sampler, self.process):
            # replaced entries are not averaged with their former values
            self.averaged.quantize.embedding.weight.data.copy_(network.quantize.embedding.weight)
        batch = Batch(*(part.to(self.process.device) for part in batch))
        discriminator = self.discriminator if self.step >= config.losses.adversarial_from else None
        with self.autocast:
            losses = self.stage.losses(batch, self.step)
            parts, generated = dict(losses.parts), losses.generated
            total = losses.image + losses.code
            if discriminator and generated is not None:
                total = total + self._adversarial(discriminator, losses.image, generated, parts)
        self._optimise(total, self.optimiser)
        self.ema.update_parameters(network)
        if discriminator and self.discriminator_optimiser and generated is not None:
            with self.autocast:
                parts["discriminator"] = discriminator.hinge_loss(batch.clear, generated.detach())
            self._optimise(parts["discriminator"], self.discriminator_optimiser)
        self.step += 1
        return {"loss": total.item()} | {name: value.item() for name, value in parts.items()}

    def _adversarial(
        self, discriminator: Discriminator, image_loss: Tensor, generated: Tensor, parts: dict[str, Tensor]
    ) -> Tensor:
        discriminator.requires_grad_(False)
        parts["adversarial"] = -discriminator(generated).float().mean()
        discriminator.requires_grad_(True)
        last = self.stage.network.generator.blocks[-1].weight
        # In stage III the generator is frozen, so the gradients are compared at the image itself.
        last = last if isinstance(last, Tensor) and last.requires_grad else generated
        return self.config.losses.adversarial * adaptive_weight(image_loss, parts["adversarial"], last) * parts["adversarial"]

    def _optimise(self, loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
        (group,) = optimiser.param_groups
        group["lr"], parameters = rate(self.step, self.config.optimiser), group["params"]
        optimiser.zero_grad()
        loss.backward()
        for parameter in parameters:  # before the first quantisation the codebook has no gradient
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.process.average_gradients([parameter.grad for parameter in parameters])
        torch.nn.utils.clip_grad_norm_(parameters, self.config.optimiser.clip)
        optimiser.step()

    def save(self) -> None:
        """Write the training state and the network for inference."""
        self.process.sum(self.stage.used)
        if not self.process.is_main:  # the main process keeps the sum, as it does after resuming
            self.stage.used.zero_()
        else:
            saving.save(self.state(), self.config.out / "state.pt")
            saving.save_network(self.averaged.state_dict(), SAVED[self.config.stage], self.config.out / "network.pth")

    def sheet(self) -> None:
        """Write a contact sheet of held-out faces (or training faces): clear, degraded, generated with the EMA weights."""
        if not self.process.is_main:
            return
        batch, generated = self._generated((self.held_out or self.sampler.files)[:SHEET_FACES])
        rows = [batch.clear, generated] if self.config.stage == 1 else [batch.clear, batch.degraded, generated]
        saving.save_sheet(rows, self.config.out / "sheets" / f"{self.step:07d}.png")

    def validate(self) -> dict[str, float]:
        """Mean scores of held-out faces that the EMA weights generate; of stages II and III also the share of true codes.

        Nothing without held-out faces, or without torchmetrics.
        """
        files, sums = self.held_out[:VALIDATED], defaultdict[str, float](float)
        try:
            for first in range(0, len(files), ENCODED):
                batch, generated = self._generated(files[first : first + ENCODED])
                images, clear = ((x.float().clamp(-1, 1) + 1) / 2 for x in (generated, batch.clear))
                sums["validation PSNR"] += float(metrics.psnr(images, clear).sum())
                sums["validation SSIM"] += float(metrics.ssim(images, clear).sum())
                if self.config.stage > 1:
                    with torch.no_grad(), self.autocast:
                        predicted = self.averaged.predict(self.averaged.encode(batch.degraded)[0]).argmax(dim=2)
                    right = (predicted == self.stage.true_codes(batch.clear)).float().mean(dim=1)
                    sums["validation agreement"] += float(right.sum())
        except metrics.Unavailable:
            return {}
        return {name: value / len(files) for name, value in sums.items()}

    def _generated(self, files: list[Path]) -> tuple[Batch, Tensor]:
        """Faces without augmentation, degraded always alike, and what the EMA weights make of them."""
        config = self.config
        settings = (TrainingFaces(config.faces.folder), config.degradation, config.network.side)
        batch = Sampler(files, *settings, len(files), seed=0)(0)
        batch = Batch(*(part.to(self.process.device) for part in batch))
        with self.autocast:
            return batch, self.stage.generate(self.averaged, batch, self.step)


def ema_of(network: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of a network's parameters.

    The decay warms up, min(decay, (1 + step) / (10 + step)), so that the initial weights are soon forgotten.
    """

    def update(averages: Any, currents: Any, count: Any) -> None:  # count = 1 + step, since the initial weights are counted
        get_ema_multi_avg_fn(min(decay, int(count) / (9 + int(count))))(averages, currents, count)

    ema = AveragedModel(network, multi_avg_fn=update)
    ema.n_averaged.fill_(1)
    return ema


def rate(step: int, settings: Optimiser) -> float:
    """Learning rate of a step: linear warm-up, then cosine annealing to the last rate."""
    if step < settings.warm_up:
        return settings.rate * (step + 1) / settings.warm_up
    done = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    return settings.last_rate + (settings.rate - settings.last_rate) * (1 + math.cos(math.pi * min(1.0, done))) / 2

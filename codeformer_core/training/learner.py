"""The state of a training run (networks, EMA, optimisers) and one optimisation step."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..networks.codeformer import CodeFormer
from . import codes, distributed, saving
from .config import Config, Faces, Optimiser
from .dataset import Batch, Sampler, split
from .losses import Discriminator, adaptive_weight
from .stages import Stage

#: Betas of Adam (options/*.yml of the reference).
BETAS = (0.9, 0.99)

#: Faces on a contact sheet.
SHOWN = 8


class Run:
    """Everything that changes from step to step.

    Args:
        config: what the run is told.
        process: which of several processes this is.
    """

    def __init__(self, config: Config, process: distributed.Process) -> None:
        self.config, self.process = config, process
        self.step = 0
        torch.manual_seed(config.seed)
        if config.threads:
            torch.set_num_threads(config.threads)
        self.stage = Stage(config, process.device)
        self.ema = ema_of(self.stage.network, config.optimiser.average)
        self.optimiser = _adam(self.stage.parameters, config.optimiser)
        self.discriminator = self.critic = None
        if config.losses.adversarial and config.stage != 2:
            self.discriminator = Discriminator(config.network.side).to(process.device)
            self.critic = _adam(list(self.discriminator.parameters()), config.optimiser)
        files, self.held = split(config.faces.folder, config.faces.hold_out)
        settings = (config.faces, config.degradation, config.network.side)
        self.sampler = Sampler(files, *settings, config.optimiser.batch, config.seed, process.rank, process.world)
        if config.stage > 1 and not (config.faces.shift or config.faces.zoom or config.faces.colour):
            self.stage.table = self._table(files)

    @property
    def averaged(self) -> CodeFormer:
        """The network with the EMA weights."""
        assert isinstance(self.ema.module, CodeFormer)
        return self.ema.module

    def state(self) -> dict[str, Any]:
        """What `resume` needs; the keys are a file format."""
        return {
            "same": _same(self.config),
            "step": self.step,
            "network": self.stage.network.state_dict(),
            "average": self.averaged.state_dict(),
            "used": self.stage.used,
            "optimiser": self.optimiser.state_dict(),
            "discriminator": self.discriminator.state_dict() if self.discriminator else None,
            "critic": self.critic.state_dict() if self.critic else None,
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken.

        Raises:
            ValueError: it is another run's.
        """
        if state["same"] != _same(self.config):
            raise ValueError(
                f"{self.config.out} holds another run ({state['same']}); this one is {_same(self.config)}. "
                "Choose another `out`."
            )
        self.step = state["step"]
        self.stage.network.load_state_dict(state["network"])
        if self.process.is_main:
            self.stage.used.copy_(state["used"])
        self.averaged.load_state_dict(state["average"])
        self.ema.n_averaged.fill_(self.step + 1)
        self.optimiser.load_state_dict(state["optimiser"])
        if self.discriminator and self.critic:
            self.discriminator.load_state_dict(state["discriminator"])
            self.critic.load_state_dict(state["critic"])

    def _table(self, files: list[Path]) -> Tensor:
        """The true codes of all faces, kept beside the state of the run; every process looks up its share."""
        process, side = self.process, self.config.network.side
        kept, encoder = self.config.out / "codes.pt", self.stage.encoder
        assert encoder is not None  # stages II and III have one
        entries = self.stage.network.quantize.embedding.weight
        of = codes.origin(files, side, [*encoder.state_dict().values(), entries]) if process.is_main else ""
        found = torch.zeros(len(files), 2, self.config.network.code_side**2, dtype=torch.long, device=process.device)
        stored = saving.load(kept, process.device) if process.is_main else None
        known = process.any(stored is not None and stored.get("of") == of)
        if stored is not None and known:
            found.copy_(stored["codes"])
        elif not known and (mine := files[process.rank :: process.world]):
            found[process.rank :: process.world] = codes.table(
                mine, side, lambda clear: self.stage.true_codes(clear.to(process.device))
            )
        process.sum(found)
        if process.is_main and not known:
            saving.save({"of": of, "codes": found}, kept)
        return found

    def learn(self, batch: Batch) -> dict[str, float]:
        """One optimisation step; returns the losses before it."""
        config, network = self.config, self.stage.network
        if self.stage.place_entries(self.step, self.sampler, self.process):
            self.averaged.quantize.embedding.weight.data.copy_(
                network.quantize.embedding.weight
            )  # not averaged with old places
        batch = Batch(*(part.to(self.process.device) for part in batch))
        for optimiser in filter(None, (self.optimiser, self.critic)):
            for group in optimiser.param_groups:
                group["lr"] = rate(self.step, config.optimiser)
        judged = self.discriminator is not None and self.step >= config.losses.adversarial_from
        with self._precision():
            losses = self.stage.losses(batch, self.step)
            parts = dict(losses.parts)
            total = losses.picture + losses.code
            if judged and self.discriminator and losses.drawn is not None:
                total = total + self._adversarial(self.discriminator, losses.picture, losses.drawn, parts)
        self._optimise(total, self.optimiser)
        self.ema.update_parameters(network)
        if judged and self.discriminator and self.critic and losses.drawn is not None:
            with self._precision():
                parts["discriminator"] = self.discriminator.hinge_loss(batch.clear, losses.drawn.detach())
            self._optimise(parts["discriminator"], self.critic)
        self.step += 1
        return {"loss": total.item()} | {name: value.item() for name, value in parts.items()}

    def _adversarial(self, judge: Discriminator, picture: Tensor, drawn: Tensor, parts: dict[str, Tensor]) -> Tensor:
        judge.requires_grad_(False)
        parts["adversarial"] = -judge(drawn).float().mean()
        judge.requires_grad_(True)
        last = self.stage.network.generator.blocks[-1].weight
        # In stage III the generator is frozen, and the balance is found at the picture itself.
        last = last if isinstance(last, Tensor) and last.requires_grad else drawn
        return self.config.losses.adversarial * adaptive_weight(picture, parts["adversarial"], last) * parts["adversarial"]

    def _optimise(self, loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for parameter in parameters:  # before the first quantisation the codebook has no gradient
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.process.average_gradients(parameter.grad for parameter in parameters)
        torch.nn.utils.clip_grad_norm_(parameters, self.config.optimiser.clip)
        optimiser.step()

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.process.device.type, torch.bfloat16, enabled=self.config.optimiser.precision == "bf16")

    def save(self) -> None:
        """Write the training state and the network for inference."""
        self.process.sum(self.stage.used)
        if not self.process.is_main:  # who saves counts for all from here on, as it will after going on
            self.stage.used.zero_()
        else:
            saving.save(self.state(), self.config.out / "state.pt")
            saving.save_network(self.stage.saved(self.averaged.state_dict()), self.config.out / "network.pth")

    def sheet(self) -> None:
        """Write a contact sheet of held-out faces (or training faces): clear, degraded, generated with the EMA weights."""
        if not self.process.is_main:
            return
        config = self.config
        files = (self.held or self.sampler.files)[:SHOWN]
        as_they_are = Faces(config.faces.folder)
        batch = Sampler(files, as_they_are, config.degradation, config.network.side, len(files), seed=0)(0)
        batch = Batch(*(part.to(self.process.device) for part in batch))
        with self._precision():
            drawn = self.stage.draw(self.averaged, batch, self.step)
        rows = [batch.clear, drawn] if config.stage == 1 else [batch.clear, batch.degraded, drawn]
        saving.save_sheet(rows, config.out / "sheets" / f"{self.step:07d}.png")


def ema_of(network: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of a network's parameters.

    The decay warms up, min(decay, (1 + step) / (10 + step)), so that the initial weights are soon forgotten.
    """

    def update(averages: Any, currents: Any, count: Any) -> None:  # count = 1 + step, since the initial weights are counted
        get_ema_multi_avg_fn(min(decay, int(count) / (9 + int(count))))(averages, currents, count)

    ema = AveragedModel(network, multi_avg_fn=update)
    ema.n_averaged.fill_(1)
    return ema


def rate(step: int, how: Optimiser) -> float:
    """The learning rate of a step: a warm-up, then half a cosine down to the last rate."""
    if step < how.warm_up:
        return how.rate * (step + 1) / how.warm_up
    done = (step - how.warm_up) / max(1, how.steps - how.warm_up)
    return how.last_rate + (how.rate - how.last_rate) * (1 + math.cos(math.pi * min(1.0, done))) / 2


def _adam(parameters: list[torch.nn.Parameter], how: Optimiser) -> torch.optim.AdamW:
    return torch.optim.AdamW(parameters, how.rate, BETAS, weight_decay=how.decay)


def _same(config: Config) -> str:
    """What must not change when a run goes on."""
    return f"stage {config.stage}, seed {config.seed}, batch {config.optimiser.batch}, {config.network}"

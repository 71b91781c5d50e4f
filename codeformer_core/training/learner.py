"""What changes from step to step of a run, and one step."""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import codes, parallel, saving, sheets
from .average import Average
from .config import Config, Faces, Optimiser
from .dataset import Batch, Sampler, split
from .discriminator import Discriminator
from .losses import adaptive_weight
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

    def __init__(self, config: Config, process: parallel.Process) -> None:
        self.config, self.process = config, process
        self.step = 0
        torch.manual_seed(config.seed)
        if config.threads:
            torch.set_num_threads(config.threads)
        self.stage = Stage(config, process.device)
        self.average = Average(self.stage.network, config.optimiser.average)
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

    def state(self) -> dict[str, Any]:
        """All that `resume` needs."""
        return {
            "same": _same(self.config),
            "step": self.step,
            "network": self.stage.network.state_dict(),
            "average": self.average.parameters,
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
        if self.process.leads:
            self.stage.used.copy_(state["used"])
        for name, value in state["average"].items():
            self.average.parameters[name].copy_(value)
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
        of = codes.origin(files, side, [*encoder.state_dict().values(), entries]) if process.leads else ""
        found = torch.zeros(len(files), 2, self.config.network.code_side**2, dtype=torch.long, device=process.device)
        stored = saving.resume(kept, process.device) if process.leads else None
        known = process.any(stored is not None and stored.get("of") == of)
        if stored is not None and known:
            found.copy_(stored["codes"])
        elif not known and (mine := files[process.rank :: process.world]):
            found[process.rank :: process.world] = codes.table(
                mine, side, lambda clear: self.stage.true_codes(clear.to(process.device))
            )
        process.sum(found)
        if process.leads and not known:
            saving.replace({"of": of, "codes": found}, kept)
        return found

    def learn(self, batch: Batch) -> dict[str, float]:
        """One step; the losses before it."""
        config, network = self.config, self.stage.network
        if self.stage.place_entries(self.step, self.sampler, self.process):
            self.average.follow("quantize.embedding.weight", network.quantize.embedding.weight)
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
        self._move(total, self.optimiser)
        self.average.update(network, self.step)
        if judged and self.discriminator and self.critic and losses.drawn is not None:
            with self._precision():
                parts["discriminator"] = self.discriminator.judge(batch.clear, losses.drawn.detach())
            self._move(parts["discriminator"], self.critic)
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

    def _move(self, loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for parameter in parameters:  # before the first quantisation the codebook has no gradient
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self.process.average(parameter.grad for parameter in parameters)
        torch.nn.utils.clip_grad_norm_(parameters, self.config.optimiser.clip)
        optimiser.step()

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.process.device.type, torch.bfloat16, enabled=self.config.optimiser.precision == "bf16")

    def save(self) -> None:
        """The state, and the network for others."""
        self.process.sum(self.stage.used)
        if not self.process.leads:  # who saves counts for all from here on, as it will after going on
            self.stage.used.zero_()
        else:
            saving.replace(self.state(), self.config.out / "state.pt")
            saving.network(self.stage.saved(self.average.parameters), self.config.out / "network.pth")

    def sheet(self) -> None:
        """Faces that were held out (or, without such, learnt from): clear, degraded, drawn by the averaged weights."""
        if not self.process.leads:
            return
        config = self.config
        files = (self.held or self.sampler.files)[:SHOWN]
        as_they_are = Faces(config.faces.folder)
        batch = Sampler(files, as_they_are, config.degradation, config.network.side, len(files), seed=0)(0)
        batch = Batch(*(part.to(self.process.device) for part in batch))
        network = self.stage.network
        now = {name: value.detach().clone() for name, value in network.named_parameters()}
        network.load_state_dict(self.average.parameters)
        with self._precision():
            drawn = self.stage.draw(batch, self.step)
        network.load_state_dict(now)
        rows = [batch.clear, drawn] if config.stage == 1 else [batch.clear, batch.degraded, drawn]
        sheets.write(rows, config.out / "sheets" / f"{self.step:07d}.png")


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

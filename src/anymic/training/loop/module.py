"""The classifier as PyTorch Lightning trains it."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from anymic._internal.optional import extra
from anymic.features import Frontend
from anymic.models import Segment
from anymic.models.tagger import Standardization
from anymic.training.config import TrainingConfig
from anymic.training.loop.batches import Batch
from anymic.training.loop.losses import SoftTargetLoss, divergence

with extra("train"):
    import pytorch_lightning as lightning
    from torchmetrics.classification import MultilabelAveragePrecision

STEPS = 200  # thresholds of the average precision during training, which is approximate
SMALLEST_RISE = 1e-3  # of the accuracy, for the plateau schedule: Kosmider 2019, section 4


class TrainedClassifier(lightning.LightningModule):
    """A network, what prepares its input, and its loss.

    Of `frontend` only `maps` is used, which makes the network's input of stored features. Without
    validation clips (`validated`) the schedule watches the training. The `frozen` segments are not
    trained and stay in inference mode: their running statistics do not change, and they have no
    dropout. With `lines` it prints a line an epoch on stderr.
    """

    fill: Tensor  # (channel, band, 1): replaces the masked values of the network's input

    def __init__(
        self,
        network: nn.Module,
        frontend: Frontend | Standardization,
        config: TrainingConfig,
        *,
        fill: Tensor,
        validated: bool,
        frozen: Sequence[Segment] = (),
        lines: bool = False,
    ) -> None:
        super().__init__()
        self.frozen = [part for segment in frozen for part in segment.modules]
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.frontend = frontend.requires_grad_(False)
        self.config = config
        self.register_buffer("fill", fill, persistent=False)
        self.measure = measure_of(config)
        self.watched = f"{'validation' if validated else 'training'}_{self.measure}"
        self.loss = SoftTargetLoss(
            config.loss,
            focal_power=config.focal_power,
            temperature=config.temperature,
            several=config.several,
        )
        self.precisions: MultilabelAveragePrecision | None = None  # one for each label
        self.totals, self.lines = torch.zeros(3), lines
        self.started = False  # True after a checkpoint to resume from has been restored
        for part in self.frozen:
            part.requires_grad_(False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save what a resumed run needs: torch's generator, which dropout draws from; its threads.

        The last digits of a result depend on the number of threads.
        """
        checkpoint["torch_generator"] = torch.get_rng_state()
        checkpoint["threads"] = torch.get_num_threads()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the generator, so that a resumed run draws what a run without a break draws."""
        if "torch_generator" in checkpoint:
            torch.set_rng_state(checkpoint["torch_generator"])
        self._stop_below(checkpoint["optimizer_states"][0]["param_groups"][0]["lr"])

    def train(self, mode: bool = True) -> TrainedClassifier:
        """Set the mode of all parts but the frozen ones, which stay in inference mode."""
        super().train(mode)
        for part in self.frozen:
            part.eval()
        return self

    def forward(self, batch: Batch) -> Tensor:
        """Return logits (clip, class) of a batch, warped and masked as it says."""
        features = self.frontend.maps(batch.features)
        if batch.time_warp is not None:
            features = batch.time_warp.apply(features)
        if batch.masks is not None:
            features = batch.masks.apply(features, self.fill)
        maps = features.contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.network(maps)
        return logits

    def _step(self, batch: Batch) -> Tensor:
        """Return the loss of this process's clips; add to the counts of the epoch."""
        with _exact(batch.features):
            logits = self(batch)
            others = None
            if batch.other is not None:
                others = self(batch._replace(features=batch.other))
        loss: Tensor = self.loss(logits, batch.targets)
        if others is not None and self.config.codecs is not None:
            loss = loss + self.config.codecs.consistency_weight * divergence(
                logits, others, temperature=self.config.temperature, several=self.config.several
            )
        clips = len(batch.targets)
        with torch.no_grad():
            correct = self._count(logits.float(), batch.targets)
            step = torch.stack([correct, loss.float() * clips, loss.new_tensor(clips)])
            self.totals = self.totals.to(step.device) + step
        return loss

    def _count(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the number of clips that are classified correctly; 0 with several labels.

        Then the scores are added to those of the epoch instead.
        """
        if not self.config.several:
            return (logits.argmax(dim=1) == targets.argmax(dim=1)).sum().float()
        if self.precisions is None:
            self.precisions = MultilabelAveragePrecision(
                targets.shape[1], average=None, thresholds=STEPS
            ).to(logits.device)
        self.precisions.update(logits.sigmoid(), (targets >= 0.5).long())  # mixed clips: the larger
        return logits.new_zeros(())

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss, weighted so that the mean over processes is that of the batch."""
        share = len(batch.targets) * self.trainer.world_size / batch.clips
        return self._step(batch) * share

    def validation_step(self, batch: Batch, _: int) -> None:
        """Add to the counts of the validation."""
        self._step(batch)

    def on_train_start(self) -> None:
        """Record that restoring has ended."""
        self.started = True

    def on_train_epoch_start(self) -> None:
        """Reset the counts."""
        self.totals = torch.zeros(3)

    def on_validation_epoch_start(self) -> None:
        """Log the training epoch and reset the counts."""
        self._report("training")

    def on_validation_epoch_end(self) -> None:
        """Log the validation and reset the counts."""
        self._report("validation")

    def on_train_epoch_end(self) -> None:
        """Log the training epoch where there is no validation, and print a line."""
        if self.watched.startswith("training"):
            self._report("training")
        if self.lines and self.trainer.is_global_zero:
            found = self.trainer.callback_metrics
            parts = [
                f"{part} loss {found[f'{part}_loss']:.4f}, {self.measure.replace('_', ' ')}"
                f" {found[f'{part}_{self.measure}']:.3f}"
                for part in ("training", "validation")
                if f"{part}_loss" in found
            ]
            number = f"epoch {self.current_epoch + 1} of {self.config.epochs}"
            print(f"{number}: {'; '.join(parts)}", file=sys.stderr, flush=True)

    def _report(self, part: str) -> None:
        totals = self.trainer.strategy.reduce(self.totals.to(self.device), reduce_op="sum")
        assert isinstance(totals, Tensor)
        correct, loss, clips = totals.tolist()
        share = correct / clips
        if self.precisions is not None:
            each = self.precisions.compute()
            self.precisions.reset()
            share = float(each.nanmean().nan_to_num())  # labels without a clip count for nothing
        values = {f"{part}_{self.measure}": share, f"{part}_loss": loss / clips}
        self.log_dict(values, prog_bar=True, rank_zero_only=False)
        self.totals = torch.zeros(3)
        if self.watched in values and self.config.schedule == "plateau":
            schedule = self.lr_schedulers()
            assert isinstance(schedule, torch.optim.lr_scheduler.ReduceLROnPlateau)
            schedule.step(torch.tensor(share))  # float32, as the log has it
            self._stop_below(float(schedule.get_last_lr()[0]))

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step the schedule, but for "plateau": `_report` does, before a checkpoint is written.

        The trainer does after it, and a run that is resumed would have one step less.
        """
        if self.config.schedule != "plateau":
            super().lr_scheduler_step(scheduler, metric)

    def _stop_below(self, rate: float) -> None:
        """End the training after this epoch if "plateau" has reduced the learning rate so far."""
        if self.config.schedule == "plateau" and rate < self.config.stop_below:
            self.trainer.should_stop = True

    def configure_optimizers(self) -> Any:
        """Adadelta (Zeiler 2012), Adam or SGD, L2 on weights that multiply, and the schedule."""
        config = self.config
        trained = [value for value in self.network.parameters() if value.requires_grad]
        kernels = [value for value in trained if value.ndim > 1]
        others = [value for value in trained if value.ndim <= 1]
        # The gradient of l2 * sum(w**2) is 2 * l2 * w, and weight_decay is what multiplies w.
        groups = [
            {"params": kernels, "weight_decay": 2 * config.l2},
            {"params": others, "weight_decay": 0.0},
        ]
        optimizer: torch.optim.Optimizer
        if config.optimizer == "sgd":
            optimizer = torch.optim.SGD(groups, lr=config.learning_rate, momentum=config.momentum)
        elif config.optimizer == "adam":
            betas = (config.momentum, 0.999)
            optimizer = torch.optim.Adam(groups, lr=config.learning_rate, betas=betas)
        else:
            optimizer = torch.optim.Adadelta(
                groups, lr=config.learning_rate, rho=config.rho, eps=config.epsilon
            )
        return {"optimizer": optimizer, "lr_scheduler": self._schedule(optimizer)}

    def _schedule(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        config, schedulers = self.config, torch.optim.lr_scheduler
        if config.schedule == "cosine":
            return {"scheduler": schedulers.CosineAnnealingLR(optimizer, config.epochs)}
        if config.schedule == "plateau":
            plateau = schedulers.ReduceLROnPlateau(
                optimizer,
                mode="max",
                factor=config.plateau_factor,
                patience=config.plateau_patience - 1,  # PyTorch's is the number that it tolerates
                threshold=SMALLEST_RISE,
                threshold_mode="abs",
            )
            return {"scheduler": plateau, "monitor": self.watched}
        steps = self.trainer.estimated_stepping_batches / config.epochs  # in an epoch
        highest, lowest = config.learning_rate, config.lowest_learning_rate

        def factor(step: int) -> float:
            rate = warm_restarts(
                step / steps, restarts=config.restarts, highest=highest, lowest=lowest
            )
            return rate / highest

        return {"scheduler": schedulers.LambdaLR(optimizer, factor), "interval": "step"}


def measure_of(config: TrainingConfig) -> str:
    """Return the name of what is measured in each epoch beside the loss."""
    return "mean_average_precision" if config.several else "accuracy"


def warm_restarts(epoch: float, *, restarts: Sequence[int], highest: float, lowest: float) -> float:
    """Return the learning rate at a moment of cosine decay with warm restarts.

    Between two restarts it falls along half a cosine from `highest` to `lowest` (Loshchilov 2017,
    equation 5; the epochs of Hu 2020). After the last restart it stays at `lowest`. `epoch` is the
    number of epochs since the start, including the fraction of the current one.
    """
    begin = max((end for end in restarts if end <= epoch), default=0)
    end = next((end for end in restarts if end > epoch), None)
    if end is None:
        return lowest
    share = (epoch - begin) / (end - begin)
    return lowest + (highest - lowest) * (1 + math.cos(math.pi * share)) / 2


def _exact(features: Tensor) -> AbstractContextManager[object]:
    """Switch to float32 for the batches whose bfloat16 gradients are wrong on a CPU.

    With several threads and an odd number of clips, oneDNN's bfloat16 gradient of the weights of a
    channels-last convolution reads uninitialized memory (seen with PyTorch 2.13 and AMX): the
    gradient is then sometimes NaN. float32 has no such fault.
    """
    faulty = features.device.type == "cpu" and len(features) % 2 and torch.get_num_threads() > 1
    return torch.autocast("cpu", enabled=False) if faulty else nullcontext()

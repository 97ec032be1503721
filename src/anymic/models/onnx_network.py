"""Any embedding network as an ONNX model of waveforms, run by onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from anymic._internal.onnx_session import open_session
from anymic.errors import AnymicError, ConfigError, counted
from anymic.models.network import Network, Segment
from anymic.models.registry import register_network

SMALLEST = 1e-7  # the least probability, of which the logit is finite


class OnnxFile(nn.Module):
    """The content of an ONNX file; it is saved with the weights of a bundle, and verified as these.

    Parameters
    ----------
    size : int
        Bytes of the file.
    input, output : str
        The names of the input and the output.
    """

    content: Tensor

    def __init__(self, size: int, *, input: str, output: str) -> None:
        super().__init__()
        self.input, self.output = input, output
        self.register_buffer("content", torch.zeros(size, dtype=torch.uint8))
        self._session: Any = None
        self.register_load_state_dict_post_hook(_reopen)  # type: ignore[no-untyped-call]

    def __getstate__(self) -> dict[str, Any]:
        """Leave the session out, which cannot be copied."""
        return {**self.__dict__, "_session": None}

    @property
    def session(self) -> Any:
        """The session of onnxruntime, opened at first use."""
        if self._session is None:
            content = self.content.cpu().numpy().tobytes()
            threads = torch.get_num_threads()
            try:
                self._session = open_session(Path("model.onnx"), content, threads=threads)
            except AnymicError:
                raise
            except Exception as error:  # the errors of onnxruntime have no common base class
                raise ConfigError(
                    f"the ONNX model cannot be opened ({_reason(error)})",
                    expected="an ONNX model",
                    fix="import it again",
                ) from error
        return self._session

    @property
    def shape(self) -> list[Any]:
        """The axes of the input: (sample,), (batch, sample) or (batch, 1, sample)."""
        own = [one for one in self.session.get_inputs() if one.name == self.input]
        return list(own[0].shape)

    def forward(self, waves: NDArray[np.float32], output: str = "") -> list[NDArray[Any]]:
        """Return an output for waveforms (batch, sample), in one call or in one for each."""
        axes = self.shape
        batches = [wave.reshape(*[1] * (len(axes) - 1), -1) for wave in waves]
        if len(axes) > 1 and not isinstance(axes[0], int):
            batches = [waves.reshape(len(waves), *[1] * (len(axes) - 2), -1)]
        wanted = [output or self.output]
        return [np.asarray(self.session.run(wanted, {self.input: own})[0]) for own in batches]


@register_network("onnx", embeds=True, without_labels=True)
class OnnxNetwork(Network):
    """An embedding of windows of sound that an ONNX model computes; its weights do not change.

    Its features are waveforms (batch, 1, 1, sample): those of a front-end with the setting
    `features: waveform`. `anymic.importers.onnx.import_onnx` builds it from a file.

    Parameters
    ----------
    classes : int
        Number of labels; a network for 0 labels ends at the embedding (batch, embedding).
    size, input, output
        As for `OnnxFile`.
    embedding : int
        Size of the embedding.
    window_samples, hop_samples : int
        Length of a window, and distance between the starts of two.
    scores : str
        The output with the probability of each label, (batch, label), where the model has labels of
        its own; else the labels have a dense layer after the embedding.
    exclusive : bool
        Whether the probabilities of a window sum to 1.

    Attributes
    ----------
    patch, patch_hop
        As of a `NetworkSpec`.
    """

    channels, smallest_input = 1, 1

    def __init__(
        self,
        *,
        classes: int,
        size: int,
        input: str,
        output: str,
        embedding: int,
        window_samples: int,
        hop_samples: int,
        scores: str = "",
        exclusive: bool = False,
    ) -> None:
        super().__init__()
        if min(size, embedding, window_samples, hop_samples) < 1 or classes < 0:
            raise ConfigError(
                f"the ONNX model has {size} bytes, and embeds {window_samples} samples every "
                f"{hop_samples} in {embedding} numbers",
                expected="positive sizes",
            )
        self.file = OnnxFile(size, input=input, output=output)
        self.embedding_size = embedding
        self.patch, self.patch_hop = (1, window_samples), hop_samples
        self.classes, self.scores, self.exclusive = classes, scores, exclusive
        dense = classes and not scores
        self.classifier = nn.Linear(embedding, classes) if dense else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (batch, class): of the model's own probabilities, if it has labels."""
        if not (self.scores and self.classes):
            return super().forward(features)
        p = self._run(features, self.scores, self.classes).clamp(SMALLEST, 1 - SMALLEST)
        return p.log() if self.exclusive else p.logit()

    def embed(self, features: Tensor) -> Tensor:
        """Return the embedding of windows: (batch, 1, 1, sample) to (batch, embedding).

        Raises
        ------
        ConfigError
            If the model fails, or does not return a vector for each window.
        """
        return self._run(features, self.file.output, self.embedding_size)

    def _run(self, features: Tensor, output: str, size: int) -> Tensor:
        """Return so many numbers for each window: (batch, size)."""
        self.require_size(features)
        try:
            found = self.file(features.detach().flatten(1).float().cpu().numpy(), output)
        except AnymicError:
            raise
        except Exception as error:
            raise ConfigError(
                f"the ONNX model fails for {features.shape[-1]} samples ({_reason(error)})",
                expected=f"a model of windows of {self.patch[1]} samples",
                fix="import the model again with its own window_s",
            ) from None
        if sum(one.size for one in found) != len(features) * size:
            raise ConfigError(
                f"the output {output} of the ONNX model is {found[0].shape} for "
                f"{counted(len(features), 'window')}",
                expected=f"{size} numbers for each window",
                fix="export the model with an axis of the batch, or with a fixed batch of 1",
            )
        rows = np.concatenate([one.reshape(-1, size) for one in found])
        return torch.from_numpy(rows.astype(np.float32)).to(features.device)

    def segments(self) -> tuple[Segment, ...]:
        """Return the file, and the classifier if there is one."""
        last = [] if isinstance(self.classifier, nn.Identity) else [self.classifier]
        return (Segment("file", (self.file,)), *(Segment("classifier", (one,)) for one in last))


def _reopen(module: OnnxFile, _: Any) -> None:
    """Open the session of new content at once: an error concerns the model, not each clip."""
    module._session = None
    _ = module.session


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

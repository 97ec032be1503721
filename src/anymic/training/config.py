"""The settings of a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal, get_args, get_origin, get_type_hints

from anymic import models
from anymic._internal.settings import from_mapping, of_file, read_yaml, to_mapping, with_changes
from anymic.bundle.targets import Targets
from anymic.codecs.random_codec import Codecs
from anymic.devices.simulation.random_devices import RandomDevices
from anymic.errors import ConfigError, did_you_mean, require_type
from anymic.features import FrontendConfig
from anymic.features.feature_batches import Length
from anymic.training.correction_config import CorrectionConfig
from anymic.training.loop.augmentation import Mixup, SpecAugment, TimeWarp
from anymic.training.loop.device_augmentation import FreqMixStyle

LEAST = math.ulp(0.0)  # the smallest positive number
# The smallest value of a setting, and the value that it stays below.
RANGES = {
    **dict.fromkeys(("width", "clip_s", "temperature"), (LEAST, math.inf)),
    **dict.fromkeys(("learning_rate", "lowest_learning_rate"), (LEAST, math.inf)),
    **dict.fromkeys(("epochs", "batch_size", "plateau_patience", "crop_frames"), (1, math.inf)),
    **dict.fromkeys(("focal_power", "stop_below"), (0, math.inf)),
    "plateau_factor": (LEAST, 1),
    "momentum": (0, 1),
    "validation_share": (0, 1),
}


# Settings that `anymic.training.from_data` can choose.
FROM_DATA = (
    *(f"frontend.{name}" for name in ("rate_hz", "fft_size", "hop_samples", "bands")),
    "clip_s",
    "longer",
)


@dataclass(frozen=True)
class TrainingConfig:
    """The settings that determine a trained classifier, together with the manifest.

    The defaults are those of Kosmider 2019, section 4, where the report gives them.

    Attributes
    ----------
    network : str
        A name that `anymic.models.NETWORKS` contains.
    width : float
        Factor on the number of the network's channels; less than 1 for small machines.
    frontend : FrontendConfig
    correction : CorrectionConfig or None
        None trains on uncorrected recordings.
    standardize : bool
        Scale each band to zero mean and unit variance.
    clip_s : float or None
        Length of every clip in seconds; None is the length that all clips have.
    other_rates : {"refuse", "resample"}
        What to do with clips of another rate than the front-end's. "refuse" leaves them out as
        failures.
    shorter, longer : str
        What to do with clips of another length. "refuse" leaves them out as failures. Shorter
        clips are padded with zeros at the end ("pad") or repeated ("repeat"); of longer clips the
        beginning ("crop") or the centre ("center") is used.
    crop_frames : int or None
        Train on this number of consecutive frames of each clip, drawn in every epoch; None trains
        on whole clips. Validation always uses whole clips.
    targets : {"one", "several"}
        one: a clip has one label (softmax). several: a clip has any number of labels, also none,
        in the column `label` with semicolons between them; each label has its own score (sigmoid),
        and the cross-entropy is the binary one, summed over labels.
    loss : {"focal", "cross_entropy"}
    focal_power : float
        Exponent of (1 - p) in the focal loss.
    temperature : float
        Divisor of the logits inside the loss (heated-up softmax, Nguyen 2020).
    epochs, batch_size : int
        `stop_below` may end a training after fewer epochs. Clips are divided into equal batches of
        at most `batch_size`.
    sampling : {"shuffled", "files", "balanced"}
        shuffled: every clip once in an epoch. files: `batch_size` random files in each batch, each
        with all of its rows. balanced: the same number of files of each label in each batch (Xu
        2018), each with all of its rows; files of the largest label are used once in an epoch, the
        others repeatedly.
    optimizer : {"adadelta", "adam", "sgd"}
    learning_rate : float
        At the start.
    momentum : float
        Of SGD; in Adam (Kingma 2015) the decay of the mean of the gradients.
    rho, epsilon : float
        Adadelta's decay and its term against division by zero (Zeiler 2012); 0.95 is the default
        of Keras, which the papers used.
    l2 : float
        Weight of the sum of squared convolution and linear weights in the loss.
    schedule : {"plateau", "cosine", "restarts"}
        plateau: the learning rate is multiplied by `plateau_factor` after `plateau_patience` epochs
        in which the accuracy has not risen by 1e-3. cosine: it falls along half a cosine to 0 at
        the last epoch, which suits short trainings without validation clips. restarts: between the
        epochs of `restarts` it falls along half a cosine to `lowest_learning_rate`, in every step.
    plateau_factor, plateau_patience : float, int
    stop_below : float
        The schedule "plateau" ends the training when the learning rate is below this, if that is
        before the last of the `epochs`; with 0 it never does.
    restarts : tuple of int
        The epochs after which the rate returns to `learning_rate`; after the last one it stays at
        the lowest. Hu 2020: 3, 7, 15, 31, 63, 127.
    lowest_learning_rate : float
        Of the schedule "restarts".
    mixup : Mixup or None
        The share of clips that are mixed, and the parameter of the Beta distribution.
    time_warp : TimeWarp or None
    spec_augment : SpecAugment or None
        Both are applied to every clip, after mixup.
    random_devices : RandomDevices or None
        Random devices that training clips are recorded with; of a network's features a share in
        each epoch, of embeddings some copies of each clip.
    freq_mixstyle : FreqMixStyle or None
        The share of clips whose bands are given means and deviations of another clip too. Both are
        applied before mixup, in this order.
    codecs : Codecs or None
        The share of the training clips that are passed through a codec, and the codecs; "any" in
        settings is the whole table of codecs. Applied before all other changes. Validation clips,
        device gains and standardization do not use it.
    validation_share : float
        Share of the training clips, by whole groups, that is set aside where the manifest has no
        validation split. With 0 the plateau schedule uses the training accuracy, and the last epoch
        is kept.
    monitor : {"accuracy", "loss", "last"}
        The value on the validation clips that decides which epoch is kept; "last" keeps the last
        epoch, so that these clips can be used for calibration alone. With several labels a clip,
        mean average precision takes the place of accuracy, here and in the schedule "plateau".
    seed : int
        Seed of weights, split, order, dropout and augmentation.
    precision : {"auto", "float32", "bfloat16"}
        auto is the format in which this machine trains faster, see docs/speed.md.
    from_data : tuple of str
        Settings that are taken from the training clips unless they are stated
        (`anymic.training.from_data`): frontend.rate_hz, frontend.fft_size, frontend.hop_samples,
        frontend.bands, clip_s, and longer, which then divides longer clips into windows.

    Raises
    ------
    ConfigError
        If values are outside their range, are not one of the choices, or the network is not known.
        One message lists all of them.

    Examples
    --------
    >>> import anymic
    >>> config = anymic.TrainingConfig(network="basic1", epochs=20, temperature=10.0)
    >>> config.epochs
    20
    >>> anymic.TrainingConfig(epochs=0)
    Traceback (most recent call last):
        ...
    anymic.errors.ConfigError: ...
    """

    network: str = "basic1"
    width: float = 1.0
    frontend: FrontendConfig = field(default_factory=FrontendConfig)
    correction: CorrectionConfig | None = None
    standardize: bool = True
    clip_s: float | None = None
    other_rates: Literal["refuse", "resample"] = "refuse"
    shorter: Literal["refuse", "pad", "repeat"] = "refuse"
    longer: Literal["refuse", "crop", "center"] = "refuse"
    crop_frames: int | None = None
    targets: Targets = "one"
    loss: Literal["focal", "cross_entropy"] = "focal"
    focal_power: float = 1.0
    temperature: float = 1.0
    epochs: int = 150
    batch_size: int = 64
    sampling: Literal["shuffled", "files", "balanced"] = "shuffled"
    optimizer: Literal["adadelta", "adam", "sgd"] = "adadelta"
    learning_rate: float = 0.5
    momentum: float = 0.9
    rho: float = 0.95
    epsilon: float = 1e-6
    l2: float = 1e-5
    schedule: Literal["plateau", "cosine", "restarts"] = "plateau"
    plateau_factor: float = 0.5
    plateau_patience: int = 16
    stop_below: float = 0.0
    restarts: tuple[int, ...] = (3, 7, 15, 31, 63, 127)
    lowest_learning_rate: float = 1e-5
    mixup: Mixup | None = field(default_factory=Mixup)
    time_warp: TimeWarp | None = None
    spec_augment: SpecAugment | None = None
    random_devices: RandomDevices | None = None
    freq_mixstyle: FreqMixStyle | None = None
    codecs: Codecs | None = None
    validation_share: float = 0.15
    monitor: Literal["accuracy", "loss", "last"] = "accuracy"
    seed: int = 0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    from_data: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ConfigError for values that are not possible; the message lists all of them."""
        problems = []
        for name, (lowest, below) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not lowest <= value < below:
                problems.append(f"{name} is {value}")
        for name, choices in _choices().items():
            if (value := getattr(self, name)) not in choices:
                problems.append(f"{name} is {value!r} (known: {', '.join(choices)})")
        if not self.restarts or list(self.restarts) != sorted({0, *self.restarts} - {0}):
            problems.append(f"restarts is {list(self.restarts)}")
        try:
            models.NETWORKS.get(self.network)
        except ConfigError as error:
            if not problems:
                raise
            problems.append(f"{error.problem} (expected {error.expected})")
        if unknown := set(self.from_data) - set(FROM_DATA):
            problems.append(f"from_data is {sorted(unknown)} (known: {', '.join(FROM_DATA)})")
        if problems:
            raise ConfigError(
                "invalid settings: " + "; ".join(problems),
                expected="positive numbers, shares in 0 to 1, ascending restarts",
                fix="correct the training settings",
            )

    @property
    def several(self) -> bool:
        """Whether a clip may have several labels, or none."""
        return self.targets == "several"

    @property
    def length(self) -> Length:
        """The length of the clips, and what is done with clips of another length."""
        return Length(self.clip_s or 0.0, self.shorter, self.longer, self.other_rates)

    @property
    def network_arguments(self) -> dict[str, Any]:
        """The options of `anymic.models.build` besides name and classes."""
        arguments: dict[str, Any] = {}
        if self.frontend.deltas:
            arguments["channels"] = 1 + self.frontend.deltas
        if self.width != 1:
            arguments["width"] = self.width
        return arguments


@cache
def _choices() -> dict[str, tuple[str, ...]]:
    """Return the words that settings are chosen from; finding them takes a millisecond."""
    hints = get_type_hints(TrainingConfig)
    return {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}


def presets() -> list[str]:
    """Return the names of the built-in training presets."""
    folder = resources.files("anymic") / "presets" / "training"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir())


def as_config(
    config: TrainingConfig | str, changes: Mapping[str, Any] | None = None
) -> TrainingConfig:
    """Return the settings of a training: as they are, or by the name or path of a preset.

    Raises
    ------
    ConfigError
        If they are neither, or `load_config` refuses the name or a change.
    """
    if isinstance(config, str):
        return load_config(config, changes=changes)
    if not isinstance(config, TrainingConfig):
        raise ConfigError(
            f"the settings are a {type(config).__name__}",
            expected="a TrainingConfig, or the name of a preset",
            fix="pass load_config(name, changes={...}) to change settings of a preset",
        )
    return _changed(to_mapping(config), changes) if changes else config


def load_config(name_or_path: str, *, changes: Mapping[str, Any] | None = None) -> TrainingConfig:
    """Read a preset by name, or a YAML file, and change some settings.

    Parameters
    ----------
    name_or_path : str
        A name that `presets` lists, or a path that ends in .yaml or .yml.
    changes : mapping, optional
        Settings to replace; a dot separates nested names: {"frontend.bands": 128}.

    Raises
    ------
    ConfigError
        If there is no such preset or file, or a key is unknown.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        values = read_yaml(name_or_path)
    elif name_or_path in presets():
        source = resources.files("anymic") / "presets" / "training" / f"{name_or_path}.yaml"
        with resources.as_file(source) as path:
            values = read_yaml(path)
    else:
        raise ConfigError(
            f"unknown preset {name_or_path!r}{did_you_mean(name_or_path, presets())}",
            expected="one of " + ", ".join(presets()),
            fix="choose one of them, or pass a path that ends in .yaml",
        )
    wanted = "settings by key, such as {'epochs': 2}"
    require_type(changes, (Mapping, type(None)), "the argument changes", expected=wanted)
    try:
        return _changed(values, changes)
    except ConfigError:
        with of_file(name_or_path):  # which it names where the file alone is wrong
            from_mapping(TrainingConfig, values)
        raise


def _changed(values: dict[str, Any], changes: Mapping[str, Any] | None) -> TrainingConfig:
    """Return the settings of a mapping, with some of them replaced."""
    if from_data := values.get("from_data"):  # what is stated is not taken from the data
        stated = [key if key != "frontend" else "frontend." for key in changes or {}]
        values["from_data"] = [name for name in from_data if not any(map(name.startswith, stated))]
    return from_mapping(TrainingConfig, with_changes(values, changes or {}))

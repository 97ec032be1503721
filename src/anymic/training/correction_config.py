"""The settings of spectrum correction in a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from anymic.bundle.contract import UnknownDevice
from anymic.devices.correction.estimators import ESTIMATORS
from anymic.devices.correction.gain_fitting import for_mel_bands
from anymic.devices.correction.spectra import Weighting
from anymic.errors import ConfigError, did_you_mean


@dataclass(frozen=True)
class CorrectionConfig:
    """How the differences between devices are corrected; see `SpectrumCorrection`.

    Attributes
    ----------
    reference : tuple of str, or str
        The devices whose mean spectrum is the reference; empty, or "all", means all devices.
    estimator : str
        How the gains are estimated.
    floor_db, silence_db, weighting : float, float, {"loudness", "none"}
        How quiet frames and bins count: see `SpectrumCorrection`.
    domain : {"magnitude", "log_mel"}
        magnitude: a gain for each frequency bin, before the mel filters. log_mel: one for each mel
        band, whose logarithm is added after them (`anymic.devices.correction.gain_fitting`);
        this is for ablations.
    unknown_device : {"blind", "identity", "refuse"}, optional
        What the model does with clips of a device that it has no gains for; see `InputContract`. By
        default gains are estimated from each recording (blind), because a network that was trained
        on corrected clips is worse on uncorrected ones; gains of mel bands cannot be estimated so.
    """

    reference: tuple[str, ...] | str = ()
    estimator: str = "ratio_of_means"
    domain: Literal["magnitude", "log_mel"] = "magnitude"
    floor_db: float = -100.0
    silence_db: float = -40.0
    weighting: Weighting = "loudness"
    unknown_device: UnknownDevice | None = None

    @property
    def policy(self) -> UnknownDevice:
        """What the model does with clips of unknown devices."""
        usual: UnknownDevice = "blind" if self.domain == "magnitude" else "identity"
        return self.unknown_device or usual

    def __post_init__(self) -> None:
        """Raise ConfigError for an unknown estimator, or one that mel bands do not have."""
        if isinstance(self.reference, str):
            names = () if self.reference == "all" else (self.reference,)
            object.__setattr__(self, "reference", names)
        if self.estimator not in ESTIMATORS:
            raise ConfigError(
                f"unknown estimator {self.estimator!r}{did_you_mean(self.estimator, ESTIMATORS)}",
                expected="one of " + ", ".join(ESTIMATORS),
                fix="choose one of them",
            )
        if self.domain == "log_mel" and not ESTIMATORS.get(self.estimator).mel_bands:
            raise ConfigError(
                f"the estimator {self.estimator} does not work in the domain log_mel",
                expected=" or ".join(for_mel_bands()),
                fix="choose one of them, or the domain magnitude",
            )
        if self.domain == "log_mel" and self.unknown_device == "blind":
            raise ConfigError(
                "gains of mel bands cannot be estimated blindly",
                expected="unknown_device identity or refuse, or the domain magnitude",
                fix="change one of the two",
            )

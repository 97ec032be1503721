"""Trained models on disk: weights, front-end, labels, device profile and input contract.

A bundle is a folder::

    bundle.json           labels, contract, settings, clips that it was fitted on, checksums
    weights.safetensors   `network.*` and `frontend.*`, the mel filters and device gains among them
    profile.json          the device profile, where the model corrects devices

An ensemble is a bundle of bundles::

    bundle.json              labels, contract, how its members vote, how they were chosen, checksums
    members/00/, 01/, ...    the members
    calibrators.safetensors  with calibrated voting

Reading it executes no code (no pickle) and needs no file outside it. The folder may also hold other
files, such as checkpoints and logs of the training.
"""

from anymic.bundle.contract import InputContract
from anymic.bundle.ensemble import Ensemble, load
from anymic.bundle.model import USES, Bundle
from anymic.bundle.targets import Targets

__all__ = ["USES", "Bundle", "Ensemble", "InputContract", "Targets", "load"]

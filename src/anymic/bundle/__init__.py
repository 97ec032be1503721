"""A trained model on disk: weights, front-end, labels, device profile and input contract.

A bundle is a folder::

    bundle.json           what it is: labels, contract, settings, what it was fitted on, checksums
    weights.safetensors   `network.*` and `frontend.*`, the mel filters and device gains among them
    profile.json          the device profile, where the model corrects devices

An ensemble is a bundle of bundles::

    bundle.json              labels, contract, how its members vote, how they were chosen, checksums
    members/00/, 01/, ...    the members
    calibrators.safetensors  where their probabilities are calibrated

Nothing in it is executed when it is read (no pickle), and nothing outside it is needed. Files that
do not belong to the bundle (checkpoints and logs of the training run, say) may lie beside these.
"""

from anymic.bundle.contract import InputContract
from anymic.bundle.ensemble import Ensemble, load
from anymic.bundle.model import USES, Bundle

__all__ = ["USES", "Bundle", "Ensemble", "InputContract", "load"]

"""Networks by name: features (batch, channel, band, frame) in, logits (batch, label) out.

Examples
--------
>>> import torch
>>> from anymic import models
>>> network = models.build("basic1", classes=10)
>>> network(torch.zeros(2, 1, 64, 100)).shape  # (batch, label)
torch.Size([2, 10])
"""

from anymic.models.basic import Basic
from anymic.models.fcnn import Fcnn
from anymic.models.network import ALL, Network, Segment, choose_segments
from anymic.models.registry import (
    NETWORKS,
    NetworkSpec,
    WrappedModule,
    as_network,
    build,
    check_network,
    register_network,
)

__all__ = [
    "ALL",
    "NETWORKS",
    "Basic",
    "Fcnn",
    "Network",
    "NetworkSpec",
    "Segment",
    "WrappedModule",
    "as_network",
    "build",
    "check_network",
    "choose_segments",
    "register_network",
]

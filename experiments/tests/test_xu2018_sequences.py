"""What heads are given of a clip, and fine-tuning on what frozen layers calculate."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from anymic import models
from anymic.models.yamnet import YAMNet
from anymic.training import load_config
from anymic.training.loop.module import TrainedClassifier
from anymic_experiments.xu2018.cutting import cut
from anymic_experiments.xu2018.sequences import Sequences
from anymic_experiments.xu2018.settings import Head
from anymic_experiments.xu2018.tasks import examples

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_lstm_is_given_whole_sequences_and_others_parts() -> None:
    generator = np.random.default_rng(0)
    lengths = (1, 3, 5, 2)
    found = Sequences(
        generator.normal(size=(sum(lengths), 4)).astype(np.float16),
        np.repeat(np.arange(4), lengths),
    )
    parts, targets = np.array(["train", "train", "validation", "test"]), np.array([0, 1, 0, 1])
    whole, clips = examples(found, parts, targets, ("a", "b"), Head("lstm_head", "whole"))
    assert clips.tolist() == [0, 1, 2, 3]
    given = ~np.isnan(whole.features[:, 0])
    assert given.sum(axis=1).tolist() == list(lengths)
    training = found.features[:4].astype(np.float64)
    centred = training - training.mean(axis=0)
    expected = (found.of(2) - training.mean(axis=0)) / np.sqrt(np.mean(centred**2))
    np.testing.assert_allclose(whole.features[2].T, expected, atol=0.01)
    of_two, clips = examples(found, parts, targets, ("a", "b"), Head("attention_head", 2))
    assert clips.tolist() == [0, 1, 1, 2, 2, 2, 3]
    assert not np.isnan(of_two.features).any()


def test_fine_tuning_on_kept_maps_is_that_of_the_whole_network() -> None:
    """After steps on the same patches, all weights and running statistics agree."""
    torch.manual_seed(0)
    whole = models.build("yamnet", classes=3, width=0.125)
    assert isinstance(whole, YAMNet)
    for module in whole.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            module.running_mean.normal_(std=0.1)
    below, above = cut(copy.deepcopy(whole), 12)
    patches, classes = torch.randn(12, 1, 64, 96), torch.arange(12) % 3
    with torch.inference_mode():
        maps = below.embed(patches).clone()
        torch.testing.assert_close(above.eval()(maps), whole.eval()(patches))
    for network, values, frozen in (
        (whole, patches, whole.segments()[:12]),
        (above, maps.clone(), ()),
    ):
        module = TrainedClassifier(
            network,
            torch.nn.Identity(),  # type: ignore[arg-type]
            load_config("xu2018"),
            fill=torch.zeros(1),
            validated=True,
            frozen=frozen,
        ).train()
        trained = [one for one in network.parameters() if one.requires_grad]
        optimizer = torch.optim.SGD(trained, lr=0.01, momentum=0.9)
        for _ in range(2):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(module.network(values), classes).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    after = above.state_dict()
    assert {name.split(".")[1] for name in after if "layers" in name} == {"12", "13"}
    for name, value in after.items():
        torch.testing.assert_close(value, whole.state_dict()[name], atol=1e-5, rtol=1e-4)

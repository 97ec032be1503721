"""Pooled features in two dimensions, against the singular value decomposition."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from anymic.evaluation.report import ReportError
from anymic.evaluation.report.features import features_figure, principal_plane

Clips: TypeAlias = tuple[NDArray[np.float64], NDArray[np.bool_]]


@pytest.fixture
def clips() -> Clips:
    """Return features (clip, channel) and which of them are for training."""
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 8)) * np.array([5, 3, 1, 1, 1, 1, 0.5, 0.1]) + 7
    return features, np.arange(60) < 40


def test_the_plane_is_that_of_the_training_clips_singular_vectors(clips: Clips) -> None:
    features, training = clips
    plane = principal_plane(features, training)
    mean = features[training].mean(axis=0)
    _, values, vectors = np.linalg.svd(features[training] - mean, full_matrices=False)
    np.testing.assert_allclose(np.abs(plane.points), np.abs((features - mean) @ vectors[:2].T))
    np.testing.assert_allclose(plane.explained, values[:2] ** 2 / (values**2).sum())


def test_test_clips_move_nothing(clips: Clips) -> None:
    features, training = clips
    plane = principal_plane(features, training)
    other = np.where(training[:, None], features, 1000 * features)
    moved = principal_plane(other, training)
    np.testing.assert_array_equal(moved.points[training], plane.points[training])
    np.testing.assert_array_equal(moved.explained, plane.explained)


def test_a_plane_by_hand() -> None:
    # Around (1, 0): +-4 along the first axis, +-3 along the second; 2 * 16 and 2 * 9 of 50.
    features = [[5, 0], [-3, 0], [1, 3], [1, -3], [1, 0]]
    plane = principal_plane(features, np.ones(5, dtype=bool))
    expected = [[4, 0], [4, 0], [0, 3], [0, 3], [0, 0]]
    np.testing.assert_allclose(np.abs(plane.points), expected, atol=1e-12)
    np.testing.assert_allclose(plane.explained, [0.64, 0.36])


def drawn(axes: Axes) -> NDArray[np.float64]:
    """The points of a panel in the order of their first coordinate; the legend has none."""
    offsets = [np.asarray(one.get_offsets(), dtype=np.float64) for one in axes.collections]
    points = np.concatenate(offsets)
    points = points[np.isfinite(points).all(axis=1)]
    return np.asarray(points[np.argsort(points[:, 0])])


def colours(axes: Axes) -> set[str]:
    return {
        to_hex(np.asarray(one.get_facecolor())[0])
        for one in axes.collections
        if np.asarray(one.get_offsets()).size
    }


def test_every_clip_stands_in_its_panels(clips: Clips) -> None:
    features, training = clips
    test = np.arange(60) >= 45  # five clips are in neither
    labels = ["dog", "rain", "siren"] * 20
    figure = features_figure(
        features, training=training, test=test, labels=labels, devices=["A", "B", ""] * 20
    )
    points = principal_plane(features, training).points
    assert len(figure.axes) == 4
    for axes, shown in zip(figure.axes, [training, test] * 2, strict=True):
        expected = points[shown]
        np.testing.assert_allclose(drawn(axes), expected[np.argsort(expected[:, 0])])
        assert len(colours(axes)) == 3
        (low, high), wide = axes.get_xlim(), points[training | test, 0]
        assert low < wide.min() < wide.max() < high
    names = []
    for axes in figure.axes[1::2]:
        legend = axes.get_legend()
        assert legend is not None
        names.append([text.get_text() for text in legend.get_texts()])
    assert names == [["dog", "rain", "siren"], ["A", "B", "not known"]]
    assert [axes.get_title(loc="left") for axes in figure.axes[2:]] == [
        "Training set (40 clips), by device",
        "Test set (15 clips), by device",
    ]
    plane = principal_plane(features, training)
    assert f"{100 * plane.explained[0]:.0f} %" in figure.get_supxlabel()
    assert f"{100 * plane.explained[1]:.0f} %" in figure.get_supylabel()


def test_without_devices_there_is_one_row(clips: Clips) -> None:
    features, training = clips
    figure = features_figure(features, training=training, test=~training, labels=["x"] * 60)
    assert len(figure.axes) == 2


def test_what_has_no_plane_is_refused(clips: Clips) -> None:
    features, training = clips
    with pytest.raises(ReportError, match=r"2 training clips.*at least 3"):
        principal_plane(features, np.arange(60) < 2)
    with pytest.raises(ReportError, match="non-finite"):
        principal_plane(np.where(training[:, None], features, np.nan), training)
    with pytest.raises(ReportError, match="two channels"):
        principal_plane(features[:, :1], training)
    with pytest.raises(ReportError, match="no test clip"):
        features_figure(features, training=training, test=np.zeros(60, bool), labels=["x"] * 60)

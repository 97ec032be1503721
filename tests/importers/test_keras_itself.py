"""Checkpoints that Keras itself writes, and its probabilities: on request, ANYMIC_TEST_KERAS=1."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
import torch

from anymic.importers.keras import import_keras

BY_KERAS = """
import sys
import numpy as np
import tensorflow as tf
try:
    import tf_keras as keras  # Keras 2, where TensorFlow has gone on to 3
except ImportError:
    keras = tf.keras
layers = keras.layers
keras.utils.set_random_seed(1)
channels, paddings = int(sys.argv[2]), [int(each) for each in sys.argv[3]]
x = first = layers.Input((64, None, channels))
x = layers.BatchNormalization()(x)
for number, (width, count) in enumerate(((6, 2), (8, 2), (12, 4))):
    for place in range(count):
        size = 5 if number == place == 0 else 3
        for padding in paddings or [size // 2]:
            x = layers.ZeroPadding2D(padding)(x)
        stride = 2 if size == 5 else 1
        x = layers.Conv2D(width, size, strides=stride, use_bias=False, padding="valid")(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
        if count == 4 and place < 3:
            x = layers.Dropout(0.3)(x)
    x = layers.MaxPooling2D(2)(x)
x = layers.Conv2D(10, 1, use_bias=False, padding="valid")(x)
x = layers.Activation("relu")(layers.BatchNormalization(center=False, scale=False)(x))
x = layers.BatchNormalization(center=False, scale=False)(x)
one, two = layers.Dense(5, activation="relu"), layers.Dense(10)
pooled = [kind()(x) for kind in (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)]
both = [two(one(layers.Reshape((1, 1, 10))(each))) for each in pooled]
x = layers.Multiply()([x, layers.Activation("sigmoid")(layers.Add()(both))])
x = layers.Activation("softmax")(layers.GlobalAveragePooling2D()(x))
model = keras.Model(first, x)
generator = np.random.default_rng(0)
for layer in model.layers:
    if isinstance(layer, layers.BatchNormalization):
        values = [generator.normal(1, 0.2, value.shape) for value in layer.get_weights()]
        layer.set_weights([np.abs(value) for value in values])
model.save(sys.argv[1] + "/model.h5", save_format="h5")
maps = generator.normal(size=(4, 64, 50, channels)).astype(np.float32)
np.savez(sys.argv[1] + "/answers.npz", maps=maps, wanted=model.predict(maps, verbose=0))
print(keras.__version__)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("ANYMIC_TEST_KERAS") != "1",
    reason="installs TensorFlow: set ANYMIC_TEST_KERAS=1 to ask for it",
)
def test_keras_itself_gives_the_same(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    packages = ["tensorflow-cpu", "tf_keras"]
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    (tmp_path / "make.py").write_text(BY_KERAS)
    for channels, paddings in (("3", ""), ("6", "12")):
        command = [str(python), str(tmp_path / "make.py"), str(tmp_path), channels, paddings]
        subprocess.run(command, check=True, stdout=sys.stderr)
        network = import_keras(tmp_path / "model.h5").network
        with np.load(tmp_path / "answers.npz") as answers:
            features = torch.from_numpy(answers["maps"].transpose(0, 3, 1, 2)).contiguous()
            with torch.inference_mode():
                got = network(features).softmax(dim=1).numpy()
            np.testing.assert_allclose(got, answers["wanted"], atol=1e-4)

"""Models as files for other programs: ONNX.

`export` writes one file with everything between samples and probabilities, and compares its answers
with those of the model.
"""

from anymic.exporters.onnx_file import Exported, export

__all__ = ["Exported", "export"]

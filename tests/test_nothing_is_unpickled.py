"""No file that is read can run code: the calls that could are nowhere in the sources."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")])
LOADERS = {"load", "loads", "Unpickler", "open"}
RUNNING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def _faults(text: str) -> list[str]:
    """Return the calls of a source that could run what a file holds."""
    faults = []
    for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
        name = ast.unparse(call.func)
        module, _, function = name.rpartition(".")
        given = {one.arg: ast.unparse(one.value) for one in call.keywords}
        if (
            (module in RUNNING and function in LOADERS)
            or name in ("eval", "exec", "pd.read_pickle", "pandas.read_pickle")
            or function in ("load_from_checkpoint", "unsafe_load", "full_load")
            or given.get("allow_pickle", "False") != "False"
            or (name == "torch.load" and given.get("weights_only") != "True")
            or (name == "yaml.load" and given.get("Loader") not in ("_LOADER", "yaml.SafeLoader"))
        ):
            faults.append(ast.unparse(call))
    return faults


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_reads_what_could_run(path: Path) -> None:
    assert not _faults(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "pickle.load(file)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=wanted)",
        "joblib.load(path)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "TrainedClassifier.load_from_checkpoint(path)",
        "pickle.Unpickler(file).load()",
        "eval(text)",
    ],
)
def test_the_search_finds_each_kind(text: str) -> None:
    assert _faults(text)

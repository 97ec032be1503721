"""What a bug report needs to state of a machine: versions, processor, programs, settings."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from anymic._internal.processors import processors
from anymic._version import commit, version

_PROGRAMS = ("fdkaac", "ffmpeg", "git")
# Settings whose values name no place on this machine; of the others, only the names are shown.
_SHOWN = ("CUDA_VISIBLE_DEVICES", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_CORETYPE")
_NAMED = ("ANYMIC_",)
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:.*extra == ['\"]([a-z]+)['\"])?")


def environment() -> dict[str, str]:
    """Return the facts in the order in which they are printed; no path and no name of a user."""
    return {
        "anymic": version(),
        "commit": commit() or "unknown",
        "installed as": _kind(),
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": platform.platform(),
        "processor": f"{_processor()}, {processors()} usable",
        **_torch(),
        **dict(_libraries()),
        "packages": _listed(_requirements(None)),
        **{f"extra {name}": _listed(_requirements(name)) for name in _extras()},
        "programs": ", ".join(name for name in _PROGRAMS if shutil.which(name)) or "none",
        "settings": ", ".join(_settings()) or "none",
    }


def show_versions() -> None:
    """Print what a bug report needs, one fact a line; no path and no name of a user.

    The versions of anymic, its commit, Python, PyTorch, the decoders and the packages of each
    extra; the system, processor, GPUs and threads; which programs and settings are found.

    Examples
    --------
    >>> import anymic
    >>> anymic.show_versions()
    anymic: ...
    """
    print("\n".join(f"{name}: {value}" for name, value in environment().items()))


def _kind() -> str:
    """Return how the package came here: a checkout, or an installed package."""
    root = Path(__file__).resolve().parents[3]
    return "a checkout" if (root / "pyproject.toml").is_file() else "a package"


def _processor() -> str:
    """Return the model of the processor, as Linux states it; elsewhere what Python knows."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor() or platform.machine()


def _torch() -> dict[str, str]:
    try:
        import torch
    except Exception as error:  # a broken installation is what the report is about
        return {"torch": f"cannot be imported ({type(error).__name__}: {error})"}
    gpus = [torch.cuda.get_device_name(one) for one in range(torch.cuda.device_count())]
    kernels = torch.backends.cpu.get_cpu_capability()
    return {
        "torch": f"{torch.__version__}, {kernels}, {torch.get_num_threads()} threads",
        "gpu": ", ".join(gpus) or "none",
    }


def _libraries() -> Iterator[tuple[str, str]]:
    """Give the versions of the decoders; that of a library which cannot be loaded is why."""
    try:
        import soundfile

        yield "libsndfile", str(soundfile.__libsndfile_version__)
    except Exception as error:
        yield "libsndfile", f"cannot be loaded ({type(error).__name__})"
    try:
        import av

        yield "FFmpeg in PyAV", ".".join(map(str, av.library_versions["libavcodec"]))
    except Exception as error:
        yield "FFmpeg in PyAV", f"cannot be loaded ({type(error).__name__})"


def _extras() -> list[str]:
    """Return the names of the extras that users install; "dev" and "all" only gather others."""
    named = metadata.metadata("anymic").get_all("Provides-Extra") or []
    return [name for name in named if _requirements(name) and name != "dev"]


def _requirements(extra: str | None) -> list[str]:
    """Return the packages of an extra, or those of the core."""
    found = (_REQUIREMENT.match(line) for line in metadata.requires("anymic") or [])
    names = [one[1] for one in found if one and one[2] == extra and one[1] != "anymic"]
    return list(dict.fromkeys(names))  # a package of several markers is one


def _listed(names: list[str]) -> str:
    return ", ".join(f"{name} {_version_of(name)}" for name in names)


def _version_of(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _settings() -> Iterator[str]:
    for name, value in sorted(os.environ.items()):
        if name in _SHOWN:
            yield f"{name}={value}"
        elif name.startswith(_NAMED):
            yield f"{name} is set"

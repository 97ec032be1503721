"""What a program shares with its libraries: defaults of torch, generators, warnings, logging."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch

LOGGERS = ("pytorch_lightning", "lightning_fabric", "lightning", "pooch")


@contextmanager
def default_torch() -> Iterator[None]:
    """Compute under torch's own defaults, not the caller's; also a decorator.

    Those are float32, the processor, no autocast, and tensors that can have gradients.
    """
    dtype = torch.get_default_dtype()
    with ExitStack() as stack:
        if dtype != torch.float32:
            stack.callback(torch.set_default_dtype, dtype)
            torch.set_default_dtype(torch.float32)
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextmanager
def left_as_found() -> Iterator[None]:
    """Compute as `default_torch` does, and leave the process as it was found; also a decorator.

    Restored are the generators of torch, numpy and Python, the warning filters, the environment,
    the start method of processes, torch's switches, and the levels of other packages' loggers.
    """
    cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    gpus = range(torch.cuda.device_count()) if cuda else ()
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    method = multiprocessing.get_start_method(allow_none=True)
    environment = dict(os.environ)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [(logger, logger.level) for logger in loggers]
    algorithms = torch.get_deterministic_debug_mode()
    benchmark = torch.backends.cudnn.benchmark
    with torch.random.fork_rng(gpus), warnings.catch_warnings(), default_torch():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002
            if multiprocessing.get_start_method(allow_none=True) != method:
                multiprocessing.set_start_method(method, force=True)
            for name in set(os.environ) - set(environment):
                del os.environ[name]
            os.environ.update(environment)
            for logger, level in levels:
                logger.setLevel(level)
            if torch.get_deterministic_debug_mode() != algorithms:
                torch.set_deterministic_debug_mode(algorithms)
            torch.backends.cudnn.benchmark = benchmark
    if not cuda and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        # As if it were used for the first time now.
        torch.cuda.manual_seed_all(torch.initial_seed())


def _use_one_thread() -> None:
    """Compute in one thread in a forked process, which would wait for others of its parent."""
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_use_one_thread)

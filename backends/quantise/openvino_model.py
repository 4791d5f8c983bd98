"""Quantise OpenVINO models to int8 by NNCF."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import logging
import os
from typing import Any

from hwnas.backends.openvino_core import kept_signal_stack, names_read
from hwnas.backends.quantise import Calibration, Layers
from hwnas.backends.quantise.instructions import saturates
from hwnas.supernets.errors import BackendError

# OpenVINO's names of convolutions and products in a compiled model.
_LAYERS = {"Convolution", "Deconvolution", "FullyConnected", "MatMul"}

INSTALL = "pip install 'hwnas[int8]'"


def missing() -> str | None:
    """Return what is missing for int8 on this machine and how to install it, or ``None``."""
    return None if importlib.util.find_spec("nncf") else f"it needs NNCF: {INSTALL}"


def quantiser() -> str:
    """Return the quantiser's name and version."""
    return f"nncf {importlib.metadata.version('nncf')}"


def quantise(model: Any, calibration: Calibration, stage: str) -> Any:
    """Return an ``openvino.Model`` with the layers quantised that OpenVINO runs in int8.

    Args:
        model: in fp32; it is not changed.
        calibration: if it is typical, biases are corrected for the shift of the layers' means by rounding.
        stage: its name, for messages.

    Raises:
        BackendError: NNCF fails on the model.
    """
    # NNCF prints progress bars and remarks on standard output, where a command's results go.
    # Its Cores end when garbage is collected, in whatever order.
    with contextlib.redirect_stdout(io.StringIO()), kept_signal_stack():
        nncf = _nncf()
        overflow = nncf.OverflowFix.ENABLE if saturates() else nncf.OverflowFix.DISABLE
        advanced = nncf.AdvancedQuantizationParameters(
            overflow_fix=overflow, disable_bias_correction=not calibration.typical
        )
        read = names_read(model)
        batches = [{name: one for name, one in batch.items() if name in read} for batch in calibration.batches]
        try:
            return nncf.quantize(
                model,
                nncf.Dataset(batches),
                # Symmetric weights, asymmetric activations: hard swish is hardly ever below 0.
                preset=nncf.QuantizationPreset.MIXED,
                target_device=nncf.TargetDevice.CPU,
                subset_size=len(calibration.batches),
                advanced_parameters=advanced,
            )
        # NNCF's own exceptions and OpenVINO's share no base class below Exception.
        except Exception as error:
            raise BackendError(f"NNCF cannot quantise stage {stage!r}: {error}") from error


def layers(compiled: Any) -> Layers:
    """Return how many layers of a compiled model run in int8."""
    operations = [operation.get_rt_info() for operation in compiled.get_runtime_model().get_ops()]
    precisions = [_text(one["runtimePrecision"]) for one in operations if _text(one["layerType"]) in _LAYERS]
    return Layers(sum(precision in {"i8", "u8"} for precision in precisions), len(precisions))


def _text(value: Any) -> str:
    return str(value.astype(str))


def _nncf() -> Any:
    # NNCF reports its use to Google Analytics unless this is set.
    os.environ.setdefault("NNCF_CI", "1")
    import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf

"""Errors of training and of what it reads; their base is `vavl_runtime.errors.VavlError`."""

from vavl_runtime.errors import InputError, VavlError


class CorpusError(InputError):
    """A corpus to train or test on has bad files, rows, labels or partitions; the message lists all of them."""

    kind = "corpus"


class EncoderUnavailableError(VavlError):
    """Pre-trained weights are not at hand."""

    kind = "encoder_unavailable"
    exit_code = 3


class ConfigError(InputError):
    """A configuration or checkpoint contradicts itself or misses a part."""

    kind = "config"

"""Errors of measuring; their base is `vavl_runtime.errors.VavlError`."""

from vavl_runtime.errors import InputError, VavlError


class BenchRecordError(InputError):
    """The file is no result of ``vavl-bench``, or one of another schema."""

    kind = "bench_record"


class IncomparableError(InputError):
    """Results of ``vavl-bench`` have different scopes, or nothing in common."""

    kind = "incomparable"


class MeasuringProcessError(VavlError):
    """A process that measures for ``vavl-bench`` died."""

    kind = "measuring_process"

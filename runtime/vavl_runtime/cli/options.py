"""Options that several commands share: one name, one help text and one check for each."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class BackendName(str, Enum):
    """Backends that can be asked for."""

    auto = "auto"
    onnxruntime = "onnxruntime"
    onnxruntime_tensorrt = "onnxruntime-tensorrt"
    tensorrt = "tensorrt"


class Precision(str, Enum):
    """Precisions that can be asked for."""

    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"
    int8 = "int8"
    auto = "auto"


def device_name(text: str) -> str:
    """Check the value of ``--device``: a name that cannot be read is bad usage, a device that is missing is not."""
    from vavl_runtime.devices.gpu import parse_device
    from vavl_runtime.errors import InputError

    try:
        return str(parse_device(text))
    except InputError as error:
        raise typer.BadParameter(str(error).removeprefix("device: ")) from error


def _device_if_named(text: str | None) -> str | None:
    return None if text is None else device_name(text)


BUNDLE_HELP = "Bundle folder or .vavl file. Default: $VAVL_BUNDLE, else ./vavl-bundle, else the packaged one (light)."
DEVICE_HELP = "Where to run: cpu, cuda:N, or auto (a GPU if one works, else the CPU)."
BACKEND_HELP = "What runs the graphs; auto takes the best one that works."
PRECISION_HELP = "Precision of the graphs; auto takes what the bundle's measurements show to be faster."

BundleArgument = Annotated[Path | None, typer.Argument(help=BUNDLE_HELP, show_default=False)]
BundleOption = Annotated[Path | None, typer.Option("--bundle", help=BUNDLE_HELP)]
DeviceOption = Annotated[str, typer.Option(help=DEVICE_HELP, callback=device_name)]
OptionalDeviceOption = Annotated[str | None, typer.Option("--device", help=DEVICE_HELP, callback=_device_if_named)]
BackendOption = Annotated[BackendName, typer.Option(help=BACKEND_HELP)]
OptionalBackendOption = Annotated[BackendName | None, typer.Option("--backend", help=BACKEND_HELP)]
PrecisionOption = Annotated[Precision, typer.Option(help=PRECISION_HELP)]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads for the graphs. Default: all cores.")]

"""Describes a bundle in text."""

from vavl_runtime.bundle import Bundle
from vavl_runtime.bundle.manifest import Manifest


def describe_bundle(bundle: Bundle) -> str:
    """Describe a bundle in a few lines.

    Args:
        bundle: An opened bundle.

    Returns:
        Text with task, labels, encoders, every graph's signature and sizes.
    """
    manifest = bundle.manifest
    total = sum(record.bytes for record in manifest.files.values())
    lines = [
        f"{manifest.name}: {manifest.task} of {', '.join(manifest.labels)}" + _scale(manifest),
        f"  sha256    {bundle.sha256}",
        f"  weights   {manifest.weights.upper() if manifest.weights == 'untrained' else manifest.weights}",
        f"  layout    {manifest.layout}" + (" (batch 1 only)" if manifest.layout == "released" else ""),
        f"  size      {total / 1e6:.1f} MB in {len(manifest.files)} files",
    ]
    for kind, encoder in manifest.encoders.items():
        lines.append(f"  {kind:9} {encoder.reference} ({encoder.dim}-D{'' if encoder.trained else ', random weights'})")
    crop = manifest.crop
    lines.append(f"  faces     {crop.size} px, margin {crop.margin:g}, detected every {crop.detect_every} frames")
    rate = (
        "one a frame: answers depend on the frame rate" if crop.token_rate is None else f"{crop.token_rate:g} a second"
    )
    lines.append(f"  tokens    of faces: {rate}")
    for graph in manifest.graphs.values():
        inputs = ", ".join(f"{tensor.name} {_shape(tensor.shape)} {tensor.dtype}" for tensor in graph.inputs)
        outputs = ", ".join(f"{tensor.name} {_shape(tensor.shape)}" for tensor in graph.outputs)
        precisions = ", ".join((graph.precision, *graph.variants))
        lines.append(f"  {graph.file} [{precisions}]  {inputs} -> {outputs}")
    for key, value in manifest.provenance.items():
        lines.append(f"  {key:13} {value}")
    return "\n".join(lines)


def _scale(manifest: Manifest) -> str:
    low, high = manifest.scale
    return f", each on a scale from {low:g} to {high:g}" if manifest.task == "regression" else ""


def _shape(shape: tuple[int | str, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"

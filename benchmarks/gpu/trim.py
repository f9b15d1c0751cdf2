"""Makes libraries small enough to travel. They keep their size and layout; what is left out becomes zeros.

Of ONNX Runtime's CUDA provider, the code of one GPU generation stays, without kernels that our graphs never launch. A
kernel that is missing after all fails there with "no kernel image is available". Of the video encoders that FFmpeg is
linked with, only what the loader needs stays.
"""

import re
import struct
from collections.abc import Iterator

FATBIN = 0xBA55ED50
_ELF, _SECTION, _CONTAINER, _ENTRY = "<HHH", "<IIQQQQIIQQ", "<IHHQ", "<HHIQIIHHIIIQ"
# Mixture of experts, quantised products, paged attention, head widths and generations that no graph of ours has.
NEVER_LAUNCHED = re.compile(
    rb"MoE|moe_|GroupProblemShape|GroupedGemm|fpA_intB|MixedInput|DqMma|[Mm]at[Mm]ul4?N?[Bb]its|weight_only|Float8b"
    rb"|Flash_fwd_kernel_traitsILi(?:32|96|128|160|192|224|256)E|lean|xqa|XQA|[Pp]aged|GroupQuery"
    rb"|AttentionKernelI\w+?Sm(?:50|70|75)"
)
HOLLOWED = (".text", ".rodata", ".eh_frame", ".gcc_except_table")
_CONSTRUCTORS, _DESTRUCTORS = 27, 28  # tags of the sizes of their arrays in the dynamic section
MOSTLY = 0.6  # a module goes if at least this share of its kernels is never launched


def trim_provider(library: bytes, generation: int) -> bytes:
    """Zero the device code that is not needed.

    Args:
        library: The ELF file ``libonnxruntime_providers_cuda.so``.
        generation: Compute capability to keep: 90 for an H100 or H200.

    Returns:
        The file, as long as before.

    Raises:
        ValueError: It has no device code, or none of this generation.
    """
    kept: dict[int, list[bytes]] = {}
    for container, entry, size, code, its_generation in _entries(library):
        parts = kept.setdefault(container, [])
        if its_generation == generation and _may_be_launched(library[code : entry + size]):
            parts.append(library[entry : entry + size])
    if not any(kept.values()):
        raise ValueError(f"got a library without device code of generation {generation}; is it the CUDA provider?")
    trimmed = bytearray(library)
    for container, parts in kept.items():
        _, _, header, length = struct.unpack_from(_CONTAINER, library, container)
        body = b"".join(parts)
        trimmed[container + header : container + header + length] = body.ljust(length, b"\0")
        struct.pack_into("<Q", trimmed, container + 8, len(body))
    return bytes(trimmed)


def hollow(library: bytes) -> bytes:
    """Zero the code and constants of a library that is loaded and never called.

    Args:
        library: A 64-bit ELF file.

    Returns:
        The file, as long as before, without constructors. Whoever calls one of its functions crashes.
    """
    emptied = bytearray(library)
    for name in HOLLOWED:
        place, size = _section(library, name, required=False)
        emptied[place : place + size] = bytes(size)
    place, size = _section(library, ".dynamic")
    for entry in range(place, place + size, 16):
        if struct.unpack_from("<Q", library, entry)[0] in (_CONSTRUCTORS, _DESTRUCTORS):
            struct.pack_into("<Q", emptied, entry + 8, 0)
    return bytes(emptied)


def _entries(elf: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Container, start, size, start of the code, and generation of every entry in the section of device code."""
    place, size = _section(elf, ".nv_fatbin")
    end = place + size
    while place + struct.calcsize(_CONTAINER) <= end:
        magic, _, header, length = struct.unpack_from(_CONTAINER, elf, place)
        if magic != FATBIN:
            place += 8
            continue
        entry, stop = place + header, place + header + length
        while entry + struct.calcsize(_ENTRY) <= stop:
            fields = struct.unpack_from(_ENTRY, elf, entry)
            entry_header, payload, generation = fields[2], fields[3], fields[8]
            yield place, entry, entry_header + payload, entry + entry_header, generation
            entry += entry_header + payload
        place = stop


def _section(elf: bytes, name: str, *, required: bool = True) -> tuple[int, int]:
    """Offset and size of a section of a 64-bit ELF file; zeros for a section that need not be there."""
    (table,) = struct.unpack_from("<Q", elf, 0x28)
    _, count, names = struct.unpack_from(_ELF, elf, 0x3A)
    headers = [struct.unpack_from(_SECTION, elf, table + struct.calcsize(_SECTION) * number) for number in range(count)]
    for header in headers:
        start = headers[names][4] + header[0]
        if elf[start : elf.index(b"\0", start)].decode() == name:
            return header[4], header[5]
    if not required:
        return 0, 0
    raise ValueError(f"got a library without section {name}; is it the CUDA provider?")


def _may_be_launched(code: bytes) -> bool:
    import zstandard  # of the `bench` extra; nobody else needs it

    try:
        code = zstandard.ZstdDecompressor().decompress(code, max_output_size=1 << 28)
    except zstandard.ZstdError:
        return True  # not compressed, or otherwise: what cannot be read is kept
    names = set(re.findall(rb"\.text\.([A-Za-z0-9_]+)", code))
    return not names or sum(bool(NEVER_LAUNCHED.search(name)) for name in names) < MOSTLY * len(names)

"""Writes what is in a wheel: a software bill of materials (SBOM) in the JSON form of CycloneDX 1.6.

python -m release.sbom dist/vavl_edge-X.Y.Z-py3-none-any.whl

The file lies beside the wheel and is called NAME-VERSION.cdx.json. It holds the wheel with its hash, every file of a
bundle with its hash and its licence from WEIGHTS-LICENSES.md, and every required package with the versions that are
allowed. The same wheel gives the same bytes.
"""

import argparse
import hashlib
import os
import sys
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from email.message import Message
from email.parser import Parser
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.requirements import Requirement

from release.weight_licences import TABLE, is_weight, licences_of, read_table
from vavl_runtime.files import write_atomically

REQUIREMENT = "vavl-edge:requirement"  # name of the property that holds the allowed versions


def bill_of_materials(wheel: Path) -> str:
    """Describe a wheel.

    Args:
        wheel: Our wheel.

    Returns:
        The SBOM, JSON.

    Raises:
        ValueError: A file of a bundle has no licence in WEIGHTS-LICENSES.md, or that file is not in the wheel.
    """
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    with zipfile.ZipFile(wheel) as content:
        metadata = Parser().parsestr(_text(content, "METADATA"))
        weights = list(_weights(content))
        built = max(entry.date_time for entry in content.infolist())
    name, version = metadata["Name"], metadata["Version"]
    product = Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{name}-{version}",
        purl=PackageURL("pypi", name=name, version=version),
        description=metadata["Summary"],
        licenses=[LicenseExpression(metadata["License-Expression"])],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
    )
    packages = list(_packages(metadata))
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"sha256:{digest}"),
        metadata=BomMetaData(component=product, timestamp=datetime(*built, tzinfo=timezone.utc)),
        components=[*weights, *packages],
    )
    bom.register_dependency(product, packages)
    return str(JsonV1Dot6(bom).output_as_string(indent=2)) + "\n"


def path_of(wheel: Path) -> Path:
    """Where the SBOM of a wheel lies."""
    return wheel.with_name("-".join(wheel.name.split("-")[:2]) + ".cdx.json")


def _text(content: zipfile.ZipFile, name: str) -> str:
    """The one file of the ``.dist-info`` folder whose path ends with a name."""
    found = [path for path in content.namelist() if ".dist-info/" in path and path.endswith(f"/{name}")]
    if len(found) != 1:
        raise ValueError(f"{content.filename}: got {len(found)} files {name} in .dist-info, expected one; rebuild it")
    return content.read(found[0]).decode()


def _weights(content: zipfile.ZipFile) -> Iterator[Component]:
    """Every file of a bundle."""
    licences = licences_of(filter(is_weight, content.namelist()), read_table(_text(content, TABLE)))
    for name, licence in sorted(licences.items()):
        yield Component(
            name=name,
            type=ComponentType.FILE,
            bom_ref=name,
            licenses=[LicenseExpression(licence)],
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(content.read(name)).hexdigest())],
        )


def _packages(metadata: Message) -> Iterator[Component]:
    """Every package that is required, or that an extra brings; no versions, as a wheel pins none."""
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    own = metadata["Name"]
    for name in sorted({one.name for one in requirements} - {own}):
        named = [one for one in requirements if one.name == name]
        yield Component(
            name=name,
            type=ComponentType.LIBRARY,
            bom_ref=name,
            purl=PackageURL("pypi", name=name),
            scope=_scope(named),
            properties=[Property(name=REQUIREMENT, value=str(one)) for one in named],
        )


def _scope(requirements: Iterable[Requirement]) -> ComponentScope:
    always = any("extra" not in str(one.marker) for one in requirements)
    return ComponentScope.REQUIRED if always else ComponentScope.OPTIONAL


def main() -> int:
    """Write the SBOM beside the wheel."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel
    write_atomically(path_of(wheel), bill_of_materials(wheel).encode())
    print(os.fspath(path_of(wheel)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

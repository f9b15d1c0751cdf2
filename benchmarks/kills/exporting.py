"""``vavl-export onnx`` and ``vavl-export tensorrt`` under the harness."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.kills.command import Command, require
from vavl_runtime.backends.trt.engine_store import FOLDER, read_engine
from vavl_runtime.bundle import PACKAGED_BUNDLE, open_bundle
from vavl_runtime.errors import VavlError

GRAPHS = ("pnet", "audio")  # of the first the older engine still fits, of the second it is replaced


class ExportOnnx(Command):
    """Exports a bundle with random weights: a folder or an archive, with and without an older bundle in its place."""

    name, module = "vavl-export onnx", "vavl_export"
    compared = "hash of the manifest, which lists the hashes of all files"
    outputs = ("out", "out.vavl")
    kinds = 4

    def main(self) -> Callable[[], None]:
        """See `Command`."""
        from vavl_export import bundle_writer, cli, graph_export

        assert bundle_writer is not None
        trace, traced = graph_export.export_graph, self.inputs.traced

        def export_graph(spec: Any) -> Any:
            """Trace a graph once for all runs: that takes minutes and writes nothing."""
            import onnx

            kept = traced / f"{spec.name}.onnx"
            if not kept.exists():
                onnx.save(trace(spec), kept)
            return onnx.load(kept)

        graph_export.export_graph = export_graph
        return cli.main

    def arguments(self, number: int) -> list[str]:
        """See `Command`."""
        return ["onnx", "--preset", "light", "-o", self._output(number), *(["--force"] if self._older(number) else [])]

    def again(self, folder: Path, number: int) -> list[str]:
        """See `Command`."""
        return [*self.arguments(number), *([] if self._older(number) else ["--force"])]

    def prepare(self, folder: Path, number: int) -> None:
        """See `Command`."""
        if self._older(number):
            shutil.copytree(PACKAGED_BUNDLE, folder / "older")
            if self._output(number) == "out":
                (folder / "older").rename(folder / "out")
            else:
                from vavl_export.bundle_files import pack_folder

                pack_folder(folder / "older", folder / "out.vavl")
                shutil.rmtree(folder / "older")

    def check(self, folder: Path, number: int, said: str) -> None:
        """See `Command`."""
        output = folder / self._output(number)
        require(output.exists() or not self._older(number), "the older bundle is gone")
        if output.exists():
            self._verify(output)

    def result(self, folder: Path, number: int) -> object:
        """See `Command`."""
        output = folder / self._output(number)
        self._verify(output)
        with open_bundle(output) as bundle:
            return bundle.sha256

    @staticmethod
    def _output(number: int) -> str:
        return ("out", "out.vavl")[number % 2]

    @staticmethod
    def _older(number: int) -> bool:
        return number % 4 >= 2

    @staticmethod
    def _verify(output: Path) -> None:
        try:
            with open_bundle(output) as bundle:
                bundle.verify_all()
        except VavlError as error:
            require(False, f"the bundle is not whole: {error}")


class ExportTensorRt(Command):
    """Builds two engines of the packaged bundle, with and without older ones for other lengths."""

    name, module = "vavl-export tensorrt", "vavl_export"
    compared = "names of the engines, which hold the hashes of all that they depend on; each plan has its hash"
    outputs = ("bundle",)

    def main(self) -> Callable[[], None]:
        """See `Command`."""
        from vavl_export import cli
        from vavl_export.tensorrt import build

        assert build is not None
        return cli.main

    def arguments(self, number: int) -> list[str]:
        """See `Command`."""
        graphs = [part for graph in GRAPHS for part in ("--graph", graph)]
        return ["tensorrt", "bundle", "--precision", "fp32", "--compute-capability", "SM86", *graphs]

    def prepare(self, folder: Path, number: int) -> None:
        """See `Command`."""
        shutil.copytree(PACKAGED_BUNDLE, folder / "bundle")
        if number % 2:
            shutil.copytree(self.inputs.engines, folder / "bundle" / FOLDER)

    def check(self, folder: Path, number: int, said: str) -> None:
        """See `Command`."""
        engines = self._engines(folder)
        for graph in GRAPHS if number % 2 else ():
            require(any(name.startswith(f"{graph}-") for name in engines), f"no engine of {graph} is left")
        built = said.count(" MB in ")
        require(len(engines) >= built, f"{built} engines were reported, {len(engines)} are there")

    def result(self, folder: Path, number: int) -> object:
        """See `Command`."""
        return self._engines(folder)

    @staticmethod
    def _engines(folder: Path) -> list[str]:
        place = folder / "bundle" / FOLDER
        found = sorted(place.glob("[!.]*-*-*")) if place.exists() else []
        for engine in found:
            try:
                read_engine(engine)
            except VavlError as error:
                require(False, f"an engine is not whole: {error}")
        return [engine.name for engine in found]

"""Device names and the driver probe, against a driver that fills the same pointers as the real one."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runtime.fake_driver import ORIN, FakeDriver, FakeGpu, no_driver
from vavl_runtime.devices.gpu import Device, parse_device, probe_driver, require_gpu
from vavl_runtime.errors import BackendUnavailableError, InputError


@given(st.integers(0, 999))
def test_a_device_is_written_as_it_is_read(index: int) -> None:
    assert parse_device(str(parse_device(f"cuda:{index}"))) == Device("cuda", index)


@given(st.text())
def test_any_text_is_a_device_or_refused(text: str) -> None:
    try:
        device = parse_device(text)
    except InputError as error:
        assert "expected auto, cpu or cuda:N" in str(error)
    else:
        assert str(device) == text or (text, device) == ("cuda", Device("cuda", 0)) or int(text[5:]) == device.index


@pytest.mark.parametrize("text", ["", "gpu", "cuda:", "cuda:-1", "cuda:1 ", "cuda:٣", "CPU", "cuda:1000"])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected auto, cpu or cuda:N"):
        parse_device(text)


def test_no_driver_is_an_answer() -> None:
    driver = probe_driver(no_driver)
    assert (driver.cuda, driver.gpus) == (None, ())
    assert driver.problem is not None and "no NVIDIA driver (libcuda.so.1" in driver.problem


@pytest.mark.parametrize(
    ("code", "words"),
    [(100, "'no CUDA-capable device is detected' (code 100)"), (804, "forward compatibility"), (46, "code 46")],
)
def test_a_driver_that_does_not_start_says_why(code: int, words: str) -> None:
    driver = probe_driver(FakeDriver(init=code).load)
    assert driver.gpus == () and driver.cuda == (13, 2)
    assert driver.problem is not None and words in driver.problem


def test_a_driver_that_fails_later_is_an_answer_too() -> None:
    driver = probe_driver(FakeDriver(name=804).load)
    assert driver.gpus == () and driver.cuda == (13, 2)
    assert driver.problem is not None and "forward compatibility" in driver.problem


def test_hidden_gpus_are_explained() -> None:
    driver = probe_driver(FakeDriver(gpus=[]).load)
    assert driver.problem is not None and "CUDA_VISIBLE_DEVICES" in driver.problem


def test_every_gpu_is_described() -> None:
    driver = probe_driver(FakeDriver(gpus=[FakeGpu(), ORIN], version=12060).load)
    assert (driver.cuda, driver.problem) == ((12, 6), None)
    first, second = driver.gpus
    assert (first.name, first.compute_capability, first.integrated) == ("NVIDIA H100 80GB HBM3", (9, 0), False)
    assert (str(second), second.compute_capability, second.integrated) == ("cuda:1 (Orin)", (8, 7), True)
    assert second.memory_bytes == 8_000_000_000


def test_a_missing_gpu_names_those_that_are_there() -> None:
    with pytest.raises(BackendUnavailableError, match=r"cuda:1: this machine has cuda:0 \(NVIDIA H100"):
        require_gpu(1, probe_driver(FakeDriver().load))
    with pytest.raises(BackendUnavailableError, match=r"cuda:0: no NVIDIA driver .*--gpus all.*device cpu"):
        require_gpu(0, probe_driver(no_driver))


def test_the_probe_needs_nothing_heavy() -> None:
    code = (
        "import sys; from vavl_runtime.devices.gpu import probe_driver; probe_driver(); print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"

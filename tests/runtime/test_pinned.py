"""Page-locked memory, from a made-up driver."""

import numpy as np
import pytest

from tests.runtime.fake_driver import FakeDriver, no_driver
from vavl_runtime.devices.pinned import PinnedMemory
from vavl_runtime.errors import BackendUnavailableError


def test_arrays_lie_in_it() -> None:
    driver = FakeDriver()
    memory = PinnedMemory(driver.load)
    array = memory.array((2, 3), "float32")
    assert (array.shape, array.dtype) == ((2, 3), np.float32)
    assert list(driver.pinned) == [array.ctypes.data]
    source = np.arange(6, dtype=np.float32).reshape(2, 3)
    memory.copy_out(source.ctypes.data, array)
    np.testing.assert_array_equal(array, source)
    memory.free(array)
    assert not driver.pinned


def test_refusals_say_what_to_do() -> None:
    with pytest.raises(BackendUnavailableError, match=r"no NVIDIA driver .*; install it, or use device cpu"):
        PinnedMemory(no_driver)
    driver = FakeDriver(pinned_left=0)
    memory = PinnedMemory(driver.load)
    with pytest.raises(BackendUnavailableError, match="the NVIDIA driver cannot allocate 24 B: .*; free memory"):
        memory.array((2, 3), "float32")
    with pytest.raises(BackendUnavailableError, match="cannot copy 24 B from the GPU"):
        memory.copy_out(0, np.zeros((2, 3), np.float32))
    with pytest.raises(BackendUnavailableError, match="cannot free page-locked memory"):
        memory.free(np.zeros((2, 3), np.float32))

"""Processes that end with the process that started them."""

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Exit once the parent process has ended: a parent that is killed can tell nobody, and its children would go on.

    Does nothing in a process that `multiprocessing` did not start.
    """
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)

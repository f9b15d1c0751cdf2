"""Imitates macOS and Windows on Linux: takes away what one of them lacks. Python runs this file at start (PYTHONPATH).

Modules and names are hidden from our own code only, since libraries choose by `sys.platform`, which stays as it is.
The behaviour of files changes for everybody:
  - there is no /proc and no /sys;
  - a handle that cannot write cannot be flushed to disk;
  - a file that is open or mapped cannot be replaced or deleted, and a rename never replaces;
  - names cannot hold certain characters; text files have no default encoding.
"""

import builtins
import errno
import fcntl
import io
import os
import sys
import types
import warnings
from pathlib import Path

OURS = {"benchmarks", "vavl", "vavl_bench", "vavl_export", "vavl_runtime"}
HIDDEN_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
HIDDEN_NAMES = {
    "os": {
        *(name for name in vars(os) if name.startswith(("sched_", "posix_", "SCHED_", "WIF"))),
        *("O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_SYNC", "fdatasync", "fork", "forkpty"),
        *("getgid", "geteuid", "getloadavg", "getpgid", "getpriority", "getuid", "killpg", "mkfifo", "mknod", "nice"),
        *("chown", "process_cpu_count", "setsid", "statvfs", "sysconf", "uname", "wait3", "wait4"),
    },
    "signal": {"SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGQUIT", "SIGUSR1", "SIGUSR2", "alarm", "setitimer"},
    "time": {"clock_gettime", "clock_settime", "pthread_getcpuclockid", "tzset"},
}
HIDDEN_FOLDERS = ("/proc", "/sys")
FORBIDDEN_CHARACTERS = set('<>:"|?*')

_import, _open, _scandir, _listdir, _readlink = builtins.__import__, io.open, os.scandir, os.listdir, os.readlink


class _Limited(types.ModuleType):
    """A module without some of its names."""

    def __init__(self, module, hidden):
        super().__init__(module.__name__)
        self._module, self._hidden = module, hidden

    def __getattr__(self, name):
        if name in self._hidden:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(self._module, name)


_LIMITED = {name: _Limited(_import(name), hidden) for name, hidden in HIDDEN_NAMES.items()}


def _restricted_import(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get("__name__", "").split(".")[0]
    top = name.split(".")[0]
    if importer in OURS and level == 0:
        if top in HIDDEN_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if top in _LIMITED and name == top:
            return _LIMITED[top]
    return _import(name, globals, locals, fromlist, level)


def _is_hidden(path):
    if not isinstance(path, (str, bytes, os.PathLike)):
        return False
    text = os.fsdecode(path)
    return any(text == folder or text.startswith(folder + "/") for folder in HIDDEN_FOLDERS)


def _missing(path):
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(path))


def _without_hidden_folders(function):
    def call(path=".", *arguments, **options):
        if _is_hidden(path):
            raise _missing(path)
        return function(path, *arguments, **options)

    return call


def _restricted_open(file, mode="r", *arguments, **options):
    if _is_hidden(file):
        raise _missing(file)
    if isinstance(file, (str, os.PathLike)) and set(mode) & set("wax+"):
        _check_name(file)
    if "b" not in mode and len(arguments) < 2:
        options["encoding"] = io.text_encoding(options.get("encoding"), 2)  # warns about our caller
    return _open(file, mode, *arguments, **options)


def _check_name(path):
    name = Path(os.fsdecode(path)).name
    if set(name) & FORBIDDEN_CHARACTERS or name != name.rstrip(". "):
        raise OSError(errno.EINVAL, "the name is not allowed", os.fsdecode(path))


def _in_use(path, folder=None):
    """Whether this process has a file open or mapped."""
    base = _readlink(f"/proc/self/fd/{folder}") if folder is not None else Path.cwd()
    place = os.path.realpath(Path(base, os.fsdecode(path)))
    for number in _listdir("/proc/self/fd"):
        try:
            if _readlink(f"/proc/self/fd/{number}") == place:
                return True
        except OSError:
            continue
    with _open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        return any(line.rstrip("\n").endswith(" " + place) for line in maps)


def _unless_in_use(function):
    def call(path, *arguments, dir_fd=None, **options):
        if any(_in_use(file, dir_fd) for file in (path, *arguments[:1])):
            raise PermissionError(errno.EACCES, "another handle has the file open", os.fsdecode(path))
        if dir_fd is not None:
            options["dir_fd"] = dir_fd
        return function(path, *arguments, **options)

    return call


def _restricted_rename(source, target, **options):
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fsdecode(target))
    return _rename(source, target, **options)


def _restricted_fsync(file):
    number = file if isinstance(file, int) else file.fileno()
    if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return _fsync(file)


builtins.__import__ = _restricted_import
builtins.open = io.open = _restricted_open
os.scandir, os.listdir, os.stat = map(_without_hidden_folders, (os.scandir, os.listdir, os.stat))
_fsync, os.fsync = os.fsync, _restricted_fsync
_rename = _unless_in_use(os.rename)
os.rename = _restricted_rename
os.replace, os.unlink, os.remove = map(_unless_in_use, (os.replace, os.unlink, os.remove))
if sys.flags.warn_default_encoding:
    warnings.filterwarnings("error", category=EncodingWarning, module=r"(benchmarks|vavl)")

"""Files that are whole or absent, whatever happens while they are written."""

import contextlib
import os
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

# What NumPy, zipfile and json raise on files that are not what they should be.
DAMAGED = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OSError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


@contextlib.contextmanager
def whole_file(filepath: str) -> Iterator[BinaryIO]:
    """A binary file to write, which takes its place when it is complete.

    It is written beside its place, brought to the disk, and moved. A crash, a
    full disk or an exception leaves what was there before. Its folder is made.

    Args:
        filepath: Path of the file.
    """
    temporary = f"{filepath}.{os.getpid()}.tmp"
    folder = os.path.dirname(filepath) or "."
    os.makedirs(folder, exist_ok=True)
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, filepath)
        _sync_folder(folder)
    except OSError as error:
        if error.filename == temporary:  # Nobody knows that name.
            error.filename, error.filename2 = filepath, None
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _sync_folder(path: str) -> None:
    """Brings a folder's entries to the disk, where the system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""Keeps a second process out of a folder."""

import os
import weakref


class LockedFolder:
    """A folder that only one process at a time writes into.

    Args:
        path: Path of the folder.
        argument: Name of the argument that it was given as.
        purpose: What its process does, for messages: "records" or alike.
    """

    def __init__(self, path, argument, purpose):
        self.path = os.fspath(path)
        self._argument = argument
        self._purpose = purpose
        self._close = None

    def path_of(self, name):
        """Path of a file in the folder."""
        return os.path.join(self.path, name)

    def open(self):
        """Makes the folder, or raises ValueError where it can't be written."""
        if self._close is not None:
            return
        try:
            os.makedirs(self.path, exist_ok=True)
            descriptor = os.open(self.path_of(".lock"), os.O_CREAT | os.O_RDWR)
        except OSError as error:
            raise ValueError(
                f"Invalid value for argument `{self._argument}`. Expected a "
                "folder that can be written into. Received: "
                f"{self._argument}='{self.path}' ({error}). Pass another path."
            ) from error
        # Closed at the latest when nobody has this object any more.
        self._close = weakref.finalize(self, os.close, descriptor)
        if not _locked(descriptor):
            self.close()
            raise ValueError(
                f"Invalid value for argument `{self._argument}`. Expected a "
                f"folder of this training's own. Received: {self._argument}="
                f"'{self.path}', into which another process "
                f"{self._purpose}. Pass another path, or end it."
            )

    def close(self):
        """Lets other processes write."""
        if self._close is not None:
            self._close()
            self._close = None


def _locked(descriptor):
    """Bool: whether this process has a file, which no other one can have."""
    try:
        import fcntl
    except ImportError:  # Not on Windows.
        return True
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

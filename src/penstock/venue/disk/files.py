"""Whole files, written so that they are there or not."""

import os
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that after any crash it is wholly there or not at all. Raises OSError."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's names durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

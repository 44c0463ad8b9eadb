"""The checkout as the tidy tests see it: files that git tracks or would track, read and parsed once."""

import ast
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Checkout:
    """Paths are relative to the repository's root, with forward slashes."""

    root = ROOT

    def __init__(self):
        listed = subprocess.run(
            ["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
        )
        self.files = sorted(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())
        self.text = cache(self.text)
        self.tree = cache(self.tree)

    def under(self, prefix, *endings):
        """Files whose path starts with `prefix` and ends with one of `endings`."""
        return [name for name in self.files if name.startswith(prefix) and name.endswith(endings or "")]

    def text(self, name):
        """The file as text; empty for a binary file."""
        content = (ROOT / name).read_bytes()
        return "" if b"\0" in content else content.decode("utf-8", "replace")

    def lines(self, name):
        return self.text(name).splitlines()

    def tree(self, name):
        return ast.parse(self.text(name), name)

    def nodes(self, prefix):
        """Every syntax node of the Python files under `prefix`, as (file, node)."""
        return [(name, node) for name in self.under(prefix, ".py") for node in ast.walk(self.tree(name))]


@pytest.fixture(scope="session")
def checkout():
    return Checkout()

"""What every test shares: hypothesis profiles, missing tools counted aloud, and where screenshots go."""

import os
import shutil
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = shutil.which("chromium")
ANVIL = next(iter(sorted(ROOT.glob("node_modules/@foundry-rs/anvil-*/bin/anvil"))), None)

MISSING_TOOLS = {
    "needs_browser": None if CHROMIUM else "no chromium",
    "needs_cargo": None if shutil.which("cargo") else "no cargo",
    "needs_native": None if find_spec("penstock_core") else "the native core is not built",
    "needs_node": None if ANVIL and shutil.which("node") else "no anvil: node or its packages are missing",
}

settings.register_profile("default", max_examples=50, deadline=None)
settings.register_profile("ci", max_examples=250, deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI", "").lower() in {"true", "1"} else "default")


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=20, help="how often the loaded node is killed (default: 20)")
    parser.addoption("--screenshots", metavar="FOLDER", help="keep the browser tests' screenshots in FOLDER")


def pytest_collection_modifyitems(items):
    for item in items:
        for marker, missing in MISSING_TOOLS.items():
            if missing and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=missing))


def pytest_terminal_summary(terminalreporter):
    """One line that counts what did not run, by marker, with the reason."""
    skipped = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        marker = next((name for name in MISSING_TOOLS if name in report.keywords), "other")
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        skipped[marker, reason.removeprefix("Skipped: ")] += 1
    if skipped:
        counted = ", ".join(f"{count} {marker} ({reason})" for (marker, reason), count in sorted(skipped.items()))
        terminalreporter.write_line(f"skipped aloud: {counted}")


@pytest.fixture(scope="session")
def chromium():
    """Path of the browser; tests that use it carry `needs_browser`."""
    return CHROMIUM


@pytest.fixture
def screenshot_folder(request, tmp_path):
    """Where a browser test saves its pictures: `--screenshots FOLDER`, or a folder nobody keeps."""
    wanted = request.config.getoption("--screenshots")
    if not wanted:
        return tmp_path
    folder = ROOT / wanted
    folder.mkdir(parents=True, exist_ok=True)
    return folder

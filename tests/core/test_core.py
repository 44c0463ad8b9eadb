"""The Rust side's own tests, its lints, and the stub of the seam against the module that was built."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command):
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.needs_cargo
@pytest.mark.slow
def test_the_crates_pass_their_own_tests():
    said = run("cargo", "test", "--quiet", "--locked", "--profile", "fast", "--workspace", "--exclude", "penstock-core")
    assert said.count("test result: ok") >= 5


@pytest.mark.needs_cargo
def test_the_core_names_no_float_hash_map_or_clock_and_no_unsafe_but_in_two_kernels():
    lints = (ROOT / "Cargo.toml").read_text() + (ROOT / "clippy.toml").read_text()
    for denied in ("unsafe_code", "float_arithmetic", "HashMap", "HashSet", "SystemTime", "Instant"):
        assert denied in lints
    sources = {path: path.read_text() for path in (ROOT / "core").glob("*/src/**/*.rs")}
    unsafe = [path.name for path, text in sources.items() if "unsafe {" in text or "unsafe fn" in text]
    kernels = {"keccak_lanes.rs", "prefetch.rs"}
    assert set(unsafe) == kernels
    lifted = [path.name for path, text in sources.items() if "allow(unsafe_code)" in text]
    assert set(lifted) <= kernels | {"lib.rs"}
    pyo3 = [
        path.parts[-3] for path, text in sources.items() if "pyo3" in text and not text.startswith("//! Placeholder")
    ]
    assert set(pyo3) == {"python"}


@pytest.mark.needs_native
def test_the_stub_of_the_seam_is_what_the_module_has():
    allowed = str(ROOT / "core" / "python" / "stubtest.txt")
    run(sys.executable, "-m", "mypy.stubtest", "penstock_core", "--allowlist", allowed)


@pytest.mark.needs_cargo
def test_the_lock_files_agree_with_the_manifests():
    assert shutil.which("cargo")
    run("cargo", "metadata", "--locked", "--format-version", "1", "--offline")

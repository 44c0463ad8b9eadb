"""Make the bundled sample from the full recordings: same lines, fewer of them, packed tighter."""

import gzip
import hashlib
import lzma
import sys
from pathlib import Path
from typing import Final

WHOLE: Final = ("usdm_btcusdt_20240808", "usdm_ethusdt_20240808")
"""Kept line for line: depth diffs, best bid and ask, trades, one snapshot."""
BEST_ONLY: Final = ("spot_btcusdt_20240808", "spot_ethusdt_20240808")
"""Kept for the index price only: the `bookTicker` lines."""
_BEST_MARK: Final = b"@bookTicker"
_PRESET: Final = 9 | lzma.PRESET_EXTREME


def make_sample(source_folder: Path, target_folder: Path) -> dict[str, str]:
    """Write the sample's .xz files and SHA256SUMS into `target_folder`; returns file name -> SHA-256 (hex).

    `source_folder` holds the full .gz recordings. Lines are copied byte for byte. The same sources give the
    same lines; the same bytes too where liblzma is the same. Raises OSError when a source is missing or torn.
    """
    target_folder.mkdir(parents=True, exist_ok=True)
    sums: dict[str, str] = {}
    for name in WHOLE + BEST_ONLY:
        with gzip.open(source_folder / f"{name}.gz", "rb") as lines:
            kept = b"".join(line for line in lines if name in WHOLE or _BEST_MARK in line)
        packed = lzma.compress(kept, preset=_PRESET)
        (target_folder / f"{name}.xz").write_bytes(packed)
        sums[f"{name}.xz"] = hashlib.sha256(packed).hexdigest()
    listing = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    (target_folder / "SHA256SUMS").write_text(listing)
    return sums


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m penstock.simulation.sample SOURCE_FOLDER TARGET_FOLDER")
    make_sample(Path(sys.argv[1]), Path(sys.argv[2]))

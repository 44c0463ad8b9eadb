"""Write the golden vectors: `python tests/vectors`. Review what it changed as a diff."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from vectors.golden import FOLDER, every_file

for name, text in every_file().items():
    path = FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
        print("wrote", path.relative_to(FOLDER.parents[1]))

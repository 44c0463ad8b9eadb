"""The compiled contracts: Vyper in process, results kept on disk under the hash of everything they depend on."""

import hashlib
import importlib.metadata
import os
from pathlib import Path
from typing import Any, Final

import msgspec

_FLAGS: Final = "optimize=gas evm=prague"
_VYPER: Final = "vyper"


class Artifact(msgspec.Struct, frozen=True):
    """A contract ready to deploy: its name, its ABI as JSON values, and its creation code."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes


class CompilerMissing(Exception):
    """The Vyper compiler is not installed."""


class Library:
    """The contracts of one source folder.

    `root` is the repository's folder: sources are read from `root/contracts`, unless another folder is given,
    and results are kept in `root/.cache/contracts`, which git ignores.
    """

    def __init__(self, root: Path | None = None, sources: Path | None = None) -> None:
        self.root = root or repository()
        self.sources = sources or self.root / "contracts"
        self._cache = self.root / ".cache" / "contracts"
        self._loaded: dict[str, Artifact] = {}

    def artifact(self, name: str) -> Artifact:
        """The compiled contract `name`.vy. Raises CompilerMissing, or FileNotFoundError for no such source."""
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> Artifact:
        source = self.sources / f"{name}.vy"
        if not source.is_file():
            raise FileNotFoundError(
                f"no contract {name} among the sources: the repository's contracts folder is needed"
            )
        kept = self._cache / f"{name}-{self._key()}.json"
        if kept.is_file():
            return msgspec.json.decode(kept.read_bytes(), type=Artifact)
        artifact = _compile(source, self.sources)
        self._cache.mkdir(parents=True, exist_ok=True)
        # Written aside and renamed, so that a parallel reader never meets half a file.
        aside = kept.with_suffix(f".{os.getpid()}")
        aside.write_bytes(msgspec.json.encode(artifact))
        aside.replace(kept)
        return artifact

    def _key(self) -> str:
        """Every source of the folder counts, so whatever a contract imports from it is covered."""
        digest = hashlib.sha256(f"{_compiler_version()} {_FLAGS}".encode())
        for path in sorted(self.sources.rglob("*.vy*")):
            content = path.read_bytes()
            digest.update(f"\n{path.relative_to(self.sources).as_posix()} {len(content)}\n".encode() + content)
        return digest.hexdigest()[:32]


def repository() -> Path:
    """The repository's folder, when the package runs from its checkout."""
    return Path(__file__).resolve().parents[3]


def _compiler_version() -> str:
    try:
        return importlib.metadata.version(_VYPER)
    except importlib.metadata.PackageNotFoundError as error:
        raise CompilerMissing("the contracts need the Vyper compiler: install penstock with its demo extra") from error


def _compile(source: Path, search: Path) -> Artifact:
    # Imported here: the compiler takes a second to load and a kept result needs none of it.
    from vyper.compiler import compile_from_file_input
    from vyper.compiler.input_bundle import FilesystemInputBundle
    from vyper.compiler.settings import OptimizationLevel, Settings

    sources = FilesystemInputBundle([search])
    compiled = compile_from_file_input(
        sources.load_file(source),
        input_bundle=sources,
        settings=Settings(optimize=OptimizationLevel.GAS, evm_version="prague"),
        output_formats=["abi", "bytecode"],
        # Without metadata equal code has equal bytes, wherever and from whichever comments it was compiled.
        no_bytecode_metadata=True,
    )
    return Artifact(source.stem, compiled["abi"], bytes.fromhex(compiled["bytecode"][2:]))

"""Words of the saved form: each 32-byte word as its length and the fewest bytes of two's complement."""

from collections.abc import Iterator

from penstock.protocol.quantities import div_floor
from penstock.protocol.words import WORD


def shortened(words: bytes) -> bytes:
    """Whole words, 32 bytes each, made short."""
    return b"".join(_shorten(words[at : at + WORD]) for at in range(0, len(words), WORD))


def _shorten(word: bytes) -> bytes:
    number = int.from_bytes(word, "big", signed=True)
    if number == 0:
        return b"\0"
    length = ((number if number > 0 else ~number).bit_length() >> 3) + 1
    return bytes([length]) + word[WORD - length :]


class Words:
    """A cursor over short words; whatever is not one, or not in its range, is refused with the byte where it stands."""

    def __init__(self, body: bytes, at: int) -> None:
        self._body, self._at, self._last = body, at, at
        self._whole: list[bytes] = []

    def wrong(self, why: str) -> ValueError:
        """The refusal at the last word read."""
        return ValueError(f"saved state, byte {self._last}: {why}")

    def hash(self) -> bytes:
        """The next word whole, 32 bytes."""
        self._last = self._at
        length = self._body[self._at] if self._at < len(self._body) else WORD + 1
        first = self._at + 1
        short = self._body[first : first + length]
        if length > WORD or len(short) != length:
            raise self.wrong("no word")
        number = int.from_bytes(short, "big", signed=True)
        word = number.to_bytes(WORD, "big", signed=True)
        if _shorten(word) != self._body[self._at : first + length]:
            raise self.wrong("a word longer than it has to be")
        self._at = first + length
        self._whole.append(word)
        return word

    def number(self, what: str, least: int, most: int) -> int:
        """The next word, a number from `least` to `most`."""
        number = int.from_bytes(self.hash(), "big", signed=True)
        if not least <= number <= most:
            raise self.wrong(f"{what} is {number}, wants {least} to {most}")
        return number

    def flag(self, what: str) -> bool:
        """The next word, 0 or 1."""
        return self.number(what, 0, 1) == 1

    def address(self, what: str) -> bytes:
        """The next word, 20 bytes."""
        return self.number(what, 0, (1 << 160) - 1).to_bytes(20, "big")

    def expect(self, what: str, wanted: bytes) -> None:
        """The next word, which can only be one."""
        found = self.hash()
        if found != wanted:
            raise self.wrong(f"{what} is {found.hex()}, wants {wanted.hex()}")

    def count(self, what: str, most: int, words_each: int) -> int:
        """The next word, a count of things of so many words each that can still follow."""
        return self.number(what, 0, min(most, self.count_limit(words_each, 1)))

    def count_limit(self, words_each: int, ahead: int = 1) -> int:
        """How many things of so many words fit what follows the next `ahead` words."""
        left = len(self._body) - self._at - ahead
        return div_floor(max(0, left), words_each)

    def keys(self, what: str, limit: int, words_each: int, first: int = 0, *, most: int | None = None) -> Iterator[int]:
        """The ascending keys, each below `limit`, of a list whose things the caller reads in between."""
        for _ in range(self.count(f"number of {what}", limit if most is None else most, words_each)):
            key = self.number(f"key of {what}", first, limit - 1)
            yield key
            first = key + 1

    def finish(self) -> None:
        """Raises ValueError when anything follows."""
        self._last = self._at
        if self._at != len(self._body):
            raise self.wrong(f"{len(self._body) - self._at} bytes too many")

    def whole(self) -> bytes:
        """Every word read so far, 32 bytes each."""
        return b"".join(self._whole)

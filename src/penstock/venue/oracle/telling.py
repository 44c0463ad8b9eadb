"""What strangers' code and answers said, as text that can be kept, logged and sent, whatever it was."""

from typing import Final

MOST_TOLD: Final = 1_000
"""Characters of one text; what was longer ends with an ellipsis."""


def printable(text: str, most: int = MOST_TOLD) -> str:
    """The text with a question mark for every lone surrogate, which no JSON can carry; `most` characters of it."""
    whole = text if len(text) <= most else text[: most - 1] + "…"
    return whole.encode("utf-8", "replace").decode()


def told_by(error: BaseException, most: int = MOST_TOLD) -> str:
    """What an error says; its type's name where it says nothing or cannot. A timeout that says nothing `timed out`."""
    try:
        said = str(error)
    except Exception as fault:  # the text of a stranger's error is a stranger's code too
        said = f"{type(error).__name__} without a text ({type(fault).__name__})"
    if not said:
        said = "timed out" if isinstance(error, TimeoutError) else type(error).__name__
    return printable(said, most)

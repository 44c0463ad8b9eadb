"""Nothing is long without saying why: a comment `long: reason` near a file's top or beside a function's name."""

import ast
import re

LONGEST_FILE = 600
LONGEST_FUNCTION = 60
REASON = re.compile(r"(#|//|/\*|<!--) long: \w+")
CODE = (".py", ".pyi", ".vy", ".vyi", ".rs", ".js", ".mjs", ".css", ".html", ".sh")


def test_no_file_is_longer_than_600_lines_without_a_reason(checkout):
    too_long = []
    for name in checkout.under("", *CODE):
        lines = checkout.lines(name)
        if len(lines) > LONGEST_FILE and not REASON.search("\n".join(lines[:12])):
            too_long.append(f"{name}: {len(lines)} lines")
    assert too_long == []


def test_no_python_function_is_longer_than_60_lines_without_a_reason(checkout):
    too_long = []
    for name, node in checkout.nodes(""):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        length = node.end_lineno - node.lineno + 1
        # Beside it: the line above the name, or any line of the signature.
        beside = checkout.lines(name)[max(0, node.lineno - 2) : node.body[0].lineno]
        if length > LONGEST_FUNCTION and not REASON.search("\n".join(beside)):
            too_long.append(f"{name}:{node.lineno} {node.name}: {length} lines")
    assert too_long == []


def test_no_contract_function_is_longer_than_60_lines_without_a_reason(checkout):
    too_long = []
    for name in checkout.under("", ".vy"):
        lines = checkout.lines(name)
        starts = [number for number, line in enumerate(lines) if re.match(r"\S", line)]
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            if not lines[start].startswith("def "):
                continue
            # A signature over several lines closes with an unindented `)`: the body is in the next part.
            signature_closes = end < len(lines) and lines[end].startswith(")")
            stop = next((s for s in starts if s > end), len(lines)) if signature_closes else end
            length = len("\n".join(lines[start:stop]).rstrip().splitlines())
            if length > LONGEST_FUNCTION and not REASON.search("\n".join(lines[max(0, start - 1) : start + 1])):
                too_long.append(f"{name}:{start + 1}: {length} lines")
    assert too_long == []

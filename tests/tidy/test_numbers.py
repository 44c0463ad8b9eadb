"""Money is integers, and the spec is a pure function of what it is given."""

import ast
import re

DIVISIONS = {"div_floor", "div_ceil", "div_trunc"}
OUTSIDE_WORLD = {
    "asyncio", "datetime", "io", "logging", "math", "os", "pathlib", "random", "secrets", "socket", "subprocess",
    "sys", "tempfile", "threading", "time", "uuid",
}  # fmt: skip


def floats_and_divisions(checkout, prefix):
    for name, node in checkout.nodes(prefix):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            yield f"{name}:{node.lineno} {node.value}"
        if isinstance(node, ast.Name) and node.id in {"float", "divmod", "round"}:
            yield f"{name}:{node.lineno} {node.id}"
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div | ast.FloorDiv):
            yield f"{name}:{node.lineno} bare division"


def test_the_spec_has_no_float_and_no_bare_division(checkout):
    assert list(floats_and_divisions(checkout, "src/penstock/spec/")) == []


def test_the_protocol_has_no_float(checkout):
    found = floats_and_divisions(checkout, "src/penstock/protocol/")
    assert [place for place in found if not place.endswith("bare division")] == []


def test_the_three_divisions_are_where_the_spec_takes_them_from(checkout):
    quantities = checkout.tree("src/penstock/protocol/quantities.py")
    assert {node.name for node in quantities.body if isinstance(node, ast.FunctionDef)} >= DIVISIONS


def test_the_contracts_have_no_float(checkout):
    found = []
    for name in checkout.under("contracts/", ".vy", ".vyi"):
        code = re.sub(r'""".*?"""', lambda doc: "\n" * doc.group().count("\n"), checkout.text(name), flags=re.DOTALL)
        for number, line in enumerate(code.splitlines(), 1):
            bare = re.sub(r'"[^"]*"|#.*', "", line)
            if re.search(r"\b(float|decimal)\b|\b\d[\d_]*\.\d", bare):
                found.append(f"{name}:{number} {line.strip()}")
    assert found == []


def test_the_spec_knows_no_clock_no_file_no_network_and_no_dice(checkout):
    found = []
    for name, node in checkout.nodes("src/penstock/spec/"):
        if isinstance(node, ast.Import):
            imported = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported = [node.module or ""]
        else:
            continue
        found += [f"{name}:{node.lineno} {module}" for module in imported if module.split(".")[0] in OUTSIDE_WORLD]
    assert found == []

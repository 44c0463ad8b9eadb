"""What a reviewer would otherwise say again in every review."""

import ast
import re

REFUSED_WORDS = {"manager", "handler", "helper", "helpers", "util", "utils", "service", "processor", "common", "misc"}
REFUSED_NAMES = {"data", "info", "obj", "tmp"}
REFUSED_VERBS = ("do_", "process_", "handle_")
LATER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
MACHINE_PATH = re.compile(r"(?<![\w.~])/(?:home|root|Users|work|mnt|opt/wheels|tmp/[\w.-]+)/[\w.-]+")
REGISTRY_SETTING = re.compile(r"(?i)(index[-_]url|find[-_]links|trusted-host|^\s*registry\s*=)")
PRIVATE_HOST = re.compile(r":\d|@|^[\d.]+$|^[^.]+$|\.(?:internal|local|lan|corp|intranet|home)$")
LOCKS = {"uv.lock", "package-lock.json", "Cargo.lock"}
CODE = (".py", ".vy", ".vyi", ".rs", ".js", ".mjs")
DEFINED = re.compile(
    r"^\s*(?:(?:export|async|pub)\s+)*(?:def|class|function\*?|fn|struct|flag|event)\s+(\w+)", re.MULTILINE
)


def words_of(name):
    """The words of a snake_case or CamelCase name, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def is_refused(name):
    return bool(
        words_of(name) & REFUSED_WORDS
        or name.strip("_").lower() in REFUSED_NAMES
        or name.lstrip("_").startswith(REFUSED_VERBS)
        or re.match(r"(Base|Abstract|New)[A-Z]", name)
        or re.search(r"(_v|V)\d+$", name)
    )


def ours(checkout):
    """Tracked text that people wrote: not lock files, not recorded data, not this file's own patterns."""
    return [
        name
        for name in checkout.files
        if name not in LOCKS and not name.startswith("data/") and not name.startswith("tests/tidy/")
    ]


def grep(checkout, names, pattern):
    return [
        f"{name}:{number} {line.strip()[:100]}"
        for name in names
        for number, line in enumerate(checkout.lines(name), 1)
        if pattern.search(line)
    ]


def test_names_say_what_a_thing_is(checkout):
    refused = [
        f"{name}: {defined}"
        for name in checkout.under("", *CODE)
        for defined in DEFINED.findall(checkout.text(name))
        if is_refused(defined)
    ]
    assert refused == []


def test_no_room_is_named_after_what_does_not_fit_elsewhere(checkout):
    code = [name for name in checkout.files if name.endswith(CODE)]
    rooms = {part.partition(".")[0] for name in code for part in name.split("/")}
    assert sorted(room for room in rooms if words_of(room) & REFUSED_WORDS or room in REFUSED_NAMES) == []


def test_the_environment_is_read_in_the_cli_only(checkout):
    found = []
    for name, node in checkout.nodes("src/penstock/"):
        reads = isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"}
        imports = isinstance(node, ast.ImportFrom) and {alias.name for alias in node.names} & {"environ", "getenv"}
        if (reads or imports) and not name.startswith("src/penstock/cli/"):
            found.append(f"{name}:{node.lineno}")
    assert found == []


def test_no_exception_is_swallowed(checkout):
    found = []
    for name, node in checkout.nodes(""):
        if isinstance(node, ast.ExceptHandler):
            body = node.body[0]
            silent = len(node.body) == 1 and (
                isinstance(body, ast.Pass) or (isinstance(body, ast.Expr) and isinstance(body.value, ast.Constant))
            )
            if silent or node.type is None:
                found.append(f"{name}:{node.lineno} except that says nothing")
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "suppress":
            broad = {ast.unparse(argument) for argument in node.args} & {"Exception", "BaseException"}
            if broad:
                found.append(f"{name}:{node.lineno} suppress({broad.pop()})")
    assert found == []


def test_nothing_is_left_for_later_in_a_comment(checkout):
    assert grep(checkout, ours(checkout), LATER) == []


def test_no_path_of_somebodys_machine_is_in_the_tree(checkout):
    assert grep(checkout, ours(checkout), MACHINE_PATH) == []


def test_no_package_index_is_set_and_the_locks_name_no_private_one(checkout):
    assert grep(checkout, ours(checkout), REGISTRY_SETTING) == []
    hosts = {
        host
        for name in LOCKS & set(checkout.files)
        for host in re.findall(r'(?:"resolved": |registry = |url = )"https?://([^/"]+)', checkout.text(name))
    }
    assert [host for host in sorted(hosts) if PRIVATE_HOST.search(host)] == []

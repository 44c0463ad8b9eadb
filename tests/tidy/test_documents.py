"""Every link resolves, every console block runs, and every start says what this is not.

A fenced `console` block is run by this test, line by line of `$ `, in one shell from the repository's root, unless the
line before its fence is `<!-- not run: reason -->`.
"""

import os
import posixpath
import re
import subprocess
from collections import Counter
from urllib.parse import unquote

DISCLAIMER = "not audited; not for real money"
FIRST_LINES = {"README.md": 12, "docs/start.md": 12, "console/index.html": 60}
SECONDS_A_BLOCK = 120
COVERED = {
    "git clone": "running at all shows it",
    "cd penstock": "running at all shows it",
    "make setup": "installed this environment",
    "make check": "runs this test",
    "make test": "runs this test",
    "make demo": "tests/simulation run the same demo",
    "make screenshots": "tests/console take the same pictures",
}
FENCED = re.compile(r"^(?P<fence>```+)(?P<language>[^\n`]*)\n(?P<body>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE_LINK = re.compile(r"^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
NOT_RUN = re.compile(r"<!-- not run: \w.* -->$")


def prose(text):
    """The page without its fenced blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", FENCED.sub("", text))


def anchors(text):
    """The anchors a page's headings get, and the ones it sets itself."""
    found = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    seen = Counter()
    for heading in re.findall(r"^#{1,6}\s+(.*?)\s*#*$", FENCED.sub("", text), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def console_blocks(checkout):
    """(file, line, commands, runs) of every console block."""
    for name in checkout.under("", ".md"):
        text = checkout.text(name)
        for block in FENCED.finditer(text):
            if block["language"].strip() != "console":
                continue
            before = text[: block.start()].rstrip().rpartition("\n")[2]
            commands = [line[2:] for line in block["body"].splitlines() if line.startswith("$ ")]
            yield name, text.count("\n", 0, block.start()) + 1, commands, not NOT_RUN.match(before)


def test_every_relative_link_resolves(checkout):
    broken = []
    for name in checkout.under("", ".md"):
        text = prose(checkout.text(name))
        for target in LINK.findall(text) + REFERENCE_LINK.findall(text):
            if re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            path, _, anchor = unquote(target).partition("#")
            there = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
            exists = (checkout.root / there).exists()
            if not exists or (anchor and there.endswith(".md") and anchor not in anchors(checkout.text(there))):
                broken.append(f"{name}: {target}")
    assert broken == []


def test_every_console_block_runs(checkout):
    environment = dict(os.environ, PATH=f"{checkout.root / '.venv/bin'}{os.pathsep}{os.environ['PATH']}")
    failed = []
    for name, line, commands, runs in console_blocks(checkout):
        wanted = [command for command in commands if not command.startswith(tuple(COVERED))]
        if not runs or not wanted:
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", "\n".join(wanted)],
            cwd=checkout.root, env=environment, capture_output=True, text=True, timeout=SECONDS_A_BLOCK, check=False,
        )  # fmt: skip
        if done.returncode:
            failed.append(f"{name}:{line} exit {done.returncode}: {(done.stderr or done.stdout)[-400:]}")
    assert failed == []


def test_every_console_block_has_a_command(checkout):
    assert [f"{name}:{line}" for name, line, commands, _ in console_blocks(checkout) if not commands] == []


def test_every_make_target_in_the_documents_exists(checkout):
    targets = set(re.findall(r"^([a-z]+):", checkout.text("Makefile"), re.MULTILINE))
    missing = []
    for name in checkout.under("", ".md"):
        for span in re.findall(r"(?:`|^\$ )make ([^`\n]*)", checkout.text(name), re.MULTILINE):
            words = re.sub(r'\w+=("[^"]*"|\S*)|#.*', "", span).split()
            missing += [f"{name}: make {word}" for word in words if word not in targets]
    assert missing == []


def test_every_start_says_that_it_is_not_audited(checkout):
    silent = [
        name
        for name, first in FIRST_LINES.items()
        if not (checkout.root / name).is_file() or DISCLAIMER not in "\n".join(checkout.lines(name)[:first]).lower()
    ]
    assert silent == []


def test_every_reference_page_says_that_it_is_not_audited(checkout):
    pages = checkout.under("docs/concepts/", ".md") + checkout.under("docs/reference/", ".md")
    assert [name for name in pages if DISCLAIMER not in "\n".join(checkout.lines(name)[:12]).lower()] == []


def test_every_decision_is_numbered_once_and_gives_context_decision_and_price(checkout):
    decisions = [name for name in checkout.under("docs/decisions/", ".md") if re.search(r"/\d", name)]
    numbers = Counter(name.rpartition("/")[2][:4] for name in decisions)
    assert [number for number, times in numbers.items() if times > 1] == []
    assert [
        name
        for name in decisions
        if not re.search(r"/\d{4}-[a-z0-9-]+\.md$", name)
        or any(f"## {part}" not in checkout.text(name) for part in ("Context", "Decision", "Price paid"))
    ] == []

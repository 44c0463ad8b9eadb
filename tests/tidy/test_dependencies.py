"""One lock, in agreement with what is asked for; a line of reasons for each dependency."""

import json
import re
import tomllib

import pytest

REFUSED = {"titanoboa", "snekmate", "pyrevm"}
NAMED = re.compile(r"^[A-Za-z0-9_.-]+")


@pytest.fixture(scope="module")
def project(checkout):
    return tomllib.loads(checkout.text("pyproject.toml"))


@pytest.fixture(scope="module")
def asked(project):
    """Every requirement of the Python project, as text."""
    extras = project["project"].get("optional-dependencies", {}).values()
    groups = project.get("dependency-groups", {}).values()
    return [*project["project"]["dependencies"], *(line for lines in (*extras, *groups) for line in lines)]


def test_the_lock_holds_what_the_project_asks_for(checkout, asked):
    packages = {package["name"]: package for package in tomllib.loads(checkout.text("uv.lock"))["package"]}
    metadata = packages["penstock"]["metadata"]
    locked = [*metadata["requires-dist"], *(line for lines in metadata["requires-dev"].values() for line in lines)]

    def written(entry):
        extras = f"[{','.join(entry['extras'])}]" if "extras" in entry else ""
        return f"{entry['name']}{extras}{entry.get('specifier', '')}"

    assert sorted(written(entry) for entry in locked) == sorted(asked), "run `uv lock` and commit uv.lock"


def test_every_dependency_has_a_line_that_says_why_and_under_what_licence(checkout, project, asked):
    page = checkout.text("docs/decisions/dependencies.md")
    npm = json.loads(checkout.text("package.json"))
    wanted = {NAMED.match(line).group() for line in (*asked, *project["build-system"]["requires"])}
    wanted |= {name for kind in ("dependencies", "devDependencies") for name in npm.get(kind, {})}
    wanted |= crates(checkout)
    explained = set(re.findall(r"^\| `([^`]+)`", page, re.MULTILINE))
    assert {"missing": sorted(wanted - explained), "stale": sorted(explained - wanted)} == {"missing": [], "stale": []}


def crates(checkout):
    """Every crate that ours ask for and that is not ours."""
    manifests = [tomllib.loads(path.read_text()) for path in checkout.root.glob("core/*/Cargo.toml")]
    own = {manifest["package"]["name"] for manifest in manifests}
    kinds = ("dependencies", "dev-dependencies", "build-dependencies")
    return {name for manifest in manifests for kind in kinds for name in manifest.get(kind, {})} - own


def test_what_was_refused_for_its_licence_is_not_installed(checkout):
    locked = {package["name"] for package in tomllib.loads(checkout.text("uv.lock"))["package"]}
    assert sorted(locked & REFUSED) == []

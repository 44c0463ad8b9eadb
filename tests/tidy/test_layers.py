"""Who may import whom, beyond what .importlinter says."""

import configparser
import re
import tomllib
from graphlib import CycleError, TopologicalSorter

import grimp
import pytest


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("penstock", cache_dir=None)


def test_no_module_imports_itself_in_a_circle(graph):
    circle = []
    try:
        TopologicalSorter(
            {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
        ).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert circle == []


def test_participants_import_no_venue_no_engine_and_no_spec(graph):
    forbidden = re.compile(r"penstock\.(venue|engine|spec)(\.|$)")
    assert [
        f"{module} imports {imported}"
        for module in sorted(graph.modules)
        if module.startswith("penstock.participants")
        for imported in sorted(graph.find_modules_directly_imported_by(module))
        if forbidden.match(imported)
    ] == []


def test_every_module_is_imported_by_something_or_is_an_entry_point(graph, checkout):
    scripts = tomllib.loads(checkout.text("pyproject.toml"))["project"]["scripts"].values()
    entry_points = {target.partition(":")[0] for target in scripts} | {"penstock", "penstock.__main__"}
    packages = {name for name in graph.modules if graph.find_children(name)}
    assert [
        module
        for module in sorted(graph.modules - entry_points - packages)
        if not graph.find_modules_that_directly_import(module)
    ] == []


def test_a_layer_stands_in_parentheses_only_until_it_is_built(checkout):
    config = configparser.ConfigParser()
    config.read_string(checkout.text(".importlinter"))
    unbuilt = re.findall(r"\((\w+)\)", config["importlinter:contract:layers"]["layers"])
    built = [layer for layer in unbuilt if checkout.under(f"src/penstock/{layer}/", ".py")]
    assert built == [], "take these out of parentheses in .importlinter"

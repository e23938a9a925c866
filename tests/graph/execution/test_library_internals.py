"""Undocumented parts of graphql-core and Strawberry: one module each, and it names the version that was read."""

import ast
from importlib.metadata import version
from pathlib import Path

import pytest

from graph.execution import graphql_core_internals, strawberry_internals
from tests.support.repository import ROOT

WALLS = {"graph/execution/graphql_core_internals.py", "graph/execution/strawberry_internals.py"}
MODULES = {str(path.relative_to(ROOT)): ast.parse(path.read_text("utf-8")) for path in (ROOT / "graph").glob("**/*.py")}
# What the two libraries document and the service imports. All of graphql-core's API can be imported from `graphql`.
DOCUMENTED = {
    "graphql",
    "strawberry",
    "strawberry.dataloader",
    "strawberry.types",
}
INTERNAL_NAMES = {
    "Executor",
    "_schema",
    "__strawberry_definition__",
    "DEFINITION_BACKREF",
    "base_resolver",
    "complete_value",
    "extensions",
    "from_input",
}
COMPARISONS = {
    "graphql-core": (
        graphql_core_internals,
        "tests/graph/execution (results, limits, messages) and tests/graph/http/test_http_errors.py (LOG-02)",
    ),
    "strawberry-graphql": (strawberry_internals, "tests/graph/api and tests/graph/execution"),
}


@pytest.mark.parametrize("distribution", COMPARISONS)
def test_the_installed_version_is_the_one_that_was_read(distribution: str) -> None:
    module, tests = COMPARISONS[distribution]
    installed, path = version(distribution), Path(module.__file__ or "").relative_to(ROOT)
    assert installed == module.READ_AGAINST, (
        f"{distribution} {installed} is installed, and {path} was read against {module.READ_AGAINST}. Read what that "
        f"module imports in the source of {installed}, run {tests} with KINDRED_GRAPHQL_PLANS on and off, and then "
        "change READ_AGAINST."
    )


def test_no_other_module_imports_undocumented_parts() -> None:
    imports = {
        (name, node.module)
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in ("graphql", "strawberry")
    }
    assert {(name, module) for name, module in imports if module not in DOCUMENTED and name not in WALLS} == set()


def test_no_other_module_uses_undocumented_names() -> None:
    names = {
        (name, node.attr if isinstance(node, ast.Attribute) else node.name)
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.alias)
    }
    assert {(name, used) for name, used in names if used in INTERNAL_NAMES and name not in WALLS} == set()

"""Mutation testing: change one thing in the code, and see whether a test fails.

`make mutants` tries every change in `TARGETS`, and `python -m tests.mutants auth/use_cases/rotation.py:60-110` those in
some lines. The first run records which test executes which line (`--record` repeats it), in ten minutes. Each change
is then tried in a copy of the tree, with the tests that execute its line, then those of its function and of its file,
the quickest first. A change that no test notices is printed, and the exit code is 1: write the missing test, or find
that the change makes no difference.
"""

import argparse
import ast
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import coverage
import pytest

from tests.support.databases import Server
from tests.support.repository import ROOT

TARGETS = ("auth/use_cases", "auth/crypto", "db/hot_path", "db/tables/families.py")
# Tests that run in seconds and in one process; those that kill servers or race workers are too slow to repeat.
SUITE = (
    "tests/auth",
    "tests/db",
    "tests/graph/api",
    "tests/graph/http/test_rest.py",
    "tests/concurrency/test_lock_order.py",
)
PARTS = ("auth", "db", "graph", "migrations", "tests", "docs", "schema.graphql", "pyproject.toml", "README.md")
RECORD = ROOT / ".mutants.json"
SLOW = 8.0  # seconds that a test may take to be of use here
FIRST_TESTS, OTHER_TESTS = 60, 200  # that are tried: so many, and then the others if these pass
TIMEOUT = 120.0  # seconds for each of the two; a change that makes them hang is noticed

_SWAPPED: dict[type[ast.AST], str] = {
    **{ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "=="},
    **{ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in"},
    **{ast.Add: "-", ast.Sub: "+", ast.Mult: "+", ast.And: "or", ast.Or: "and"},
}


@dataclass(frozen=True)
class Mutant:
    """One change: `text` replaces the bytes between two offsets of a file."""

    path: str
    line: int
    start: int
    end: int
    text: str
    was: str
    function: range  # the lines of the innermost function around it, with its decorators; empty if there is none

    def __str__(self) -> str:
        was, becomes = (" ".join(part.split())[:80] for part in (self.was, self.text or "(nothing)"))
        return f"{self.path}:{self.line}: {was}  ->  {becomes}"


def mutants_of(path: str, lines: range | None = None) -> Iterator[Mutant]:
    """Every change of one file, or of some of its lines."""
    source = (ROOT / path).read_text(encoding="utf-8")
    starts = [0]
    for text in source.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(text))
    raw = source.encode()
    tree = ast.parse(source)
    functions = sorted(
        (
            range(min([node.lineno, *(d.lineno for d in node.decorator_list)]), (node.end_lineno or 0) + 1)
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ),
        key=len,
    )

    def around(line: int) -> range:
        return next((function for function in functions if line in function), range(0))

    def at(line: int, column: int) -> int:
        return starts[line - 1] + column

    def of(node: Any, text: str) -> Mutant:
        start, end = at(node.lineno, node.col_offset), at(node.end_lineno, node.end_col_offset)
        return Mutant(path, node.lineno, start, end, text, raw[start:end].decode(), around(node.lineno))

    def between(left: Any, right: Any, text: str) -> Mutant:
        start, end = at(left.end_lineno, left.end_col_offset), at(right.lineno, right.col_offset)
        # Between two operands stand the operator and their parentheses.
        was = raw[start:end].decode()
        changed = re.sub(r"[^()\s]+( [a-z]+)?", text, was, count=1)
        return Mutant(path, left.end_lineno, start, end, changed, was, around(left.end_lineno))

    # How a dataclass is stored changes nothing that it does.
    passed_over = {
        keyword.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg in {"frozen", "slots"}
    }
    for node in ast.walk(tree):
        if node in passed_over or (lines is not None and getattr(node, "lineno", 0) not in lines):
            continue
        yield from _changes(node, of, between)


def _changes(
    node: ast.AST, of: Callable[[Any, str], Mutant], between: Callable[[Any, Any, str], Mutant]
) -> Iterator[Mutant]:
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _SWAPPED:
            yield between(left, right, _SWAPPED[type(operator)])
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _SWAPPED:
            yield between(left, right, _SWAPPED[type(operator)])
        case ast.BoolOp(op=operator, values=values):
            for left, right in itertools.pairwise(values):
                yield between(left, right, _SWAPPED[type(operator)])
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
            yield of(node, ast.unparse(operand))
        case ast.Constant(value=bool(value)):
            yield of(node, str(not value))
        case ast.Constant(value=int(value)):
            yield of(node, str(value + 1))
        case ast.IfExp(body=body, orelse=orelse):
            yield of(node, ast.unparse(body))
            yield of(node, ast.unparse(orelse))
        case ast.If(test=test) | ast.While(test=test):
            yield of(test, "True" if isinstance(node, ast.If) else "False")
            if isinstance(node, ast.If):
                yield of(test, "False")
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise():
            yield of(node, "pass")
        case ast.Call(func=ast.Attribute(attr="where"), args=[_, _, *_] as conditions):
            # A condition of a statement.
            for condition in conditions:
                yield of(condition, "sqlalchemy_true")
        case ast.Call(func=ast.Name(id="min" | "max" as name) as function):
            yield of(function, "max" if name == "min" else "min")


class _Recorder:
    """A pytest plugin: which test executes which line, and how long it takes."""

    def __init__(self) -> None:
        self.coverage = coverage.Coverage(data_file=None, source=["auth", "db"])
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        self.coverage.switch_context(item.nodeid)
        started = time.monotonic()
        result = yield
        self.seconds[item.nodeid] = time.monotonic() - started
        return result


def record() -> None:
    """Run the suite once, and store for each line the tests that execute it."""
    recorder = _Recorder()
    recorder.coverage.start()
    code = pytest.main(["-q", "-p", "no:cacheprovider", *SUITE], plugins=[recorder])
    recorder.coverage.stop()
    if code:
        sys.exit("The suite must pass before its mutants are tried.")
    data = recorder.coverage.get_data()
    lines = {str(Path(path).relative_to(ROOT)): data.contexts_by_lineno(path) for path in data.measured_files()}
    RECORD.write_text(json.dumps({"seconds": recorder.seconds, "lines": lines}))


def tests_for(mutant: Mutant, recorded: Any) -> list[str]:
    """The tests that execute the line, then its function, then its file; of each those beside it, then the quickest.

    A cached function executes its lines for the first test only, and the statement that it returned serves the others.
    """
    lines: dict[str, list[str]] = recorded["lines"].get(mutant.path, {})
    seconds: dict[str, float] = recorded["seconds"]

    def executing(some: Iterable[str]) -> set[str]:
        return {test for line in some for test in lines.get(line, ()) if test}

    of_line, of_function, of_file = (
        executing([str(mutant.line)]),
        executing(map(str, mutant.function)),
        executing(lines),
    )
    beside = f"tests/{Path(mutant.path).parent}/"

    def rank(test: str) -> tuple[bool, bool, bool, float]:
        return test not in of_line, test not in of_function, beside not in test, seconds[test]

    return sorted((test for test in of_file if seconds[test] < SLOW), key=rank)[: FIRST_TESTS + OTHER_TESTS]


def survives(mutant: Mutant, tests: list[str], tree: Path, environment: dict[str, str]) -> bool:
    """Whether these tests pass with the change, in a copy of the tree for one worker."""
    path = tree / mutant.path
    original = path.read_bytes()
    text = mutant.text.replace("sqlalchemy_true", '__import__("sqlalchemy").true()')
    path.write_bytes(original[: mutant.start] + text.encode() + original[mutant.end :])
    first, others = tests[:FIRST_TESTS], tests[FIRST_TESTS:]
    try:
        return tests_pass(first, tree, environment) and (not others or tests_pass(others, tree, environment))
    finally:
        path.write_bytes(original)


def tests_pass(tests: list[str], tree: Path, environment: dict[str, str]) -> bool:
    """Whether these tests pass in a tree, within the timeout."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    process = subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        return process.wait(TIMEOUT) == 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return False


def copied(folder: Path, number: int) -> Path:
    """A copy of what the tests need."""
    tree = folder / f"tree-{number}"
    tree.mkdir()
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / part)
    return tree


def chosen(places: list[str]) -> Iterator[Mutant]:
    """The changes in folders, files, or lines of a file (`path:60-110`)."""
    for place in places:
        name, _, lines = place.partition(":")
        first, _, last = lines.partition("-")
        paths = sorted((ROOT / name).glob("*.py")) if (ROOT / name).is_dir() else [ROOT / name]
        for path in paths:
            within = range(int(first), int(last or first) + 1) if lines else None
            yield from mutants_of(str(path.relative_to(ROOT)), within)


def main() -> None:
    """Try the changes and print the survivors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("places", nargs="*", default=list(TARGETS))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--record", action="store_true", help="record again which test executes which line")
    arguments = parser.parse_args()
    server = Server()
    os.environ["KINDRED_TEST_POSTGRES_URL"] = server.url
    try:
        if arguments.record or not RECORD.exists():
            record()
        survivors = tried(list(chosen(arguments.places)), json.loads(RECORD.read_text()), arguments.workers)
    finally:
        server.stop()
    sys.exit(1 if survivors else 0)


def tried(mutants: list[Mutant], recorded: Any, workers: int) -> list[Mutant]:
    """Try each change; returns the survivors that nothing explains."""
    survivors: list[Mutant] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(workers):
            trees.put(copied(Path(folder), number))

        def one(mutant: Mutant) -> tuple[Mutant, bool, int]:
            tests, tree = tests_for(mutant, recorded), trees.get()
            try:
                environment = os.environ | {"PYTHONPATH": str(tree)}
                return mutant, not tests or survives(mutant, tests, tree, environment), len(tests)
            finally:
                trees.put(tree)

        for number, (mutant, has_survived, tests) in enumerate(pool.map(one, mutants), 1):
            if has_survived:
                survivors.append(mutant)
                print(f"[{number}/{len(mutants)}] {mutant}   ({tests} tests)", flush=True)
    print(f"{len(mutants)} changes tried, {len(survivors)} noticed by no test")
    return survivors


if __name__ == "__main__":
    main()

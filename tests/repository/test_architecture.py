"""The architecture: allowed imports, sizes of folders and functions, and tasks that belong to one module only."""

import ast
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from tests.support.repository import ROOT

# From the top down. A part may import the parts below it, and no other part of its own line.
LAYERS = {
    "": ["graph", "auth", "db"],
    "graph": ["cli", "app", "startup", "http notifications", "api", "execution", "problems", "observability"],
    "auth": [
        "services",
        "use_cases background config",
        "credentials",
        "crypto",
        "outcomes clock_agreement",
        "clock",
    ],
    "db": ["migration", "hot_path", "tables", "engine", "drivers"],
}
MAX_MODULES = 13  # a dozen and one
MAX_FUNCTION_LINES = 50

FOLDERS = {name: sorted((ROOT / name).glob("**/*.py")) for name in ("graph", "auth", "db", "migrations", "tests")}
PRODUCT = [path for name in ("graph", "auth", "db") for path in FOLDERS[name]]
SQL = {"sqlalchemy", "sqlmodel", "alembic", "asyncpg", "sqlite3"}
WEB = {
    "fastapi",
    "starlette",
    "strawberry",
    "graphql",
    "uvicorn",
    "typer",
    "click",
    "httpx2",
    "aiosmtplib",
    "cross_web",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """The full names of what a module imports, at the top or in a function."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports by a relative name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offenders(paths: list[Path], forbidden: set[str]) -> list[tuple[str, str]]:
    return [(name_of(path), name) for path in paths for name in imports(path) if name.split(".")[0] in forbidden]


def names_used(path: Path) -> Iterator[str]:
    """Dotted names that a module reads, such as `datetime.now`."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def layer_of(parts: list[str], package: str) -> tuple[int, str] | None:
    """The part that a module belongs to, and its layer, 0 at the top; None for the `__init__` of a package."""
    depth = 1 if package else 0
    if (package and parts[0] != package) or len(parts) <= depth:
        return None
    part = parts[depth]
    for number, line in enumerate(LAYERS[package]):
        if part in line.split():
            return number, part
    return None


def test_each_folder_has_modules() -> None:
    assert all(len(files) > 2 for files in FOLDERS.values())


@pytest.mark.parametrize("package", LAYERS)
def test_every_part_has_a_layer(package: str) -> None:
    within = ROOT / package
    parts = {path.stem for path in within.glob("*.py")} | {path.parent.name for path in within.glob("*/__init__.py")}
    known = set(chain(*(line.split() for line in LAYERS[package])))
    assert parts - known - {"__init__", "migrations", "tests"} == set()


@pytest.mark.parametrize("package", LAYERS)
def test_no_import_runs_up_or_sideways(package: str) -> None:
    wrong = []
    for path in PRODUCT:
        here = layer_of(list(path.relative_to(ROOT).with_suffix("").parts), package)
        for name in imports(path):
            there = layer_of(name.split("."), package)
            if here and there and here[1] != there[1] and there[0] <= here[0]:
                wrong.append((name_of(path), name))
    assert wrong == []


def test_no_module_imports_itself_through_others() -> None:
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in PRODUCT}

    def module_of(name: str) -> str | None:
        # `from auth import clock` names a module, `from auth.clock import Clock` a name in a module.
        return next((known for known in (name, name.rpartition(".")[0]) if known in modules), None)

    edges = {name: {module_of(found) for found in imports(path)} - {None, name} for name, path in modules.items()}
    while free := [name for name, needed in edges.items() if not needed & edges.keys()]:
        for name in free:
            del edges[name]
    # The remaining modules are in an import circle, or import one.
    in_circle = {name for name in edges if any(name in needed for needed in edges.values())}
    assert in_circle == set()


def test_product_code_imports_no_test_and_no_migration() -> None:
    assert offenders(PRODUCT, {"tests", "migrations"}) == []


def test_a_folder_has_about_a_dozen_modules() -> None:
    modules = Counter(name_of(path.parent) for path in chain(*FOLDERS.values()) if path.name != "__init__.py")
    assert {name: count for name, count in modules.items() if count > MAX_MODULES} == {}


def test_a_function_is_no_longer_than_a_screen() -> None:
    functions = [
        (f"{name_of(path)}: {node.name}", (node.end_lineno or 0) - node.lineno + 1)
        for path in PRODUCT
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [(name, lines) for name, lines in functions if lines > MAX_FUNCTION_LINES] == []


def test_only_db_contains_sql() -> None:
    assert offenders(FOLDERS["graph"] + FOLDERS["auth"], SQL) == []
    verbs = re.compile(r"\b(SELECT .* FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b")
    above = FOLDERS["graph"] + FOLDERS["auth"]
    assert [name_of(path) for path in above if verbs.search(path.read_text())] == []


def test_only_graph_imports_web_libraries() -> None:
    assert offenders(FOLDERS["auth"] + FOLDERS["db"], WEB) == []


def test_log_04_security_events_are_recorded_where_notifications_are() -> None:
    """`AuditLog` writes both. Two other modules write events: a revoked session has no notification, and the event of a
    sign-in is part of the statement that checks whether its network is new.
    """
    writers = {name_of(path) for path in PRODUCT for name in names_used(path) if name.lower() == "security_events.add"}
    assert writers == {
        "auth/use_cases/security_events.py",
        "auth/use_cases/sessions.py",
        "db/hot_path/new_sessions.py",
    }


def test_one_module_reads_the_clock() -> None:
    clocks = re.compile(r"(^|\.)(datetime|date)\.(now|utcnow|today)$|^time\.(time|time_ns|gmtime|localtime|strftime)$")
    readers = {name_of(path) for path in PRODUCT for name in names_used(path) if clocks.search(name)}
    assert readers == {"auth/clock.py"}
    assert {name for name, _ in offenders(PRODUCT, {"time"})} == {"auth/clock.py"}


def test_one_module_draws_random_values() -> None:
    random = re.compile(r"^(secrets|random)(\.|$)|^os\.(urandom|getrandom)$|^uuid\.(uuid[1-8]|_\w+)$")
    readers = {name_of(path) for path in PRODUCT for name in (*imports(path), *names_used(path)) if random.search(name)}
    assert readers == {"auth/crypto/entropy.py"}


def test_services_are_created_by_the_application_and_the_command_line() -> None:
    creators = {name_of(path) for path in PRODUCT for name in names_used(path) if name == "Services.create"}
    assert creators == {"graph/app.py", "graph/cli/common.py", "graph/cli/development.py"}
    calls = (node for path in PRODUCT for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call))
    assert {ast.unparse(call.func) for call in calls} & {"os.getenv", "os.environ.get"} == set()


def test_the_rotation_rule_fits_on_one_screen() -> None:
    (rule,) = [
        node for node in ast.walk(tree_of(ROOT / "auth/use_cases/rotation.py")) if isinstance(node, ast.ClassDef)
    ]
    assert (rule.end_lineno or 0) - rule.lineno < 95
    functions = [node for node in ast.walk(rule) if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)]
    assert max((function.end_lineno or 0) - function.lineno for function in functions) < 45


def test_every_module_has_a_docstring() -> None:
    modules = [path for folder in FOLDERS.values() for path in folder if path.read_text().strip()]
    assert [name_of(path) for path in modules if not ast.get_docstring(tree_of(path))] == []


def committed_files() -> list[Path]:
    """Every file that is committed, or would be."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        return [ROOT / name for name in names if name and (ROOT / name).is_file()]
    return [path for folder in FOLDERS.values() for path in folder]


def test_no_secret_and_no_path_of_a_machine_is_committed() -> None:
    files = committed_files()
    assert [name_of(path) for path in files if path.suffix in {".db", ".secret", ".pem", ".key", ".env"}] == []
    secrets = {
        "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
        "a token": re.compile(r"eyJ[\w-]{16,}\.eyJ[\w-]{40,}\.[\w-]{20,}"),
        "a path of a machine": re.compile(r"(?<![\w.])/(root|home/\w+|Users/\w+|work)/\w"),
        "a key of a cloud provider": re.compile(r"\b(AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36})\b"),
    }
    found = [
        (name_of(path), what)
        for path in files
        for what, pattern in secrets.items()
        if pattern.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []

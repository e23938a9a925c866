"""The house: who may import whom, who reads the clock and rolls the dice, and what the tree must not hold."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.repository import ROOT

HOUSE = {name: sorted((ROOT / name).glob("**/*.py")) for name in ("graph", "auth", "db", "migrations", "tests")}
PRODUCT = [path for name in ("graph", "auth", "db") for path in HOUSE[name]]
ABOVE = {"db": {"auth", "graph", "migrations"}, "auth": {"graph", "migrations"}, "graph": set[str]()}
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


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """The full names of what a module imports, wherever in it."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports by a relative name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offenders(paths: list[Path], forbidden: set[str]) -> list[tuple[str, str]]:
    return [(name_of(path), name) for path in paths for name in imports(path) if name.split(".")[0] in forbidden]


def names_used(path: Path) -> Iterator[str]:
    """Dotted names that are read in a module, such as `datetime.now`."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute):
            yield ast.unparse(node)


def test_the_house_has_every_room() -> None:
    assert all(len(files) > 2 for files in HOUSE.values())


@pytest.mark.parametrize("room", ["graph", "auth", "db"])
def test_imports_run_one_way(room: str) -> None:
    assert offenders(HOUSE[room], ABOVE[room] | {"tests"}) == []


def test_what_is_said_and_what_is_true_have_no_sql() -> None:
    assert offenders(HOUSE["graph"] + HOUSE["auth"], SQL) == []
    verbs = re.compile(r"\b(SELECT .* FROM|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b")
    assert [name_of(path) for path in HOUSE["graph"] + HOUSE["auth"] if verbs.search(path.read_text())] == []


def test_what_is_true_and_what_is_stored_know_no_web() -> None:
    assert offenders(HOUSE["auth"] + HOUSE["db"], WEB) == []


def test_log_04_security_events_are_recorded_where_owners_notices_are() -> None:
    """`Recorder` writes both. The end of a session, of which nobody is told by itself, goes another way, and so does a
    sign-in, whose event is part of a statement that says whether there is anything to tell.
    """
    writers = {name_of(path) for path in PRODUCT for name in names_used(path) if name.lower() == "security_events.add"}
    assert writers == {
        "auth/use_cases/security_events.py",
        "auth/use_cases/sessions.py",
        "db/hot_path/session_inserts.py",
    }


def test_one_module_reads_the_clock() -> None:
    clocks = re.compile(r"(^|\.)(datetime|date)\.(now|utcnow|today)$|^time\.(time|time_ns|gmtime|localtime|strftime)$")
    readers = {name_of(path) for path in PRODUCT for name in names_used(path) if clocks.search(name)}
    assert readers == {"auth/clock.py"}
    assert {name for name, _ in offenders(PRODUCT, {"time"})} == {"auth/clock.py"}


def test_one_module_rolls_the_dice() -> None:
    dice = re.compile(r"^(secrets|random)(\.|$)|^os\.(urandom|getrandom)$|^uuid\.(uuid[1-8]|_\w+)$")
    rollers = {name_of(path) for path in PRODUCT for name in (*imports(path), *names_used(path)) if dice.search(name)}
    assert rollers == {"auth/crypto/entropy.py"}


def test_things_are_built_in_the_application_and_beside_it() -> None:
    builders = {name_of(path) for path in PRODUCT for name in names_used(path) if name == "Services.create"}
    assert builders == {"graph/app.py", "graph/cli/common.py", "graph/cli/development.py"}
    calls = (node for path in PRODUCT for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call))
    assert {ast.unparse(call.func) for call in calls} & {"os.getenv", "os.environ.get"} == set()


def test_a_file_can_be_read_whole() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in PRODUCT}
    assert {name: length for name, length in lengths.items() if length >= 250} == {}


def test_the_rule_is_on_one_screen() -> None:
    (rule,) = [
        node for node in ast.walk(tree_of(ROOT / "auth/use_cases/rotation.py")) if isinstance(node, ast.ClassDef)
    ]
    assert (rule.end_lineno or 0) - rule.lineno < 90
    functions = [node for node in ast.walk(rule) if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)]
    assert max((function.end_lineno or 0) - function.lineno for function in functions) < 45


def test_every_module_says_what_it_is() -> None:
    modules = [path for room in HOUSE.values() for path in room if path.read_text().strip()]
    assert [name_of(path) for path in modules if not ast.get_docstring(tree_of(path))] == []


def in_the_tree() -> list[Path]:
    """What is or would be committed."""
    if shutil.which("git") and (ROOT / ".git").exists():
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        return [ROOT / name for name in listed if name and (ROOT / name).is_file()]
    return [path for room in HOUSE.values() for path in room]


def test_the_tree_holds_no_secret_and_nobody_s_paths() -> None:
    files = in_the_tree()
    assert [name_of(path) for path in files if path.suffix in {".db", ".secret", ".pem", ".key", ".env"}] == []
    unfit = {
        "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
        "a token": re.compile(r"eyJ[\w-]{16,}\.eyJ[\w-]{40,}\.[\w-]{20,}"),
        "somebody's folder": re.compile(r"(?<![\w.])/(root|home/\w+|Users/\w+|work)/\w"),
        "a key of a cloud": re.compile(r"\b(AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36})\b"),
    }
    found = [
        (name_of(path), what)
        for path in files
        for what, pattern in unfit.items()
        if pattern.search(path.read_text(encoding="utf-8", errors="replace"))
    ]
    assert found == []

"""Plain English: words that make a text hard to read stay out of code, tests, documents and the schema."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.support.repository import ROOT

# What to write in place of each. The rules are in CONTRIBUTING.md, "Rules for prose".
WORDS = {
    r"who(m)?ever|some(body|one)|any(body|one)|nobody|no one|everybody": "name the actor: client, operator, user",
    r"anew": "again",
    r"shall": "must, or the present tense",
    r"meanwhile": "while, with what happens",
    r"what (comes|came) of|comes to nothing": "the result",
    r"of ours|of theirs": "our, their",
    r"mend(s|ed|ing)?": "fix",
    r"doors?": "endpoint",
    r"judg(e|es|ed|ing|ement)": "check, decide",
    r"the house": "the architecture",
    r"in the way of": "what prevents it",
    r"tells? of|told": "say, log, notify",
    r"(is|was|are|were|nothing) spent": "consumed",
    r"guess(es|ed)?": "login attempt",
    r"ways? to (and from )?(the (database|thread|driver|server)|it and back)": "round trip",
    r"(is|was|be|goes|went|being) away": "unavailable",
    r"by itself and": "on its own",
    r"as it is|as they are": "unchanged",
}
# A library's word, a word in a quotation, or the name of a user who does not exist.
ALLOWED = (r"zxcvbn|\[\"guesses|_GUESSES|\bto guess\b", r"\"nobody[\"-]")

TESTS = [path for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__).resolve()]

FILES = [
    *sorted(path for name in ("auth", "db", "graph", "migrations") for path in (ROOT / name).rglob("*.py")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(
        path
        for kind in ("ts", "mjs", "css", "md")
        for path in (ROOT / "web").rglob(f"*.{kind}")
        if not {"node_modules", "dist"} & set(path.parts)
    ),
    *(
        ROOT / name
        for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "schema.graphql", "Makefile", "pyproject.toml")
    ),
    *TESTS,
]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def lines_of(path: Path) -> list[str]:
    """Return the lines of a file. In tests, `_` is a space, so that the name of a test counts as a sentence."""
    text = path.read_text(encoding="utf-8")
    return (text.replace("_", " ") if path in TESTS else text).splitlines()


@pytest.mark.parametrize("word", WORDS)
def test_a_word_that_is_hard_to_read_stays_out(word: str) -> None:
    pattern, allowed = re.compile(rf"\b({word})\b", re.IGNORECASE), re.compile("|".join(ALLOWED))
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(lines_of(path), 1)
        if pattern.search(line) and not allowed.search(line)
    ]
    assert found == [], f"write instead: {WORDS[word]}"

"""The commands of docs/tour.md, pasted unchanged into a shell, print the answers that the page shows."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from auth.clock import SystemClock
from auth.config.settings import Settings
from auth.crypto.entropy import Entropy
from auth.outcomes import WeakPassword
from auth.services import Services
from tests.support.endpoints import PASSWORD
from tests.support.repository import ROOT
from tests.support.servers import SECRET, serving

TOUR = ROOT / "docs" / "tour.md"


def tour() -> tuple[str, list[str]]:
    """The commands of the tour, and the lines that it shows as their output."""
    blocks = re.findall(r"```(sh|json)\n(.*?)```", TOUR.read_text(encoding="utf-8"), re.DOTALL)
    commands = "".join(block for kind, block in blocks if kind == "sh")
    output = [line for kind, block in blocks if kind == "json" for line in block.splitlines()]
    return commands, output


def mask_random_values(text: str) -> str:
    """Replace tokens and IDs, which differ each time."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", re.sub(r'"eyJ[^"]*"', '"TOKEN"', text))


@pytest.mark.skipif(not shutil.which("curl") or not shutil.which("bash"), reason="the tour uses curl")
async def test_the_tour_prints_the_answers_that_it_shows(sqlite_url: str, tmp_path: Path) -> None:
    services = Services.create(Settings(database_url=sqlite_url, secret=SECRET), SECRET.encode(), Entropy())
    made = await services.accounts.add("demo", None, PASSWORD, SystemClock().now())
    await services.stop()
    assert not isinstance(made, WeakPassword)
    commands, expected = tour()
    async with serving(sqlite_url, tmp_path) as server:
        script = tmp_path / "session.sh"
        script.write_text(commands.replace("http://127.0.0.1:8000", server.url), encoding="utf-8")
        ran = subprocess.run(
            ["bash", "-e", str(script)], cwd=tmp_path, input=f"{PASSWORD}\n", capture_output=True, text=True, timeout=60
        )
    assert ran.returncode == 0, ran.stderr
    said = [mask_random_values(line) for line in ran.stdout.removeprefix("Password of demo: ").splitlines()]
    assert said == [mask_random_values(line) for line in expected]

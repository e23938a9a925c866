"""Where the time of a rotation goes: `make profile` writes a flame graph, profile.svg.

py-spy samples the running service from outside, two hundred times a second, under the load of `make bench`. It shows
Python functions. The time of C code counts for the function that calls it.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import uvloop

from db.engine.database import url_of
from db.migration import upgrade
from tests.bench.measuring import HEADING, Watched, line, measure
from tests.bench.seeding import seed
from tests.bench.service import rotations
from tests.support.databases import Server, create_database, migrated_sqlite
from tests.support.servers import serving


async def main(options: argparse.Namespace) -> None:
    """Profile over one database."""
    server = Server(fsync=True) if options.database == "postgresql" else None
    try:
        with tempfile.TemporaryDirectory(prefix="kindred-bench-") as name:
            folder = Path(name)
            if server:
                url = await create_database(server.url)
                await asyncio.to_thread(upgrade, url_of(url))
            else:
                url = await asyncio.to_thread(migrated_sqlite, folder / "kindred.db")
            sessions = await seed(url, people=100, sessions_each=60)
            async with serving(url, folder, KINDRED_METRICS="on") as running:
                watched, work = Watched(psutil.Process(running.process.pid)), rotations(sessions)
                await measure(running.port, watched, work, clients=32, seconds=2)
                program = Path(sys.executable).with_name("py-spy")
                command = [
                    str(program),
                    "record",
                    "--rate",
                    "200",
                    "--format",
                    "flamegraph",
                    "--output",
                    options.output,
                ]
                recording = await asyncio.to_thread(
                    subprocess.Popen,
                    [*command, "--pid", str(running.process.pid), "--duration", str(int(options.seconds))],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )
                measured = await measure(running.port, watched, work, clients=32, seconds=options.seconds + 1)
                _, said = await asyncio.to_thread(recording.communicate)
                if recording.returncode:
                    raise SystemExit(f"py-spy failed: {said.decode()}")
                print(HEADING)
                print(line("rotation, while profiled", measured))
                print(f"The flame graph is {options.output}.")
    finally:
        if server:
            server.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="how long to profile (10)")
    parser.add_argument("--output", default="profile.svg", help="where to write it (profile.svg)")
    parser.add_argument("database", nargs="?", default="postgresql", help="postgresql or sqlite (postgresql)")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(parser.parse_args()))

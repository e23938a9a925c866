"""The command line: `kindred` and its command groups."""

from graph.cli.commands import main

__all__ = ["main"]

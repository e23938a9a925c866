"""The command line: `kindred` and its groups of commands."""

from graph.cli.commands import main

__all__ = ["main"]

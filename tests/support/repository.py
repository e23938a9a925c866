"""The root of the repository: the folder of README.md and pyproject.toml."""

from pathlib import Path

ROOT = Path(__file__).parents[2]

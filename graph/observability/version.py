"""The version of this installation."""

from importlib.metadata import version


def installed_version() -> str:
    """The version of the installed distribution."""
    return version("kindred-auth")

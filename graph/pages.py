"""Pages, from our own files. (graph/app.py calls `graphiql()` for the page and `assets()` for its routes.)"""

from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute


def graphiql() -> Response:
    """The GraphiQL page."""
    return HTMLResponse("")


def assets() -> list[BaseRoute]:
    """The routes of what pages load."""
    return []

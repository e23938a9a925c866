"""The GraphiQL page, and what browsers load: from our own files, which `web` builds, and from nowhere else."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

STATIC = Path(__file__).parent / "static"

MEDIA_TYPES = {
    "kindred-client.js": "text/javascript",
    "graphiql.js": "text/javascript",
    "graphiql.css": "text/css",
    "graphiql.licences.txt": "text/plain",
}

# Scripts and styles from here alone, and none within the page: what gets into it can neither run nor call home.
# Images are the icons that GraphiQL's sheet carries in itself; an address in an answer is not fetched for a preview.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

# What other headers it needs, every answer has: `graph/edge.py`.
PAGE_HEADERS = {"content-security-policy": POLICY}

# Addresses are relative to `/graphql`, so that the page also works behind a proxy that adds a prefix.
PAGE = """\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Kindred GraphiQL</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="{css}">
    <script src="{js}" defer></script>
  </head>
  <body>
    <div id="graphiql">
      <p class="kindred-waiting">Loading GraphiQL ...</p>
      <noscript><p class="kindred-waiting">GraphiQL needs JavaScript.</p></noscript>
    </div>
  </body>
</html>
"""


def graphiql() -> Response:
    """The GraphiQL page."""
    js, css = _asset("graphiql.js"), _asset("graphiql.css")
    return HTMLResponse(PAGE.format(js=js.address, css=css.address), headers=PAGE_HEADERS)


def assets(*, with_graphiql: bool = True) -> list[BaseRoute]:
    """The routes of what pages load; of GraphiQL's files where there is GraphiQL."""
    names = [name for name in MEDIA_TYPES if with_graphiql or not name.startswith("graphiql.")]
    return [Route(f"/assets/{name}", _serve, name=name) for name in names]


@dataclass(frozen=True)
class _Asset:
    name: str
    body: bytes
    version: str

    @property
    def address(self) -> str:
        return f"assets/{self.name}?v={self.version}"


@cache
def _asset(name: str) -> _Asset:
    body = (STATIC / name).read_bytes()
    return _Asset(name, body, sha256(body).hexdigest()[:16])


async def _serve(request: Request) -> Response:
    asset = _asset(request.url.path.rpartition("/")[2])
    # An address that names the content may be kept for good; any other is asked for again each time.
    current = request.query_params.get("v") == asset.version
    headers = {"cache-control": "public, max-age=31536000, immutable" if current else "no-cache"}
    return Response(asset.body, media_type=MEDIA_TYPES[asset.name], headers=headers)

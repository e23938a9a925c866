"""The metrics: what is counted, the number of series, and the sums over workers."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from httpx2 import AsyncClient
from prometheus_client.parser import text_string_to_metric_families

from graph.observability.version import installed_version
from tests.support.endpoints import REFRESH, Api, RefreshEndpoint
from tests.support.repository import ROOT
from tests.support.servers import serving

DOCS = ROOT / "docs"
KEY = "an-attempt-that-is-made-twice"


async def samples(http: AsyncClient) -> dict[tuple[str, ...], float]:
    """Every series, by its name and the values of its labels."""
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.mark.usefixtures("alice")
async def test_each_outcome_is_counted(api: Api, http: AsyncClient, endpoint: RefreshEndpoint) -> None:
    pair = await api.login()
    await api.try_login("alice", "wrong")
    first = (await endpoint.refresh(pair.refresh, KEY)).tokens
    await endpoint.refresh(pair.refresh, KEY)
    await endpoint.refresh(pair.refresh)
    await endpoint.refresh(first.refresh)
    await endpoint.refresh("nonsense")
    counted = await samples(http)
    for outcome in ("rotated", "repeated", "replayed", "revoked", "invalid"):
        assert counted["kindred_refreshes_total", outcome] == 1
    assert counted["kindred_logins_total", "signed_in"] == counted["kindred_logins_total", "wrong_credentials"] == 1
    assert counted["kindred_request_duration_seconds_count", "refreshToken"] == 5
    assert counted["kindred_password_hashing_in_progress",] == 0
    assert counted["kindred_password_hashing_capacity",] > 0
    assert 0 <= counted["kindred_database_connections_in_use",] <= counted["kindred_database_connections",]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_gql_24_ten_thousand_client_names_create_no_series(api: Api, http: AsyncClient) -> None:
    async def ask() -> None:
        name = f"n{uuid4().hex}"
        await api.post(f"query {name} {{ {name}: viewer {{ id }} }}")
        await http.post("/graphql", json={"query": REFRESH, "operationName": name})
        await api.post(f"{{ {name} }}")
        await http.request(name.upper()[:8], f"/{name}?{name}", headers={"x-request-id": name})

    await ask()
    before = set(await samples(http))
    before = set(await samples(http))
    for _ in range(2500):
        await ask()
    assert set(await samples(http)) == before


@pytest.mark.parametrize("more_settings", [{"environment": "production"}])
async def test_production_has_metrics_only_if_the_setting_says_so(http: AsyncClient) -> None:
    assert (await http.get("/metrics")).status_code == 404


async def test_metrics_are_the_sum_of_two_workers(sqlite_url: str, tmp_path: Path) -> None:
    async with serving(sqlite_url, tmp_path, workers=2, KINDRED_METRICS="on") as server:
        sent = 0
        for _ in range(40):
            # A new connection for each request, so that both workers get some.
            async with AsyncClient(base_url=server.url) as http:
                await http.post("/auth/token/refresh", json={"refresh_token": "nonsense"})
                sent += 1
        async with AsyncClient(base_url=server.url) as http, asyncio.timeout(60):
            counted = await samples(http)
            # A worker counts a request after its response.
            while counted["kindred_refreshes_total", "invalid"] < sent:
                counted = await samples(http)
    assert counted["kindred_refreshes_total", "invalid"] == sent
    assert counted["kindred_database_connections",] >= 2
    (build,) = [labels for name, *labels in counted if name == "kindred_build_info"]
    assert installed_version() in build


MULTIPROCESS = """
import os, sys
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from graph.observability.metrics import Metrics
metrics = Metrics()
metrics._connections.set(5)
metrics.record_delivery("mail", delivered=True)
if sys.argv[1] == "dies":
    os._exit(1)
registry = CollectorRegistry()
MultiProcessCollector(registry)
print(generate_latest(registry).decode())
"""


def test_the_gauges_of_dead_workers_are_removed_and_their_counters_stay(tmp_path: Path) -> None:
    variables = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for _ in range(3):
        process = subprocess.run([sys.executable, "-c", MULTIPROCESS, "dies"], env=variables, cwd=ROOT, timeout=60)
        assert process.returncode == 1
    command = [sys.executable, "-c", MULTIPROCESS, "answers"]
    answer = subprocess.run(command, env=variables, cwd=ROOT, timeout=60, capture_output=True, text=True, check=True)
    lines = answer.stdout.splitlines()
    assert "kindred_database_connections_in_use 5.0" in lines
    assert 'kindred_notification_attempts_total{channel="mail",outcome="delivered"} 4.0' in lines


async def names(http: AsyncClient, api: Api) -> set[str]:
    await api.try_login("alice", "wrong")
    await http.post("/auth/token/refresh", json={"refresh_token": "nonsense"})
    described = re.findall(r"# TYPE (\w+) counter", (await http.get("/metrics")).text)
    return {name for name, *_ in await samples(http)} | set(described)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_alerts_and_the_dashboard_use_existing_metrics(http: AsyncClient, api: Api) -> None:
    known = await names(http, api) | {"kindred"}
    text = (DOCS / "operating.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.S)
    rules = [rule for group in yaml.safe_load(block)["groups"] for rule in group["rules"]]
    assert len(rules) >= 7
    for rule in rules:
        assert f"### {rule['alert']}" in text
        names_in_use = set(re.findall(r"\bkindred_\w+", rule["expr"]))
        assert names_in_use <= known
        assert names_in_use or "up{" in rule["expr"]
        for value in re.findall(r'outcome="(\w+)"', rule["expr"]):
            assert value in OUTCOMES
    dashboard = json.loads((DOCS / "grafana.json").read_text(encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) >= 6
    for expression in expressions:
        names_in_use = set(re.findall(r"\bkindred_\w+", expression))
        assert names_in_use
        assert names_in_use <= known


OUTCOMES = {
    "replayed",
    "store_behind",
    "wrong_credentials",
    "throttled",
    "unavailable",
    "failed",
    "invalid",
    "delivered",
}

"""Fixtures of the API's tests."""

import pytest


@pytest.fixture(params=["on", "off"])
def graphql_plans(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The GraphQL plans, on and off: a test that uses this fixture runs both ways."""
    monkeypatch.setenv("KINDRED_GRAPHQL_PLANS", request.param)

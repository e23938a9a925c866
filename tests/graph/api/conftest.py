"""Fixtures of the API's tests."""

import pytest


@pytest.fixture(params=["on", "off"])
def graphql_plans(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the test with GraphQL plans on and with plans off."""
    monkeypatch.setenv("KINDRED_GRAPHQL_PLANS", request.param)

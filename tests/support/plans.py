"""Tests that need the GraphQL plans: `KINDRED_GRAPHQL_PLANS=off pytest tests/graph` runs all the others without."""

import pytest

from auth.config.settings import Settings

needs_plans = pytest.mark.skipif(not Settings().graphql_plans, reason="KINDRED_GRAPHQL_PLANS is off in this run")

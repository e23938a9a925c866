"""Tests that need the GraphQL plans: `KINDRED_GRAPHQL_PLANS=off pytest tests/graph` runs all the others without."""

import pytest

from auth.config.settings import Settings

PLANS_ENABLED = Settings().graphql_plans
needs_plans = pytest.mark.skipif(not PLANS_ENABLED, reason="KINDRED_GRAPHQL_PLANS is off in this run")

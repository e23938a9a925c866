"""A mark for tests that need GraphQL plans. `KINDRED_GRAPHQL_PLANS=off pytest tests/graph` skips them."""

import pytest

from auth.config.settings import Settings

PLANS_ENABLED = Settings().graphql_plans
needs_plans = pytest.mark.skipif(not PLANS_ENABLED, reason="KINDRED_GRAPHQL_PLANS is off in this run")

"""The GraphQL schema, and the execution of a document against it."""

from typing import Any

import strawberry
from graphql import ExecutionResult, GraphQLError

from graph.api.context import Context
from graph.api.mutations import Mutation
from graph.api.queries import Query
from graph.api.types import Node, SecurityEvent, Session, User
from graph.execution.documents import parse_and_validate
from graph.execution.operation_plans import execute_operation
from graph.execution.strawberry_internals import core_schema


class Schema(strawberry.Schema):
    """Strawberry's schema, with its own execution."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.core = core_schema(self)

    async def execute_document(
        self, query: str, variables: dict[str, Any] | None, operation_name: str | None, context: Context
    ) -> ExecutionResult:
        """Parse, validate and execute a document. Raises `OperationNotFound`.

        It does what Strawberry's `execute` does for a schema without extensions, without that method's machinery for
        extensions on each request: a quarter of a refresh. And it logs no errors with the text of the query, which may
        contain passwords (LOG-01).
        """
        settings = context.services.settings
        try:
            document = parse_and_validate(
                self.core,
                query,
                introspection_enabled=settings.introspection_enabled,
                plans_enabled=settings.graphql_plans,
            )
            operation = document.operation(operation_name)
        except GraphQLError as error:
            return ExecutionResult(None, [error])
        context.request_record.operation = operation.root_fields
        if document.errors:
            return ExecutionResult(None, document.errors)
        on_fallback = context.record_plan_fallback if settings.graphql_plans else None
        return await execute_operation(self.core, operation, variables, context, on_fallback)


schema = Schema(
    query=Query,
    mutation=Mutation,
    types=[Node, User, Session, SecurityEvent],
)


def sdl() -> str:
    """Return the schema in GraphQL's schema definition language, as in `schema.graphql`."""
    return schema.as_str() + "\n"

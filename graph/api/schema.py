"""The schema, and how a document is understood."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import NameConverter
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from graph.api.context import Context
from graph.api.mutations import Mutation
from graph.api.queries import Query
from graph.api.types import Node, SecurityEvent, Session, User
from graph.execution import limits
from graph.execution.limits import MAX_ERRORS, MAX_TOKENS, IntrospectionDisabled, LimitExceeded, TooManyMutations
from graph.execution.operation_plans import PreparedOperation, execute_operation, plan_of
from graph.execution.result_plans import Plans

# Of the largest documents, each takes almost half a megabyte, and its plans no more than that.
CACHED_DOCUMENTS = 128
# Strawberry's own two beside the specification's.
_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)


class NoOperation(Exception):
    """The document has not the operation that is asked for, or none that can be executed. The message says so."""


@dataclass(frozen=True)
class ParsedDocument:
    """A document that may be executed, or what is wrong with it."""

    document: DocumentNode
    errors: list[GraphQLError]
    # By their names.
    operations: dict[str | None, PreparedOperation]
    # None where there may be directives, by which the same document selects now this and now that.
    plans: Plans | None

    def operation(self, operation_name: str | None) -> PreparedOperation:
        """One of them. Raises `NoOperation`, and `GraphQLError` where one of several has to be named."""
        if operation_name is not None and operation_name in self.operations:
            return self.operations[operation_name]
        if operation_name is not None or not self.operations:
            raise NoOperation("Unknown operation." if operation_name else "The document has no operation.")
        if len(self.operations) > 1 and not self.errors:
            # GraphQL specification, section 6.1.
            raise GraphQLError("Of several operations, `operationName` must name one.")
        return next(iter(self.operations.values()))


@lru_cache(maxsize=CACHED_DOCUMENTS)
def parse_and_validate(query: str, *, introspection_enabled: bool = True) -> ParsedDocument:
    """A document, parsed and validated the first time it comes; raises `GraphQLError` where it cannot be parsed.

    With `introspection_enabled` False nothing of the schema is told, neither by introspection nor by hints.
    Front ends send a handful of documents over and over. By the text and not by the parsed document, whose hash would
    be as dear as a look at all of it; and never with rules made per request, which no cache would know again.
    """
    limits.check_lines(query)
    try:
        document = parse(query, max_tokens=MAX_TOKENS)
    except GraphQLSyntaxError as error:
        if "Parsing aborted" not in error.message:
            raise
        raise LimitExceeded(f"The document has more than {MAX_TOKENS} tokens, or is nested too deeply.") from None
    errors: list[GraphQLError]
    try:
        limits.check(document, introspection=introspection_enabled)
        errors = validate(
            schema._schema, document, _RULES, max_errors=MAX_ERRORS, hide_suggestions=not introspection_enabled
        )
    except (LimitExceeded, TooManyMutations, IntrospectionDisabled) as error:
        errors = [error]
    plans: Plans | None = None if "@" in query or errors else {}
    found = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    # Of one alone: limits are for each operation, and a hundred may share a fragment without paying for it (GQL-07).
    plan = plan_of(schema._schema, document, found[0]) if plans is not None and len(found) == 1 else None
    operations = {
        one.name.value if one.name else None: PreparedOperation(() if errors else _root_fields(document, one), plan)
        for one in found
    }
    return ParsedDocument(document, errors, operations, plans)


def _root_fields(document: DocumentNode, operation: OperationDefinitionNode) -> tuple[str, ...]:
    names: dict[str, None] = {}
    spread: set[str] = set()

    def look(selections: SelectionSetNode) -> None:
        for one in selections.selections:
            if isinstance(one, FieldNode):
                names[one.name.value] = None
            elif not isinstance(one, FragmentSpreadNode):
                look(one.selection_set)  # type: ignore[attr-defined]
            elif one.name.value not in spread:
                spread.add(one.name.value)
                for definition in document.definitions:
                    if isinstance(definition, FragmentDefinitionNode) and definition.name.value == one.name.value:
                        look(definition.selection_set)

    look(operation.selection_set)
    return tuple(names)


class _Names(NameConverter):
    """Strawberry's, which turns every name of an input into camel case each time that it comes."""

    def __init__(self) -> None:
        super().__init__()
        self.apply_naming_config = lru_cache(maxsize=1024)(super().apply_naming_config)  # type: ignore[method-assign]


class Schema(strawberry.Schema):
    """Strawberry's, with an execution of our own."""

    async def execute_document(
        self, query: str, variables: dict[str, Any] | None, operation_name: str | None, context: Context
    ) -> ExecutionResult:
        """What a document comes to. Raises `NoOperation`.

        As Strawberry's `execute` for a schema without extensions and a document that is known, and a quarter of a
        refresh cheaper: it makes the machinery of extensions anew for each request. Nor does it log errors with the
        text of the query, and passwords with it (LOG-01).
        """
        try:
            understood = parse_and_validate(
                query, introspection_enabled=context.services.settings.introspection_enabled
            )
            operation = understood.operation(operation_name)
            context.request_record.operation = operation.root_fields
            if understood.errors:
                return ExecutionResult(None, understood.errors)
        except GraphQLError as error:
            return ExecutionResult(None, [error])
        return await execute_operation(
            self._schema, understood.document, operation, understood.plans, variables, operation_name, context
        )


schema = Schema(
    query=Query,
    mutation=Mutation,
    types=[Node, User, Session, SecurityEvent],
    config=StrawberryConfig(name_converter=_Names()),
)


def sdl() -> str:
    """The schema in GraphQL's own language, as it stands in `schema.graphql`."""
    return schema.as_str() + "\n"

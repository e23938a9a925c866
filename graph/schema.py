"""The schema, and how a document is understood."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    SelectionSetNode,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from graph import limits
from graph.limits import MOST_ERRORS, MOST_TOKENS, IntrospectionOff, LimitExceeded, OneMutationOnly
from graph.mutations import Mutation
from graph.queries import Query
from graph.types import Node, SecurityEvent, Session, User

# Of the largest documents, each takes almost half a megabyte.
CACHED_DOCUMENTS = 128
# Strawberry's own two beside the specification's.
_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)


@lru_cache(maxsize=CACHED_DOCUMENTS)
def understand(query: str, *, open_schema: bool = True) -> tuple[DocumentNode, list[GraphQLError]]:
    """A document, parsed and validated the first time it comes; raises `GraphQLError` where it cannot be parsed.

    With `open_schema` False nothing of the schema is told, neither by introspection nor by hints.
    Front ends send a handful of documents over and over. By the text and not by the parsed document, whose hash would
    be as dear as a look at all of it; and never with rules made per request, which no cache would know again.
    """
    limits.check_lines(query)
    try:
        document = parse(query, max_tokens=MOST_TOKENS)
    except GraphQLSyntaxError as error:
        if "Parsing aborted" not in error.message:
            raise
        raise LimitExceeded(f"The document has more than {MOST_TOKENS} tokens, or is nested too deeply.") from None
    try:
        limits.check(document, introspection=open_schema)
    except (LimitExceeded, OneMutationOnly, IntrospectionOff) as error:
        return document, [error]
    return document, validate(
        schema._schema, document, _RULES, max_errors=MOST_ERRORS, hide_suggestions=not open_schema
    )


def _root_fields(document: DocumentNode, operation: OperationDefinitionNode | None) -> tuple[str, ...]:
    """The fields that an operation of a valid document asks for first, by their names in the schema."""
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

    if operation is not None:
        look(operation.selection_set)
    return tuple(names)


class Documents(SchemaExtension):
    """Takes parsing and validation from `understand`."""

    def on_operation(self) -> Iterator[None]:
        """Before Strawberry would parse."""
        context = self.execution_context
        if context.query:
            open_schema = context.context.kindred.settings.shows_schema
            context.graphql_document, errors = understand(context.query, open_schema=open_schema)
            context.pre_execution_errors = list(errors)
            if not errors:
                operation = get_operation_ast(context.graphql_document, context._provided_operation_name)
                context.context.watched.operation = _root_fields(context.graphql_document, operation)
            operations = [
                one for one in context.graphql_document.definitions if isinstance(one, OperationDefinitionNode)
            ]
            if len(operations) > 1 and context._provided_operation_name is None and not errors:
                # Strawberry would take the first (GraphQL specification, section 6.1, asks for an error).
                context.pre_execution_errors = [GraphQLError("Of several operations, `operationName` must name one.")]
        yield


class Schema(strawberry.Schema):
    """Strawberry's, but that it leaves the logging of errors to us."""

    def process_errors(self, *_: Any, **__: Any) -> None:
        """Nothing: Strawberry would log the text of the query, and passwords with it (LOG-01)."""


schema = Schema(query=Query, mutation=Mutation, types=[Node, User, Session, SecurityEvent], extensions=[Documents])


def sdl() -> str:
    """The schema in GraphQL's own language, as it stands in `schema.graphql`."""
    return schema.as_str() + "\n"

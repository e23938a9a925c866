"""The schema, and the one rule of ours that every document is held to."""

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
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValidationRule,
    parse,
    specified_rules,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.schema import validate_document

from graph.mutations import Mutation
from graph.queries import Query
from graph.types import Node, SecurityEvent, Session, User

# GraphiQL's introspection has some 400 tokens; every document that a front end sends is far shorter.
MOST_TOKENS = 1000
CACHED_DOCUMENTS = 512


class OneMutationField(ValidationRule):
    """At most one field at the root of a mutation, so that no document tries two passwords or spends a token twice.

    Fragments are looked through, each once: the rule takes linear time, whatever spreads what (GQL-01, ROT-16).
    """

    def enter_operation_definition(self, operation: OperationDefinitionNode, *_: Any) -> None:
        if operation.operation is OperationType.MUTATION:
            fields, seen = [], set[str]()
            waiting: list[SelectionSetNode] = [operation.selection_set]
            while waiting:
                for selection in waiting.pop().selections:
                    match selection:
                        case FieldNode(name=name) if name.value != "__typename":
                            fields.append(selection)
                        case InlineFragmentNode(selection_set=inner):
                            waiting.append(inner)
                        case FragmentSpreadNode(name=name) if name.value not in seen:
                            seen.add(name.value)
                            fragment = self.context.get_fragment(name.value)
                            if isinstance(fragment, FragmentDefinitionNode):
                                waiting.append(fragment.selection_set)
            if len(fields) > 1:
                self.report_error(GraphQLError("A document may have one mutation field only.", fields))


_RULES = (*specified_rules, OneMutationField)


@lru_cache(maxsize=CACHED_DOCUMENTS)
def understand(query: str) -> tuple[DocumentNode, list[GraphQLError]]:
    """A document, parsed and validated the first time it comes; raises `GraphQLSyntaxError`.

    Front ends send a handful of documents over and over. By the text and not by the parsed document, whose hash would
    be as dear as a look at all of it; and never with rules made per request, which no cache would know again.
    """
    document = parse(query, max_tokens=MOST_TOKENS)
    return document, validate_document(schema._schema, document, _RULES)


class Documents(SchemaExtension):
    """Takes parsing and validation from `understand`."""

    def on_operation(self) -> Iterator[None]:
        """Before Strawberry would parse."""
        context = self.execution_context
        if context.query:
            context.graphql_document, errors = understand(context.query)
            context.pre_execution_errors = list(errors)
        yield


class Schema(strawberry.Schema):
    """Strawberry's, but that it leaves the logging of errors to us."""

    def process_errors(self, *_: Any, **__: Any) -> None:
        """Nothing: Strawberry would log the text of the query, and passwords with it (LOG-01)."""


schema = Schema(query=Query, mutation=Mutation, types=[Node, User, Session, SecurityEvent], extensions=[Documents])


def sdl() -> str:
    """The schema in GraphQL's own language, as it stands in `schema.graphql`."""
    return schema.as_str() + "\n"

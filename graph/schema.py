"""The schema, built once: caches that hit, and rules that are made before the first request."""

from typing import Any

import strawberry
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValidationRule,
)
from strawberry.extensions import AddValidationRules, MaxTokensLimiter, ParserCache, ValidationCache

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


class Schema(strawberry.Schema):
    """Strawberry's, but that it leaves the logging of errors to us."""

    def process_errors(self, *_: Any, **__: Any) -> None:
        """Nothing: Strawberry would log the text of the query, and passwords with it (LOG-01)."""


schema = Schema(
    query=Query,
    mutation=Mutation,
    types=[Node, User, Session, SecurityEvent],
    # Made anew for each request, over caches that are shared. The rule is a class made once: one made per request
    # would never find a cached validation.
    extensions=[
        lambda: MaxTokensLimiter(max_token_count=MOST_TOKENS),
        lambda: AddValidationRules([OneMutationField]),
        lambda: ParserCache(maxsize=CACHED_DOCUMENTS),
        lambda: ValidationCache(maxsize=CACHED_DOCUMENTS),
    ],
)


def sdl() -> str:
    """The schema in GraphQL's own language, as it stands in `schema.graphql`."""
    return schema.as_str() + "\n"

"""The undocumented parts of graphql-core that Kindred depends on. No other module touches them.

They are part of the executor, the parsing error of a document that is too large, and the wording of error messages. Its
documentation promises none of them. When a test reports that another version is installed, read the named parts in
that version, run the tests that the failing test names, and then change `READ_AGAINST`.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from graphql import (
    DocumentNode,
    Executor,
    FieldNode,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
)
from graphql.execution.collect_fields import CollectedFields, FieldDetails, FieldDetailsList, collect_fields
from graphql.pyutils import Path

READ_AGAINST = "3.3.2"

# Response keys, each with the nodes of the document that the executor merges under it.
SelectedFields = dict[str, Sequence[FieldNode]]
# Returns what the nodes of one response key select in an object type.
SelectSubfields = Callable[[GraphQLObjectType, Sequence[FieldNode]], SelectedFields]
# Returns the completed value of a field of this type and node, or `NOT_COMPLETED`.
CompleteValue = Callable[[GraphQLOutputType, FieldNode, object, SelectSubfields], object]

NOT_COMPLETED = object()


class CompletingExecutor(Executor[Any]):
    """graphql-core's executor, except that `complete` may complete a value first.

    `Executor.complete_value` is marked as private: its arguments may change in any release.
    """

    def __init__(self, *arguments: Any, complete: CompleteValue, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._complete = complete

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: object,
        position_context: Any,
    ) -> Any:
        """Complete a value by `complete`, or else as graphql-core does."""
        if len(field_details_list) == 1:
            completed = self._complete(return_type, field_details_list[0].node, result, self._subfields)
            if completed is not NOT_COMPLETED:
                return completed
        return super().complete_value(return_type, field_details_list, info, path, result, position_context)

    def _subfields(self, kind: GraphQLObjectType, nodes: Sequence[FieldNode]) -> SelectedFields:
        return _select_subfields(self, kind, nodes)


def select_root_fields(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> tuple[SelectedFields, SelectSubfields] | None:
    """Return what an operation selects at the root, and how to find what it selects further in.

    The document must be valid and have no directives: then the selection does not depend on the variables. Return None
    if graphql-core cannot execute the operation.
    """
    without_variables = OperationDefinitionNode(operation=operation.operation, selection_set=operation.selection_set)
    fragments = [node for node in document.definitions if not isinstance(node, OperationDefinitionNode)]
    executor = Executor.build(schema, DocumentNode(definitions=(without_variables, *fragments)))
    root = schema.get_root_type(operation.operation)
    if not isinstance(executor, Executor) or root is None:
        return None
    collected = collect_fields(schema, executor.fragments, executor.variable_values, root, without_variables)
    return _nodes(collected), lambda kind, nodes: _select_subfields(executor, kind, nodes)


def _select_subfields(executor: Executor[Any], kind: GraphQLObjectType, nodes: Sequence[FieldNode]) -> SelectedFields:
    return _nodes(executor.collect_subfields(kind, [FieldDetails(node, None) for node in nodes]))


def _nodes(collected: CollectedFields) -> SelectedFields:
    return {key: [details.node for details in group] for key, group in collected.grouped_field_set.items()}


def is_parser_limit(error: GraphQLSyntaxError) -> bool:
    """Return whether the parser stopped at `max_lexical_tokens` or at Python's recursion limit."""
    return "Parsing aborted" in error.message


# graphql-core repeats a value that does not fit. A value in the wrong place may be a password (LOG-02).
_REPEATED_VALUE = re.compile(
    r"(?s)(?<=value): (?!(?:Enum '\w+'|\w+) cannot represent).*|, found:? .*|(?<=Value) '.*'(?= does not exist in)"
)
_ABOUT_A_VALUE = re.compile(
    r"Variable '\$?\w+' (?!is )|OneOf Input Object|Expected value of|Value for member field"
    r"|Field '\w+\.\w+' must be non-null"
)
# A syntax error repeats the token that does not fit. The response has its location.
_REPEATED_TOKEN = re.compile(r"(?s)\b(Name|Int|Float|String|BlockString|sequence)(?: |: )'.*'")


def without_token(message: str) -> str:
    """Return the message of a syntax error without the token that it repeats."""
    return _REPEATED_TOKEN.sub(r"\1", message)


def without_value(message: str) -> tuple[str, bool]:
    """Return the message of a validation error without the value that it repeats, and whether it is about a value."""
    shortened = _REPEATED_VALUE.sub("", message)
    return shortened, shortened != message or _ABOUT_A_VALUE.match(shortened) is not None

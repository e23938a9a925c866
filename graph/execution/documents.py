"""Documents: parsing, limits, validation, and what is prepared for their execution."""

from dataclasses import dataclass
from functools import lru_cache

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
    specified_rules,
    validate,
)

from graph.execution import limits, strawberry_internals
from graph.execution.graphql_core_internals import is_parser_limit
from graph.execution.limits import MAX_ERRORS, MAX_TOKENS, IntrospectionDisabled, LimitExceeded, TooManyMutations
from graph.execution.operation_plans import PreparedOperation, plan_operation
from graph.execution.result_plans import ResultPlans

# Each of the largest documents takes almost 0.5 MB, and its plans as much again at most.
CACHED_DOCUMENTS = 128
_RULES = (*specified_rules, *strawberry_internals.VALIDATION_RULES)


class OperationNotFound(Exception):
    """The document has no operation of the requested name, or none at all. The message is for the developer."""


@dataclass(frozen=True)
class ParsedDocument:
    """A parsed document: its operations, by name, and the errors that prevent their execution."""

    errors: list[GraphQLError]
    operations: dict[str | None, PreparedOperation]

    def operation(self, name: str | None) -> PreparedOperation:
        """Return the named operation, or the only one. Raises `OperationNotFound`.

        Raises `GraphQLError` if there are several and none is named (GraphQL specification, section 6.1).
        """
        if name is not None and name in self.operations:
            return self.operations[name]
        if name:
            raise OperationNotFound("The document has no operation of the name in `operationName`.")
        if name is not None or not self.operations:
            raise OperationNotFound("The document has no operation.")
        if len(self.operations) > 1 and not self.errors:
            raise GraphQLError("The document has several operations. Name one of them in `operationName`.")
        return next(iter(self.operations.values()))


@lru_cache(maxsize=CACHED_DOCUMENTS)
def parse_and_validate(
    schema: GraphQLSchema, query: str, *, introspection_enabled: bool = True, plans_enabled: bool = True
) -> ParsedDocument:
    """Parse and validate a document, once for all its requests. Raises `GraphQLError` if it cannot be parsed.

    With `introspection_enabled` False, neither introspection nor hints in errors disclose the schema (GQL-10, GQL-11).
    The cache's key is the text: the hash of a parsed document costs as much as a walk through all of it.
    """
    document = _parse(query)
    errors: list[GraphQLError]
    try:
        limits.check(document, introspection=introspection_enabled)
        errors = validate(schema, document, _RULES, max_errors=MAX_ERRORS, hide_suggestions=not introspection_enabled)
    except (LimitExceeded, TooManyMutations, IntrospectionDisabled) as error:
        errors = [error]
    definitions = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    # With directives, the same document selects different fields for different variables.
    plannable = plans_enabled and not errors and "@" not in query
    result_plans = ResultPlans(schema) if plannable else None
    # Limits count for each operation: a hundred operations that share a fragment would have a hundred plans (GQL-07).
    plan = plan_operation(schema, document, definitions[0]) if plannable and len(definitions) == 1 else None
    operations = {}
    for definition in definitions:
        name = definition.name.value if definition.name else None
        root_fields = () if errors else _root_fields(document, definition)
        operations[name] = PreparedOperation(document, name, root_fields, plan, result_plans)
    return ParsedDocument(errors, operations)


def _parse(query: str) -> DocumentNode:
    limits.check_lines(query)
    try:
        # Comments are not counted as tokens. Each of them ends its line, so the limit of lines holds for them.
        return parse(query, max_lexical_tokens=MAX_TOKENS)
    except GraphQLSyntaxError as error:
        if not is_parser_limit(error):
            raise
        raise LimitExceeded(f"The document has more than {MAX_TOKENS} tokens, or is nested too deeply.") from None


def _root_fields(document: DocumentNode, operation: OperationDefinitionNode) -> tuple[str, ...]:
    """Return the names of an operation's root fields, for the log."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    names: dict[str, None] = {}
    spread: set[str] = set()

    def collect(selections: SelectionSetNode) -> None:
        for selection in selections.selections:
            if isinstance(selection, FieldNode):
                names[selection.name.value] = None
            elif isinstance(selection, InlineFragmentNode):
                collect(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
                spread.add(selection.name.value)
                collect(fragments[selection.name.value].selection_set)

    collect(operation.selection_set)
    return tuple(names)

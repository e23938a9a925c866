"""Limits of a document, checked before any validation rule, so that no document makes those rules slow.

Fragments count where they are spread. Each fragment is walked once however often it is spread, and the walk stops at
the first limit that is passed, so it takes linear time for any document (GQL-07).
"""

from collections import Counter
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
)

# GraphiQL's introspection query, the longest that a client needs, has about 400 tokens, 200 fields and 14 levels.
MAX_TOKENS = 1000
MAX_FIELDS = 400
MAX_LEVELS = 30
MAX_ALIASES = 30
MAX_DIRECTIVES = 30
# Fields with a response key that is already used in the same place: validation compares each pair of them.
MAX_REPETITIONS = 30
# One `__schema` takes ten milliseconds to answer, and no client needs two.
MAX_SCHEMA_FIELDS = 1
# In the largest possible response: two full pages of sessions with their lineages.
MAX_RESULT_FIELDS = 20_000
# The location of each error is found by counting lines from the start: many lines times many errors would be slow.
MAX_LINES = 1000
MAX_ERRORS = 5

# The maximum length of each list in the schema: a page of a connection, and a session's lineage.
LONGEST = {"edges": 100, "lineage": 16}
_INTROSPECTION = ("__schema", "__type")


class LimitExceeded(GraphQLError):
    """The document passes a limit."""


class TooManyMutations(GraphQLError):
    """The document has two mutation fields: two login attempts or two refreshes in one request (GQL-01, ROT-16)."""


class IntrospectionDisabled(GraphQLError):
    """The document uses introspection, and the service does not offer it (GQL-10)."""


@dataclass
class _Cost:
    """The cost of a selection set."""

    fields: int = 0
    # Fields in the largest possible response.
    result_fields: int = 0
    levels: int = 1
    aliases: int = 0
    directives: int = 0
    schema_fields: int = 0
    # Repeated response keys further in.
    repetitions: int = 0
    # The response keys of this place, and how many of its fields call a resolver.
    keys: Counter[str] = field(default_factory=Counter)
    resolvers: int = 0

    def add_fragment(self, cost: "_Cost") -> None:
        """Add a selection set whose fields are in the same place of the response."""
        self._add(cost)
        self.result_fields += cost.result_fields
        self.keys.update(cost.keys)
        self.resolvers += cost.resolvers

    def add_subfields(self, cost: "_Cost", *, times: int) -> None:
        """Add the selection set of a field. `times` is the maximum length of the field's list."""
        self._add(cost)
        self.result_fields += cost.result_fields * times
        self.repetitions += cost.keys.total() - len(cost.keys)

    def _add(self, cost: "_Cost") -> None:
        self.fields += cost.fields
        self.aliases += cost.aliases
        self.directives += cost.directives
        self.schema_fields += cost.schema_fields
        self.levels = max(self.levels, cost.levels + 1)
        self.repetitions += cost.repetitions

    def check(self, level: int) -> None:
        """Raise `LimitExceeded` if the selection set at this level passes a limit."""
        for count, limit, unit in (
            (self.fields, MAX_FIELDS, "fields"),
            (self.result_fields, MAX_RESULT_FIELDS, "fields in its largest possible response"),
            (level + self.levels, MAX_LEVELS, "levels"),
            (self.aliases, MAX_ALIASES, "aliases"),
            (self.directives, MAX_DIRECTIVES, "directives"),
            (self.schema_fields, MAX_SCHEMA_FIELDS, "`__schema`"),
            (self.repetitions + self.keys.total() - len(self.keys), MAX_REPETITIONS, "repeated fields"),
        ):
            if count > limit:
                raise LimitExceeded(f"The document has more than {limit} {unit}.")


class _Walk:
    def __init__(self, document: DocumentNode, *, introspection: bool) -> None:
        self._introspection = introspection
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._costs: dict[str, _Cost] = {}

    def selection_set(self, selections: SelectionSetNode, level: int) -> _Cost:
        cost = _Cost()
        cost.check(level)  # before the recursion, or a document could exhaust Python's stack
        for selection in selections.selections:
            cost.directives += len(selection.directives or ())
            self._add(cost, selection, level)
            cost.check(level)
        return cost

    def fragment(self, name: str, level: int) -> _Cost:
        if name not in self._costs:
            # Zero during its own walk: a validation rule refuses a fragment that spreads itself.
            self._costs[name] = _Cost()
            if fragment := self._fragments.get(name):
                cost = self._costs[name] = self.selection_set(fragment.selection_set, level)
                cost.directives += len(fragment.directives or ())
                cost.check(level)
        return self._costs[name]

    def _add(self, cost: _Cost, selection: SelectionNode, level: int) -> None:
        if isinstance(selection, FragmentSpreadNode):
            cost.add_fragment(self.fragment(selection.name.value, level + 1))
        elif isinstance(selection, InlineFragmentNode):
            cost.add_fragment(self.selection_set(selection.selection_set, level + 1))
        elif isinstance(selection, FieldNode):
            self._add_field(cost, selection, level)

    def _add_field(self, cost: _Cost, selection: FieldNode, level: int) -> None:
        name = selection.name.value
        if name in _INTROSPECTION and not self._introspection:
            raise IntrospectionDisabled("Introspection is disabled on this server.", selection)
        cost.fields += 1
        cost.result_fields += 1
        cost.aliases += selection.alias is not None
        cost.schema_fields += name == "__schema"
        cost.keys[selection.alias.value if selection.alias else name] += 1
        cost.resolvers += name != "__typename"
        if selection.selection_set:
            subfields = self.selection_set(selection.selection_set, level + 1)
            cost.add_subfields(subfields, times=LONGEST.get(name, 1))


def check_lines(query: str) -> None:
    """Raise `LimitExceeded` if the document has so many lines that locating an error would be slow."""
    if query.count("\n") + query.count("\r") - query.count("\r\n") >= MAX_LINES:
        raise LimitExceeded(f"The document has more than {MAX_LINES} lines.")


def check(document: DocumentNode, *, introspection: bool) -> None:
    """Raise `LimitExceeded`, `TooManyMutations` or `IntrospectionDisabled` if the document may not be validated."""
    walk = _Walk(document, introspection=introspection)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            cost = walk.selection_set(definition.selection_set, 0)
            cost.directives += len(definition.directives or ())
            cost.directives += sum(len(variable.directives or ()) for variable in definition.variable_definitions or ())
            cost.check(0)
            if definition.operation is OperationType.MUTATION and cost.resolvers > 1:
                raise TooManyMutations(
                    "A document may have only one mutation field. Send one request each.", definition
                )
        elif isinstance(definition, FragmentDefinitionNode):
            walk.fragment(definition.name.value, 0)

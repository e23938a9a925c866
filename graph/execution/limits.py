"""How much a document may ask for: looked at once, before any other rule, so that no document makes those slow.

Everything is counted with fragments put in where they are spread. A fragment is counted once however often it is
spread, and counting ends at the first limit that is passed, so it takes linear time whatever spreads what (GQL-07).
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

# GraphiQL's introspection, the longest document that anybody needs, has some 400 tokens, 200 fields and 14 levels.
MAX_TOKENS = 1000
MAX_FIELDS = 400
MAX_LEVELS = 30
MAX_ALIASES = 30
MAX_DIRECTIVES = 30
# Fields with the name of another one in the same place: whether they can be merged is asked for each pair of them.
MAX_REPETITIONS = 30
# The whole schema takes ten milliseconds to tell, and nobody needs it twice.
MAX_SCHEMA_FIELDS = 1
# In the answer, with every list as long as it can be: two full pages of sessions with all of their lineage.
MAX_RESULT_FIELDS = 20_000
# Each error's place is found by counting lines from the first, so many lines times many errors would be slow.
MAX_LINES = 1000
MAX_ERRORS = 5

# How long the lists of our schema can be: a page of a connection, and a session's lineage.
LONGEST = {"edges": 100, "lineage": 16}
_INTROSPECTION = ("__schema", "__type")


class LimitExceeded(GraphQLError):
    """The document asks for more than any client needs."""


class TooManyMutations(GraphQLError):
    """Two mutation fields in one document would be two guesses or two refreshes in one request (GQL-01, ROT-16)."""


class IntrospectionDisabled(GraphQLError):
    """The schema is not told here (GQL-10)."""


@dataclass
class _Cost:
    """What a selection set asks for, and what it adds to the place where it stands."""

    fields: int = 0
    # Fields of the answer, at most.
    answered: int = 0
    levels: int = 1
    aliases: int = 0
    directives: int = 0
    schemas: int = 0
    # In places further in.
    repetitions: int = 0
    # How often each name is answered with in this place, and how many fields there are that do something.
    names: Counter[str] = field(default_factory=Counter)
    at_work: int = 0

    def add(self, other: "_Cost", *, here: bool, times: int = 1) -> None:
        """Take in what stands within, answered so many times; `here` where its fields are answered beside ours."""
        self.fields += other.fields
        self.answered += other.answered * times
        self.aliases += other.aliases
        self.directives += other.directives
        self.schemas += other.schemas
        self.levels = max(self.levels, other.levels + 1)
        self.repetitions += other.repetitions
        if here:
            self.names.update(other.names)
            self.at_work += other.at_work
        else:
            self.repetitions += other.names.total() - len(other.names)

    def check(self, level: int) -> None:
        for count, most, what in (
            (self.fields, MAX_FIELDS, "fields"),
            (self.answered, MAX_RESULT_FIELDS, "fields to answer, with lists at their longest"),
            (level + self.levels, MAX_LEVELS, "levels"),
            (self.aliases, MAX_ALIASES, "aliases"),
            (self.directives, MAX_DIRECTIVES, "directives"),
            (self.schemas, MAX_SCHEMA_FIELDS, "`__schema`"),
            (self.repetitions + self.names.total() - len(self.names), MAX_REPETITIONS, "repeated fields"),
        ):
            if count > most:
                raise LimitExceeded(f"The document has more than {most} {what}.")


class _Walk:
    def __init__(self, document: DocumentNode, *, introspection: bool) -> None:
        self._introspection = introspection
        self._fragments = {
            definition.name.value: definition
            for definition in document.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        self._costs: dict[str, _Cost] = {}

    def of_set(self, selections: SelectionSetNode, level: int) -> _Cost:
        cost = _Cost()
        cost.check(level)  # before going deeper, or the document decides how deep Python goes
        for selection in selections.selections:
            cost.directives += len(selection.directives or ())
            self._add(cost, selection, level)
            cost.check(level)
        return cost

    def of_fragment(self, name: str, level: int) -> _Cost:
        if name not in self._costs:
            # Nothing while it is being counted: one that spreads itself is refused by the rules that come after.
            self._costs[name] = _Cost()
            if fragment := self._fragments.get(name):
                cost = self._costs[name] = self.of_set(fragment.selection_set, level)
                cost.directives += len(fragment.directives or ())
                cost.check(level)
        return self._costs[name]

    def _add(self, cost: _Cost, selection: SelectionNode, level: int) -> None:
        if isinstance(selection, FragmentSpreadNode):
            cost.add(self.of_fragment(selection.name.value, level + 1), here=True)
            return
        if isinstance(selection, FieldNode):
            name = selection.name.value
            if name in _INTROSPECTION and not self._introspection:
                raise IntrospectionDisabled("Introspection is off here.", selection)
            cost.fields += 1
            cost.answered += 1
            cost.aliases += selection.alias is not None
            cost.schemas += name == "__schema"
            cost.names[selection.alias.value if selection.alias else name] += 1
            cost.at_work += name != "__typename"
            if selection.selection_set:
                inside = self.of_set(selection.selection_set, level + 1)
                cost.add(inside, here=False, times=LONGEST.get(name, 1))
        elif isinstance(selection, InlineFragmentNode):
            cost.add(self.of_set(selection.selection_set, level + 1), here=True)


def check_lines(query: str) -> None:
    """Raises `LimitExceeded` for a document that would make it slow to say where in it an error is."""
    if query.count("\n") + query.count("\r") - query.count("\r\n") >= MAX_LINES:
        raise LimitExceeded(f"The document has more than {MAX_LINES} lines.")


def check(document: DocumentNode, *, introspection: bool) -> None:
    """Raises `LimitExceeded`, `OneMutationOnly` or `IntrospectionOff` for what no other rule needs to look at."""
    walk = _Walk(document, introspection=introspection)
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            cost = walk.of_set(definition.selection_set, 0)
            cost.directives += len(definition.directives or ())
            cost.directives += sum(len(variable.directives or ()) for variable in definition.variable_definitions or ())
            cost.check(0)
            if definition.operation is OperationType.MUTATION and cost.at_work > 1:
                raise TooManyMutations("A document may have one mutation field only.", definition)
        elif isinstance(definition, FragmentDefinitionNode):
            walk.of_fragment(definition.name.value, 0)

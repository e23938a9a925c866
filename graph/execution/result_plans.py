"""Plans: how what a resolver returned becomes what the document asks for of it, worked out once for each document.

graphql-core finds out anew for each value of each answer which fields are asked for and what their types are. A plan
knows: it is made of closures that read attributes. It holds where nothing is unusual. Wherever a value is not what the
schema has it to be, or a field has to be awaited, graphql-core completes the value as ever, and tells what is wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from inspect import iscoroutine
from typing import Any

from graphql import (
    Executor,
    GraphQLID,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLString,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from graphql.pyutils import Path
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField


@dataclass(frozen=True, slots=True)
class ContextOnlyInfo:
    """All that a field has of `Info` which a plan reads. Whatever asks for more is left to graphql-core."""

    context: Any


Plan = Callable[[Any, ContextOnlyInfo], Any]
# By the field's node in the document and the type that is made of its value. Both live as long as the plans.
Plans = dict[tuple[int, int], Plan | None]


DEFINITION = GraphQLCoreConverter.DEFINITION_BACKREF


class PlanUnavailable(Exception):
    """No plan can be made, or the one that was made does not hold."""


class PlannedExecutor(Executor[Any]):
    """graphql-core's, which completes values by plans where they hold.

    `plans` are those of the document, to which others are added; None where what is selected depends on more than it.
    """

    def __init__(self, *arguments: Any, plans: Plans | None, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._plans = plans
        self._only_context = ContextOnlyInfo(self.context_value)

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Complete a value."""
        if self._plans is not None and len(field_details_list) == 1:
            key = id(field_details_list[0].node), id(return_type)
            try:
                plan = self._plans[key]
            except KeyError:
                plan = self._plans[key] = self._plan_or_none(return_type, field_details_list)
            if plan is not None:
                try:
                    return plan(result, self._only_context)
                except Exception:  # noqa: S110
                    pass  # reading it once more does no harm, and graphql-core knows what to say and where
        return super().complete_value(return_type, field_details_list, info, path, result, position_context)

    def _plan_or_none(self, kind: Any, asked: FieldDetailsList) -> Plan | None:
        try:
            return self.plan(kind, asked)
        except PlanUnavailable:
            return None

    def plan(self, kind: Any, asked: FieldDetailsList) -> Plan:
        """How a value of this type is completed. Raises `Unplanned`."""
        if is_non_null_type(kind):
            return _non_null(self.plan(kind.of_type, asked))
        if is_list_type(kind):
            return _nullable(_list(self.plan(kind.of_type, asked)))
        if is_leaf_type(kind):
            return _leaf(kind)
        possible = self.schema.get_possible_types(kind) if is_abstract_type(kind) else [kind]
        return _nullable(_by_type(dict(self._of_objects(one, asked) for one in possible)))

    def _of_objects(self, kind: GraphQLObjectType, asked: FieldDetailsList) -> tuple[type, Plan]:
        definition: StrawberryObjectDefinition | None = kind.extensions.get(DEFINITION)
        if definition is None:  # of introspection
            raise PlanUnavailable
        fields = {field.python_name: field for field in definition.fields}
        parts: list[tuple[str, Plan, Plan]] = []
        for key, details in self.collect_subfields(kind, asked).grouped_field_set.items():
            name = details[0].node.name.value
            if name == "__typename":
                parts.append((key, _constant(kind.name), _text))
            else:
                of_schema = kind.fields[name]
                field = fields[of_schema.extensions[DEFINITION].python_name]
                parts.append((key, _reader(field), self.plan(of_schema.type, details)))
        return definition.origin, _object(parts)


def _non_null(plan: Plan) -> Plan:
    def complete(value: Any, info: ContextOnlyInfo) -> Any:
        if value is None:
            raise PlanUnavailable
        return plan(value, info)

    return complete


def _nullable(plan: Plan) -> Plan:
    return lambda value, info: None if value is None else plan(value, info)


def _list(plan: Plan) -> Plan:
    def complete(values: Any, info: ContextOnlyInfo) -> Any:
        if type(values) is not list:
            raise PlanUnavailable
        return [plan(value, info) for value in values]

    return complete


def _text(value: Any, _info: ContextOnlyInfo) -> Any:
    if not isinstance(value, str):
        raise PlanUnavailable
    return value


@cache  # a schema has but a few
def _leaf(kind: GraphQLLeafType) -> Plan:
    if kind in (GraphQLString, GraphQLID):
        return _nullable(_text)

    def complete(value: Any, _info: ContextOnlyInfo) -> Any:
        if isinstance(value, Exception):  # which graphql-core raises, whatever the type
            raise PlanUnavailable
        coerced = kind.coerce_output_value(value)
        if coerced is None:
            raise PlanUnavailable
        return coerced

    return _nullable(complete)


def _by_type(plans: dict[type, Plan]) -> Plan:
    # An object of a type that is not among them raises KeyError, which is no worse than `Unplanned`.
    return lambda value, info: plans[type(value)](value, info)


def _object(parts: list[tuple[str, Plan, Plan]]) -> Plan:
    return lambda value, info: {key: complete(read(value, info), info) for key, read, complete in parts}


def _constant(text: str) -> Plan:
    return lambda _value, _info: text


def _reader(field: StrawberryField) -> Plan:
    """How a field is read from its object. Raises `Unplanned` where that takes arguments or has to be awaited."""
    if field.is_basic_field:
        return _attribute(field.python_name)
    resolve = field.base_resolver
    if resolve is None or field.extensions or field.arguments or field.is_async:
        raise PlanUnavailable

    takes_info = resolve.info_parameter is not None

    def read(value: Any, info: ContextOnlyInfo) -> Any:
        found = resolve(value, info=info) if takes_info else resolve(value)
        if iscoroutine(found):
            found.close()
            raise PlanUnavailable
        return found

    return read


@cache
def _attribute(name: str) -> Plan:
    return lambda value, _info: getattr(value, name)

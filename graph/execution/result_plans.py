"""Result plans: how to make a response from what a resolver returned, worked out once for each document.

For each value of each response, graphql-core finds out again which fields are selected and which types they have. A
plan is made of closures that know both and read attributes. It covers the usual case only. If a value does not fit the
schema, or a field has to be awaited, graphql-core completes the value and describes what is wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import iscoroutine

from graphql import (
    FieldNode,
    GraphQLID,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_object_type,
)

from graph.execution import strawberry_internals
from graph.execution.graphql_core_internals import NOT_COMPLETED, SelectSubfields


@dataclass(frozen=True, slots=True)
class ContextOnlyInfo:
    """The part of Strawberry's `Info` that a plan offers to resolvers."""

    context: object


ResultPlan = Callable[[object, ContextOnlyInfo], object]


class PlanUnavailable(Exception):
    """The plan cannot be made, or does not cover this value."""


class ResultPlans:
    """The result plans of one document, each made when it is first needed."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._core_schema = schema
        # By the identities of the field's node and of its type. The document and the schema keep both alive.
        self._plans: dict[tuple[int, int], ResultPlan | None] = {}

    def find(self, kind: GraphQLOutputType, node: FieldNode, subfields: SelectSubfields) -> ResultPlan | None:
        """Return the plan for a field of this node and type; None if it has none."""
        key = id(node), id(kind)
        try:
            return self._plans[key]
        except KeyError:
            plan: ResultPlan | None
            try:
                plan = plan_result(self._core_schema, kind, [node], subfields)
            except PlanUnavailable:
                plan = None
            self._plans[key] = plan
            return plan


@dataclass(frozen=True, slots=True)
class PlannedCompletion:
    """Completes values of one response by plans: a `CompleteValue` for the executor."""

    plans: ResultPlans
    info: ContextOnlyInfo

    def __call__(self, kind: GraphQLOutputType, node: FieldNode, value: object, subfields: SelectSubfields) -> object:
        """Return the completed value; `NOT_COMPLETED` if there is no plan, or it does not cover the value."""
        plan = self.plans.find(kind, node, subfields)
        if plan is None:
            return NOT_COMPLETED
        try:
            return plan(value, self.info)
        except Exception:
            # graphql-core reads the value again, and describes the error and its path.
            return NOT_COMPLETED


def plan_result(
    schema: GraphQLSchema, kind: GraphQLOutputType, nodes: Sequence[FieldNode], subfields: SelectSubfields
) -> ResultPlan:
    """Plan how a value of this type is completed. Raises `PlanUnavailable`."""
    if is_non_null_type(kind):
        return _non_null(plan_result(schema, kind.of_type, nodes, subfields))
    if is_list_type(kind):
        return _nullable(_list(plan_result(schema, kind.of_type, nodes, subfields)))
    if is_leaf_type(kind):
        return _leaf(kind)
    if is_abstract_type(kind):
        members = schema.get_possible_types(kind)
    elif is_object_type(kind):
        members = [kind]
    else:
        raise PlanUnavailable
    return _nullable(_by_class(dict(_plan_object(schema, member, nodes, subfields) for member in members)))


def _plan_object(
    schema: GraphQLSchema, kind: GraphQLObjectType, nodes: Sequence[FieldNode], subfields: SelectSubfields
) -> tuple[type, ResultPlan]:
    python_class = strawberry_internals.class_of(kind)
    if python_class is None:
        raise PlanUnavailable
    parts: list[tuple[str, ResultPlan, ResultPlan]] = []
    for key, field_nodes in subfields(kind, nodes).items():
        name = field_nodes[0].name.value
        if name == "__typename":
            parts.append((key, _constant(kind.name), _text))
        else:
            complete = plan_result(schema, kind.fields[name].type, field_nodes, subfields)
            parts.append((key, _reader(kind, name), complete))
    return python_class, _object(parts)


def _non_null(plan: ResultPlan) -> ResultPlan:
    def complete(value: object, info: ContextOnlyInfo) -> object:
        if value is None:
            raise PlanUnavailable
        return plan(value, info)

    return complete


def _nullable(plan: ResultPlan) -> ResultPlan:
    return lambda value, info: None if value is None else plan(value, info)


def _list(plan: ResultPlan) -> ResultPlan:
    def complete(values: object, info: ContextOnlyInfo) -> object:
        if type(values) is not list:
            raise PlanUnavailable
        return [plan(value, info) for value in values]

    return complete


def _text(value: object, _info: ContextOnlyInfo) -> object:
    if not isinstance(value, str):
        raise PlanUnavailable
    return value


@cache  # a schema has few leaf types
def _leaf(kind: GraphQLLeafType) -> ResultPlan:
    if kind in (GraphQLString, GraphQLID):
        return _nullable(_text)

    def complete(value: object, _info: ContextOnlyInfo) -> object:
        if isinstance(value, Exception):  # graphql-core raises it, for every type
            raise PlanUnavailable
        coerced = kind.coerce_output_value(value)
        if coerced is None:
            raise PlanUnavailable
        return coerced

    return _nullable(complete)


def _by_class(plans: dict[type, ResultPlan]) -> ResultPlan:
    # For an object of another class this raises KeyError, which has the same effect as `PlanUnavailable`.
    return lambda value, info: plans[type(value)](value, info)


def _object(parts: list[tuple[str, ResultPlan, ResultPlan]]) -> ResultPlan:
    return lambda value, info: {key: complete(read(value, info), info) for key, read, complete in parts}


def _constant(text: str) -> ResultPlan:
    return lambda _value, _info: text


def _reader(kind: GraphQLObjectType, name: str) -> ResultPlan:
    """Return how a field is read from its object. Raises `PlanUnavailable`, and so does the reader."""
    reader = strawberry_internals.field_reader(kind, name)
    if reader is None:
        raise PlanUnavailable
    if reader.resolve is None:
        return _attribute(reader.attribute)
    resolve, takes_info = reader.resolve, reader.takes_info

    def read(value: object, info: ContextOnlyInfo) -> object:
        result = resolve(value, info=info) if takes_info else resolve(value)
        if iscoroutine(result):
            result.close()
            raise PlanUnavailable
        return result

    return read


@cache
def _attribute(name: str) -> ResultPlan:
    return lambda value, _info: getattr(value, name)

"""Argument plans: how to make an argument from a request's variables, worked out once for each document.

graphql-core coerces the values. A plan covers leaf values and flat inputs that fit their type. For anything else it
raises `PlanUnavailable`: graphql-core then executes the operation, and describes what is wrong.
"""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLInputType,
    GraphQLSchema,
    Undefined,
    ValueNode,
    VariableDefinitionNode,
    coerce_input_literal,
    coerce_input_value,
    get_named_type,
    is_input_object_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    type_from_ast,
)

from graph.execution import strawberry_internals
from graph.execution.result_plans import PlanUnavailable

Variables = Mapping[str, object]
# Returns the argument, or `Undefined` for the resolver's own default.
ArgumentPlan = Callable[[Variables], object]


def from_literal(value: ValueNode, kind: GraphQLInputType) -> ArgumentPlan:
    """Plan an argument whose value stands in the document. Raises `PlanUnavailable`."""
    coerced, convert = _coerce_literal(value, kind), _converter(kind)
    return lambda _variables: convert(coerced)


def from_variable(argument: GraphQLArgument, variable: VariableDefinitionNode, schema: GraphQLSchema) -> ArgumentPlan:
    """Plan an argument whose value is a variable. Raises `PlanUnavailable`, and so does the plan."""
    name, convert = variable.variable.name.value, _converter(argument.type)
    kind: Any = type_from_ast(schema, variable.type)
    is_required = is_non_null_type(argument.type)
    may_be_absent = not is_required and not is_non_null_type(kind)
    default = _coerce_literal(variable.default_value, kind) if variable.default_value else Undefined

    def plan(variables: Variables) -> object:
        coerced = coerce_input_value(variables[name], kind) if name in variables else default
        if coerced is Undefined and may_be_absent and name not in variables:
            return Undefined
        if coerced is Undefined or (coerced is None and is_required):
            raise PlanUnavailable
        return convert(coerced)

    return plan


def _coerce_literal(value: ValueNode, kind: GraphQLInputType) -> object:
    try:
        coerced = coerce_input_literal(value, kind)
    except Exception:
        raise PlanUnavailable from None
    if coerced is Undefined:
        raise PlanUnavailable
    return coerced


def _converter(kind: GraphQLInputType) -> Callable[[object], object]:
    """Return how a coerced value becomes the resolver's argument. Raises `PlanUnavailable`.

    Lists have no plan: a resolver that changes its list would change it for the next request too.
    """
    named = get_named_type(kind)
    if is_list_type(kind) or is_list_type(getattr(kind, "of_type", None)):
        raise PlanUnavailable
    if is_leaf_type(named):
        return lambda value: value
    if not is_input_object_type(named):
        raise PlanUnavailable
    build = strawberry_internals.input_builder(named)
    if build is None or not all(is_leaf_type(get_named_type(field.type)) for field in named.fields.values()):
        raise PlanUnavailable
    return build

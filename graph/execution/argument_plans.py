"""Arguments: how what a resolver takes is made of a request's variables, worked out once for each document.

By graphql-core's own coercion. Whatever that would not have, or what could be more than a leaf or a flat input, is
`Unplanned`: graphql-core knows what is wrong with it, and says it.
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
from strawberry.types.base import StrawberryObjectDefinition

from graph.execution.result_plans import DEFINITION, PlanUnavailable

Variables = Mapping[str, Any]
# Makes an argument; `Undefined` where it is left out, for the resolver's own default.
Argument = Callable[[Variables], Any]


def from_literal(value: ValueNode, kind: GraphQLInputType) -> Argument:
    """A value that stands in the document. Raises `Unplanned`."""
    coerced, convert = _coerced_literal(value, kind), _converter(kind)
    return lambda _variables: convert(coerced)


def from_variable(argument: GraphQLArgument, variable: VariableDefinitionNode, schema: GraphQLSchema) -> Argument:
    """A value that comes with the request. Raises `Unplanned`."""
    name, convert = variable.variable.name.value, _converter(argument.type)
    kind: Any = type_from_ast(schema, variable.type)
    is_required = is_non_null_type(argument.type)
    may_be_left_out = not is_required and not is_non_null_type(kind)
    default = _coerced_literal(variable.default_value, kind) if variable.default_value else Undefined

    def of(variables: Variables) -> Any:
        coerced = coerce_input_value(variables[name], kind) if name in variables else default
        if coerced is Undefined and may_be_left_out and name not in variables:
            return Undefined
        if coerced is Undefined or (coerced is None and is_required):
            raise PlanUnavailable
        return convert(coerced)

    return of


def _coerced_literal(value: ValueNode, kind: GraphQLInputType) -> Any:
    try:
        coerced = coerce_input_literal(value, kind)
    except Exception:
        raise PlanUnavailable from None
    if coerced is Undefined:
        raise PlanUnavailable
    return coerced


def _converter(kind: GraphQLInputType) -> Callable[[Any], Any]:
    """How a coerced value becomes what the resolver takes. Raises `Unplanned` for all but leaves and flat inputs."""
    named = get_named_type(kind)
    if is_list_type(kind) or is_list_type(getattr(kind, "of_type", None)):
        raise PlanUnavailable
    if is_leaf_type(named):
        return lambda value: value
    if not is_input_object_type(named):
        raise PlanUnavailable
    definition: StrawberryObjectDefinition = named.extensions[DEFINITION]
    build, origin = definition.from_input, definition.origin
    if build is None or not all(is_leaf_type(get_named_type(field.type)) for field in named.fields.values()):
        raise PlanUnavailable
    return lambda value: None if value is None else build(origin, value, None)  # type: ignore[arg-type]

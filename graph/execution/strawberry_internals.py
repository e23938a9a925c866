"""The undocumented parts of Strawberry that Kindred depends on. No other module touches them.

They are the definitions that Strawberry attaches to classes and to the types of graphql-core, and the validation rules
that its own `Schema.execute` adds. When a test reports that another version is installed, read the named parts in that
version, run the tests that the failing test names, and then change `READ_AGAINST`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import strawberry
from graphql import GraphQLArgument, GraphQLField, GraphQLInputObjectType, GraphQLObjectType, GraphQLSchema
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types.arguments import InputContext, StrawberryArgument
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField
from strawberry.utils.str_converters import to_camel_case

READ_AGAINST = "0.341.2"

# The rules that Strawberry validates with besides the specification's.
VALIDATION_RULES = (MaybeNullValidationRule, OneOfInputValidationRule)

_DEFINITION = GraphQLCoreConverter.DEFINITION_BACKREF

T = TypeVar("T")
E = TypeVar("E", bound=type[Enum])


def core_schema(schema: strawberry.Schema) -> GraphQLSchema:
    """Return the graphql-core schema that Strawberry built."""
    return schema._schema


def describe_enum(enum: E, description: str, **values: str) -> E:
    """Make a GraphQL enum of an enum that the database layer defines, with a description for each value."""
    strawberry.enum(enum, description=description)
    for value in enum.__strawberry_definition__.values:  # type: ignore[attr-defined]
        value.description = values[value.name]
    return enum


def flat_input(kind: type[T]) -> type[T]:
    """Build an input class directly from the values that graphql-core coerced. No field may be another input.

    Strawberry's conversion inspects the type of every field for each request: 5 % of a refresh.
    """
    definition: StrawberryObjectDefinition = kind.__strawberry_definition__  # type: ignore[attr-defined]
    names = {field.graphql_name or to_camel_case(field.python_name): field.python_name for field in definition.fields}

    def build(kind: type, values: Mapping[str, object], _context: InputContext | None) -> object:
        return kind(**{names[name]: value for name, value in values.items()})

    definition.from_input = build
    return kind


def input_builder(kind: GraphQLInputObjectType) -> Callable[[Any], object] | None:
    """Return a function that builds a `flat_input` from coerced values or null; None for any other input."""
    definition: StrawberryObjectDefinition = kind.extensions[_DEFINITION]
    build, origin = definition.from_input, definition.origin
    if build is None:
        return None
    return lambda values: None if values is None else build(origin, values, None)  # type: ignore[arg-type]


def argument_name(argument: GraphQLArgument) -> str:
    """Return the keyword that the resolver takes the argument by."""
    definition: StrawberryArgument = argument.extensions[_DEFINITION]
    return definition.python_name


def root_resolver(field: GraphQLField) -> Callable[..., Awaitable[object]] | None:
    """Return the coroutine function that resolves a root field; None if extensions surround it, or it is not async."""
    definition: StrawberryField = field.extensions[_DEFINITION]
    if definition.base_resolver is None or not definition.is_async or definition.extensions:
        return None
    return definition.base_resolver


def class_of(kind: GraphQLObjectType) -> type | None:
    """Return the class that Strawberry made an object type of; None for a type of introspection."""
    definition: StrawberryObjectDefinition | None = kind.extensions.get(_DEFINITION)
    return None if definition is None else definition.origin


@dataclass(frozen=True, slots=True)
class FieldReader:
    """How to read a field from its object: call `resolve`, with `info` if it takes that, or else read `attribute`."""

    attribute: str
    resolve: Callable[..., object] | None = None
    takes_info: bool = False


def field_reader(kind: GraphQLObjectType, name: str) -> FieldReader | None:
    """Return how to read a field; None if it takes arguments, has extensions, or is async."""
    attribute = kind.fields[name].extensions[_DEFINITION].python_name
    # A field of an interface may be overridden: the definition of the object type has the one that counts.
    definition: StrawberryObjectDefinition = kind.extensions[_DEFINITION]
    (field,) = (field for field in definition.fields if field.python_name == attribute)
    resolver = field.base_resolver
    if field.is_basic_field:
        return FieldReader(attribute)
    if resolver is None or field.extensions or field.arguments or field.is_async:
        return None
    return FieldReader(attribute, resolver, takes_info=resolver.info_parameter is not None)

"""The schema: written down as it is, true to the contract, described throughout, and without a secret in it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_nullable_type,
    is_leaf_type,
    is_specified_scalar_type,
    print_ast,
)
from graphql.utilities import find_breaking_changes, find_dangerous_changes
from typer.testing import CliRunner

from graph.cli import main
from tests.support.repository import ROOT

CONTRACT = (Path(__file__).parent / "contract.graphql").read_text(encoding="utf-8")
WRITTEN_DOWN = (ROOT / "schema.graphql").read_text(encoding="utf-8")
# A union may gain members: whoever reads it was told to match the interface too.
GROWTH = {"VALUE_ADDED_TO_ENUM", "TYPE_ADDED_TO_UNION", "OPTIONAL_INPUT_FIELD_ADDED", "OPTIONAL_ARG_ADDED"}
GROWTH |= {"IMPLEMENTED_INTERFACE_ADDED"}

WithFields = GraphQLObjectType | GraphQLInterfaceType


def breaches(contract: str, ours: str) -> list[str]:
    """Where a schema does not do what another promises, a sentence for each; additions are none."""
    promised, given = build_schema(contract), build_schema(ours)
    found = [change.description for change in find_breaking_changes(promised, given)]
    found += [
        change.description for change in find_dangerous_changes(promised, given) if change.type.name not in GROWTH
    ]
    for name, kept in types_of(promised):
        kin = given.type_map.get(name)
        match kept, kin:
            case GraphQLInputObjectType(), GraphQLInputObjectType():
                if kept.is_one_of != kin.is_one_of:
                    found.append(f"{name}: @oneOf")
                found += [
                    f"{name}.{field}: default"
                    for field in kept.fields
                    if field in kin.fields and default_of(kept.fields[field]) != default_of(kin.fields[field])
                ]
            case (GraphQLObjectType() | GraphQLInterfaceType(), GraphQLObjectType() | GraphQLInterfaceType()):
                found += [
                    f"{name}.{field}({argument}:): default"
                    for field in kept.fields
                    if field in kin.fields
                    for argument, promise in kept.fields[field].args.items()
                    if argument in kin.fields[field].args
                    and default_of(promise) != default_of(kin.fields[field].args[argument])
                ]
                # Nullability as promised, not merely stricter: a result that may be null must be written so.
                found += [
                    f"{name}.{field}: {promise.type} became {kin.fields[field].type}"
                    for field, promise in kept.fields.items()
                    if field in kin.fields and str(promise.type) != str(kin.fields[field].type)
                ]
    return found


def default_of(argument: Any) -> str:
    """A default as it stands in the language. None given is the same as null: an absent optional value is null."""
    node = argument.ast_node.default_value
    return "null" if node is None else print_ast(node)


def types_of(schema: GraphQLSchema) -> Iterator[tuple[str, GraphQLNamedType]]:
    for name, kind in schema.type_map.items():
        if not name.startswith("__") and not is_specified_scalar_type(kind):
            yield name, kind


def test_the_schema_is_written_down_as_the_command_prints_it() -> None:
    printed = CliRunner().invoke(main, ["schema"])
    assert printed.exit_code == 0
    assert printed.stdout == WRITTEN_DOWN, "run `make schema`"


def test_the_schema_keeps_the_contract() -> None:
    assert breaches(CONTRACT, WRITTEN_DOWN) == []


@pytest.mark.parametrize(
    ("kept", "broken"),
    [
        ("expiresIn: Int!", "expiresIn: Int!\n  idToken: String!"),
        ("  state: SessionState!", "  state: SessionState"),
        ("revokedAt: DateTime", "revokedAt: DateTime!"),
        ("first: Int! = 20, after: String, state", "first: Int! = 50, after: String, state"),
        ("state: SessionState = ACTIVE", "state: SessionState"),
        ("session(id: ID!)", "session(id: ID!, deep: Boolean)"),
        ("RevokeSessionInput @oneOf", "RevokeSessionInput"),
        ("input RenameSessionInput {", "input RenameSessionInput {\n  colour: String"),
        ("deviceName: String\n", 'deviceName: String = "laptop"\n'),
        ("EXPIRED\n", "EXPIRED\n  ASLEEP\n"),
        ("WeakPasswordError | TooManyAttemptsError", "WeakPasswordError | SessionNotFoundError"),
        (
            "type Session implements Node",
            "interface Aged { createdAt: DateTime! }\ntype Session implements Node & Aged",
        ),
        ("retryAfter: Int!", "retryAfter: Float!"),
        ("login(input: LoginInput!): LoginResult", "login(input: LoginInput!): LoginResult!"),
        ("scalar DateTime", "scalar DateTime\ntype Team { id: ID! }"),
    ],
)
def test_a_schema_that_breaks_its_contract_is_found_out(kept: str, broken: str) -> None:
    assert kept in CONTRACT
    assert breaches(CONTRACT.replace(kept, broken, 1), WRITTEN_DOWN)


def described_parts() -> Iterator[tuple[str, str | None]]:
    for name, kind in types_of(build_schema(WRITTEN_DOWN)):
        yield name, kind.description
        match kind:
            case GraphQLObjectType() | GraphQLInterfaceType():
                for field, of_field in kind.fields.items():
                    yield f"{name}.{field}", of_field.description
                    for argument, of_argument in of_field.args.items():
                        yield f"{name}.{field}({argument}:)", of_argument.description
            case GraphQLInputObjectType():
                for field, of_input in kind.fields.items():
                    yield f"{name}.{field}", of_input.description
            case GraphQLEnumType():
                for value, of_value in kind.values.items():
                    yield f"{name}.{value}", of_value.description


def test_everything_in_the_schema_is_described() -> None:
    parts = dict(described_parts())
    assert len(parts) > 120
    assert [name for name, description in parts.items() if not (description or "").strip(" .")] == []


def test_every_refusal_is_a_user_error_and_every_result_has_one() -> None:
    schema = build_schema(WRITTEN_DOWN)
    user_error = schema.type_map["UserError"]
    unions = [kind for _, kind in types_of(schema) if isinstance(kind, GraphQLUnionType)]
    assert len(unions) == 5
    for union in unions:
        refusals = [kind for kind in union.types if kind.name.endswith("Error")]
        assert refusals
        assert all(user_error in kind.interfaces for kind in refusals)


def test_sess_07_no_part_of_the_schema_shows_a_digest_a_hash_or_a_secret() -> None:
    names = {name for name, _ in described_parts()}
    assert [name for name in names if re.search(r"digest|hash|secret|salt|jti|sealed|privateKey", name, re.I)] == []
    # Passwords go in and never come out; the two tokens come out where they are issued, and nowhere else.
    outward = {
        f"{name}.{field}"
        for name, kind in types_of(build_schema(WRITTEN_DOWN))
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
        for field, of_field in kind.fields.items()
        if str(of_field.type).startswith("String") and re.search(r"password|token", field, re.I)
    }
    assert outward == {"TokenPair.accessToken", "TokenPair.refreshToken", "TokenPair.tokenType"}


def test_every_input_is_flat_for_it_is_built_from_its_values_as_they_are() -> None:
    inputs = [kind for kind in build_schema(WRITTEN_DOWN).type_map.values() if isinstance(kind, GraphQLInputObjectType)]
    assert inputs
    for kind in inputs:
        for name, field in kind.fields.items():
            assert is_leaf_type(get_nullable_type(field.type)), f"{kind.name}.{name}: see `flat` in graph/api/inputs.py"

"""The schema: committed as the command prints it, true to the contract, described throughout, and without secrets."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    REMOVE,
    DocumentNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    Visitor,
    build_schema,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_specified_scalar_type,
    parse,
    print_ast,
    visit,
)
from graphql.utilities import find_breaking_changes, find_dangerous_changes
from typer.testing import CliRunner

from graph.cli import main
from tests.support.repository import ROOT

CONTRACT = (ROOT / "tests" / "contract.graphql").read_text(encoding="utf-8")
COMMITTED = (ROOT / "schema.graphql").read_text(encoding="utf-8")
# What the contract promises and the service does not have yet. Each feature removes its names when it adds them.
PENDING = {
    "registration": {
        "Mutation.register",
        "Mutation.confirmRegistration",
        "RegisterInput",
        "ConfirmRegistrationInput",
        "ConfirmRegistrationResult",
        "UsernameTakenError",
        "SecurityEventKind.REGISTERED",
    },
    "password reset": {
        "Mutation.requestPasswordReset",
        "Mutation.resetPassword",
        "ResetPasswordInput",
        "ResetPasswordResult",
        "ResetPasswordSuccess",
        "SecurityEventKind.PASSWORD_RESET",
    },
    "sign-in with a code": {
        "Mutation.requestLoginCode",
        "Mutation.loginWithCode",
        "LoginWithCodeInput",
        "LoginWithCodeResult",
        "User.hasPassword",
    },
    "codes by e-mail, for several features": {
        "EmailInput",
        "EmailCodeSent",
        "EmailCodeResult",
        "InvalidCodeError",
        "InvalidIdentifierError",
        "NotOfferedError",
        "SecurityEventKind.EMAIL_CODE_REQUESTED",
        "User.emailVerified",
    },
    "change of the e-mail address": {
        "Mutation.requestEmailChange",
        "Mutation.confirmEmailChange",
        "RequestEmailChangeInput",
        "RequestEmailChangeResult",
        "ConfirmEmailChangeInput",
        "ConfirmEmailChangeResult",
        "EmailChanged",
        "SecurityEventKind.EMAIL_CHANGED",
    },
    "deletion of the account": {
        "Mutation.deleteAccount",
        "DeleteAccountInput",
        "DeleteAccountResult",
        "DeleteAccountSuccess",
    },
    "recent authentication": {
        "ReauthenticationRequiredError",
        "Session.amr",
        "Session.acr",
        "Session.authenticatedAt",
    },
    "the application's backend": {
        "Mutation.claimSession",
        "ClaimSessionInput",
        "ClaimSessionResult",
        "User.roles",
        "Session.actor",
        "Actor",
        "SecurityEventKind.IMPERSONATION_STARTED",
    },
    "subscriptions": {"Subscription", "SessionEnded"},
    "names of devices": {"IssuedToken.deviceName", "SecurityEvent.deviceName"},
}
# A union may gain members: its description tells clients to match the interface too.
GROWTH = {"VALUE_ADDED_TO_ENUM", "TYPE_ADDED_TO_UNION", "OPTIONAL_INPUT_FIELD_ADDED", "OPTIONAL_ARG_ADDED"}
GROWTH |= {"IMPLEMENTED_INTERFACE_ADDED"}

WithFields = GraphQLObjectType | GraphQLInterfaceType


class _Remove(Visitor):
    """Removes named types, and named members of types, from a document."""

    def __init__(self, names: set[str]) -> None:
        super().__init__()
        self.names = names
        self.removed: set[str] = set()

    def enter(self, node: Any, *_: Any) -> Any:
        name = getattr(getattr(node, "name", None), "value", None)
        if node.kind.endswith("_type_definition"):
            self.kind = name
        elif node.kind in ("field_definition", "input_value_definition", "enum_value_definition"):
            name = f"{self.kind}.{name}"
        else:
            return None
        if name not in self.names:
            return None
        self.removed.add(name)
        return REMOVE


def without(names: set[str], document: DocumentNode) -> DocumentNode:
    removal = _Remove(names)
    remaining: DocumentNode = visit(document, removal)
    assert removal.removed == names, f"the contract does not have {sorted(names - removal.removed)}"
    return remaining


def pending() -> set[str]:
    return set().union(*PENDING.values())


def promised_by_now() -> str:
    return print_ast(without(pending(), parse(CONTRACT, no_location=True)))


def breaches(contract: str, sdl: str) -> list[str]:
    """Return a sentence for each promise of a contract that a schema breaks. Additions break none."""
    promised, actual = build_schema(contract), build_schema(sdl)
    sentences = [change.description for change in find_breaking_changes(promised, actual)]
    sentences += [
        change.description for change in find_dangerous_changes(promised, actual) if change.type.name not in GROWTH
    ]
    for name, kind in types_of(promised):
        actual_kind = actual.type_map.get(name)
        if isinstance(kind, GraphQLInputObjectType) and isinstance(actual_kind, GraphQLInputObjectType):
            sentences += input_breaches(kind, actual_kind)
        elif isinstance(kind, WithFields) and isinstance(actual_kind, WithFields):
            sentences += output_breaches(kind, actual_kind)
    return sentences


def input_breaches(promised: GraphQLInputObjectType, actual: GraphQLInputObjectType) -> Iterator[str]:
    if promised.is_one_of != actual.is_one_of:
        yield f"{promised.name}: @oneOf"
    for name in promised.fields.keys() & actual.fields.keys():
        if default_of(promised.fields[name]) != default_of(actual.fields[name]):
            yield f"{promised.name}.{name}: default"


def output_breaches(promised: WithFields, actual: WithFields) -> Iterator[str]:
    for name in promised.fields.keys() & actual.fields.keys():
        field, actual_field = promised.fields[name], actual.fields[name]
        # Stricter nullability is a breach too: a result is nullable so that an error in it leaves the others (GQL-18).
        if str(field.type) != str(actual_field.type):
            yield f"{promised.name}.{name}: {field.type} became {actual_field.type}"
        for argument in field.args.keys() & actual_field.args.keys():
            if default_of(field.args[argument]) != default_of(actual_field.args[argument]):
                yield f"{promised.name}.{name}({argument}:): default"


def default_of(argument: Any) -> str:
    """Return a default as text. No default is the same as null: an absent optional value is null."""
    node = argument.ast_node.default_value
    return "null" if node is None else print_ast(node)


def types_of(schema: GraphQLSchema) -> Iterator[tuple[str, GraphQLNamedType]]:
    for name, kind in schema.type_map.items():
        if not name.startswith("__") and not is_specified_scalar_type(kind):
            yield name, kind


def members_of(schema: GraphQLSchema) -> Iterator[tuple[str, str | None]]:
    """Yield the name and the description of every type, field, argument and enum value."""
    for name, kind in types_of(schema):
        yield name, kind.description
        match kind:
            case GraphQLObjectType() | GraphQLInterfaceType():
                for field, output_field in kind.fields.items():
                    yield f"{name}.{field}", output_field.description
                    for argument, definition in output_field.args.items():
                        yield f"{name}.{field}({argument}:)", definition.description
            case GraphQLInputObjectType():
                for field, input_field in kind.fields.items():
                    yield f"{name}.{field}", input_field.description
            case GraphQLEnumType():
                for value, enum_value in kind.values.items():
                    yield f"{name}.{value}", enum_value.description


def test_the_committed_schema_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(main, ["schema"])
    assert printed.exit_code == 0
    assert printed.stdout == COMMITTED, "run `make schema`"


def test_the_schema_keeps_the_contract_except_for_what_is_pending() -> None:
    assert breaches(promised_by_now(), COMMITTED) == []


def test_nothing_that_exists_is_marked_as_pending() -> None:
    existing = {name for name, _ in members_of(build_schema(COMMITTED))}
    assert pending() & existing == set(), "remove them from PENDING"


def test_no_name_is_pending_for_two_features() -> None:
    assert sum(map(len, PENDING.values())) == len(pending())


@pytest.mark.parametrize(
    ("promise", "other_promise"),
    [
        ("expiresIn: Int!", "expiresIn: Int!\n  idToken: String!"),
        ("  state: SessionState!", "  state: SessionState"),
        ("revokedAt: DateTime", "revokedAt: DateTime!"),
        ("first: Int! = 20", "first: Int! = 50"),
        ("state: SessionState = ACTIVE", "state: SessionState"),
        ('"""The session\'s ID."""\n    id: ID!', "id: ID!, deep: Boolean"),
        ("RevokeSessionInput @oneOf", "RevokeSessionInput"),
        ("input RenameSessionInput {", "input RenameSessionInput {\n  colour: String"),
        ("deviceName: String = null", 'deviceName: String = "laptop"'),
        ("EXPIRED\n", "EXPIRED\n  ASLEEP\n"),
        ("WeakPasswordError | TooManyAttemptsError", "WeakPasswordError | SessionNotFoundError"),
        (
            "type Session implements Node",
            "interface Aged { createdAt: DateTime! }\ntype Session implements Node & Aged",
        ),
        ("retryAfter: Int!", "retryAfter: Float!"),
        ("): LoginResult", "): LoginResult!"),
        ("scalar DateTime", "scalar DateTime\ntype Team { id: ID! }"),
    ],
)
def test_a_schema_that_breaks_the_contract_is_found(promise: str, other_promise: str) -> None:
    contract = promised_by_now()
    assert promise in contract
    assert breaches(contract.replace(promise, other_promise, 1), COMMITTED)


def test_every_member_of_the_schema_has_a_description() -> None:
    members = dict(members_of(build_schema(COMMITTED)))
    assert len(members) > 120
    assert [name for name, description in members.items() if not (description or "").strip(" .")] == []


def test_every_union_is_the_result_of_a_mutation_and_its_errors_are_user_errors() -> None:
    schema = build_schema(COMMITTED)
    assert schema.mutation_type is not None
    user_error = schema.type_map["UserError"]
    unions = {kind.name: kind for _, kind in types_of(schema) if isinstance(kind, GraphQLUnionType)}
    results = {field.type for field in schema.mutation_type.fields.values()}
    assert unions
    assert set(unions.values()) <= {get_named_type(result) for result in results}
    for union in unions.values():
        errors = [kind for kind in union.types if kind.name.endswith("Error")]
        assert errors
        assert all(user_error in kind.interfaces for kind in errors)
        assert len(errors) < len(union.types), f"{union.name} has no success"


def test_every_user_error_is_a_member_of_a_result() -> None:
    schema = build_schema(COMMITTED)
    user_error = schema.type_map["UserError"]
    assert isinstance(user_error, GraphQLInterfaceType)
    unions = [kind for _, kind in types_of(schema) if isinstance(kind, GraphQLUnionType)]
    members = {member for union in unions for member in union.types}
    assert set(schema.get_implementations(user_error).objects) <= members


def test_sess_07_no_member_of_the_schema_returns_a_digest_a_hash_or_a_secret() -> None:
    names = {name for name, _ in members_of(build_schema(COMMITTED))}
    assert [name for name in names if re.search(r"digest|hash|secret|salt|jti|sealed|privateKey", name, re.I)] == []
    # Passwords are only in inputs. Both tokens are only in the result that issues them.
    outputs = {
        f"{name}.{field}"
        for name, kind in types_of(build_schema(COMMITTED))
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
        for field, definition in kind.fields.items()
        if str(definition.type).startswith("String") and re.search(r"password|token", field, re.I)
    }
    assert outputs == {"TokenPair.accessToken", "TokenPair.refreshToken", "TokenPair.tokenType"}


def test_every_input_is_flat_because_it_is_built_from_its_coerced_values() -> None:
    inputs = [kind for kind in build_schema(COMMITTED).type_map.values() if isinstance(kind, GraphQLInputObjectType)]
    assert inputs
    for kind in inputs:
        for name, field in kind.fields.items():
            assert is_leaf_type(get_nullable_type(field.type)), f"{kind.name}.{name}: see `flat_input`"

"""Operation plans: how to execute an operation with one root field, worked out once for each document.

Coercing variables, collecting fields, and the executor with its coroutines around the resolver give the same result
for every request with the same document. A plan knows that result. It covers the usual case only: if there is no plan,
or the variables do not fit, graphql-core executes the operation. The resolver is called once at most. If graphql-core
has to describe its result or its exception, it gets them in place of the resolver. So errors, their paths and their
nulls are always graphql-core's own.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLField,
    GraphQLResolveInfo,
    GraphQLSchema,
    MiddlewareManager,
    OperationDefinitionNode,
    Undefined,
    VariableNode,
    execute,
)

from graph.execution import strawberry_internals
from graph.execution.argument_plans import ArgumentPlan, Variables, from_literal, from_variable
from graph.execution.graphql_core_internals import CompletingExecutor, select_root_fields
from graph.execution.result_plans import (
    ContextOnlyInfo,
    PlannedCompletion,
    PlanUnavailable,
    ResultPlan,
    ResultPlans,
    plan_result,
)


class FallbackReason(StrEnum):
    """Why graphql-core executed an operation although plans are on."""

    # Several root fields or operations, directives, introspection, or fields to await.
    NO_PLAN = "no_plan"
    # The variables do not fit their types.
    VARIABLES = "variables"
    # The resolver raised an exception.
    EXCEPTION = "exception"
    # The resolver returned a value that the plan does not cover.
    RESULT = "result"


@dataclass(frozen=True, slots=True)
class Fallback:
    """graphql-core has to execute the operation, with the middleware if the resolver was already called."""

    reason: FallbackReason
    middleware: MiddlewareManager | None = None


@dataclass(frozen=True, slots=True)
class RootFieldPlan:
    """The plan of an operation with one root field."""

    key: str
    arguments: list[tuple[str, ArgumentPlan]]
    resolve: Callable[..., Awaitable[object]]
    complete: ResultPlan

    async def execute(self, variables: Variables, context: object) -> ExecutionResult | Fallback:
        """Return the response, or why graphql-core has to make it."""
        try:
            arguments = [(name, plan(variables)) for name, plan in self.arguments]
        except Exception:
            return Fallback(FallbackReason.VARIABLES)
        info = ContextOnlyInfo(context)
        present = {name: value for name, value in arguments if value is not Undefined}
        try:
            result = await self.resolve(None, info=info, **present)
        except Exception as error:
            return Fallback(FallbackReason.EXCEPTION, MiddlewareManager(_raising(error)))
        try:
            return ExecutionResult({self.key: self.complete(result, info)}, None)
        except Exception:
            return Fallback(FallbackReason.RESULT, MiddlewareManager(_returning(result)))


def _returning(result: object) -> Callable[..., object]:
    def middleware(
        resolve: Callable[..., object], value: object, info: GraphQLResolveInfo[object], **arguments: object
    ) -> object:
        is_root = info.path.prev is None
        return result if is_root else resolve(value, info, **arguments)

    return middleware


def _raising(error: Exception) -> Callable[..., object]:
    def middleware(*_: object, **__: object) -> object:
        raise error

    return middleware


@dataclass(frozen=True, slots=True)
class PreparedOperation:
    """One operation of a valid document, and its plans."""

    document: DocumentNode
    name: str | None
    # By their names in the schema.
    root_fields: tuple[str, ...] = ()
    # None: graphql-core executes the operation.
    plan: RootFieldPlan | None = None
    # None: graphql-core completes every value.
    result_plans: ResultPlans | None = None


async def execute_operation(
    schema: GraphQLSchema,
    operation: PreparedOperation,
    variables: dict[str, Any] | None,
    context: object,
    on_fallback: Callable[[FallbackReason], object] | None,
) -> ExecutionResult:
    """Execute an operation by its plan, or else by graphql-core.

    `on_fallback` is called if graphql-core executes it. None if plans are off: then that is no fallback.
    """
    planned = await operation.plan.execute(variables or {}, context) if operation.plan else None
    if isinstance(planned, ExecutionResult):
        return planned
    if on_fallback:
        on_fallback(planned.reason if planned else FallbackReason.NO_PLAN)
    by_plans: dict[str, Any] = {}
    if operation.result_plans is not None:
        completion = PlannedCompletion(operation.result_plans, ContextOnlyInfo(context))
        by_plans = {"executor_class": CompletingExecutor, "complete": completion}
    result = execute(
        schema,
        operation.document,
        variable_values=variables,
        operation_name=operation.name,
        context_value=context,
        middleware=planned.middleware if planned else None,
        **by_plans,
    )
    return result if isinstance(result, ExecutionResult) else await result


def plan_operation(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> RootFieldPlan | None:
    """Plan an operation of a valid document without directives; None if no plan covers it."""
    try:
        return _plan_root_field(schema, document, operation)
    except PlanUnavailable:
        return None


def _plan_root_field(
    schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode
) -> RootFieldPlan:
    selected, root = select_root_fields(schema, document, operation), schema.get_root_type(operation.operation)
    if selected is None or root is None:
        raise PlanUnavailable
    fields, subfields = selected
    if len(fields) != 1:
        raise PlanUnavailable
    ((key, nodes),) = fields.items()
    name = nodes[0].name.value
    if len(nodes) != 1 or name not in root.fields:
        raise PlanUnavailable
    field = root.fields[name]
    resolve = strawberry_internals.root_resolver(field)
    if resolve is None:
        raise PlanUnavailable
    arguments = _plan_arguments(schema, field, nodes[0], operation)
    return RootFieldPlan(key, arguments, resolve, plan_result(schema, field.type, nodes, subfields))


def _plan_arguments(
    schema: GraphQLSchema, field: GraphQLField, node: FieldNode, operation: OperationDefinitionNode
) -> list[tuple[str, ArgumentPlan]]:
    declared = {variable.variable.name.value: variable for variable in operation.variable_definitions or ()}
    used: set[str] = set()
    plans = []
    for argument_node in node.arguments or ():
        argument, value = field.args[argument_node.name.value], argument_node.value
        if isinstance(value, VariableNode):
            used.add(value.name.value)
            plan = from_variable(argument, declared[value.name.value], schema)
        else:
            plan = from_literal(value, argument.type)
        plans.append((strawberry_internals.argument_name(argument), plan))
    # A variable within a value or further in, which the plan would not coerce.
    if used != set(declared):
        raise PlanUnavailable
    return plans

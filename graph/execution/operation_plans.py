"""Operations by plan: one field at the root, from the variables as they came to the answer.

What graphql-core does between the two (coercing variables, collecting fields, an executor, several coroutines around
the resolver) comes to the same for every request with the same document. A plan knows it, and holds where nothing is
unusual. Where it cannot be made, or the variables do not fit, graphql-core executes the operation as ever. Once the
resolver was called it is not called again: where its result, or its exception, needs graphql-core to tell of it, that
gets what the resolver came to in its place. So errors and where they stand stay graphql-core's own.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLSchema,
    MiddlewareManager,
    OperationDefinitionNode,
    Undefined,
    VariableNode,
    execute,
)
from graphql.execution.collect_fields import collect_fields
from strawberry.execution.is_awaitable import optimized_is_awaitable
from strawberry.types.field import StrawberryField

from graph.execution.argument_plans import Argument, Variables, from_literal, from_variable
from graph.execution.result_plans import DEFINITION, ContextOnlyInfo, Plan, PlannedExecutor, Plans, PlanUnavailable


@dataclass(frozen=True, slots=True)
class PreparedOperation:
    """One operation of a document."""

    # The fields that it asks for first, as the schema calls them; none where the document is not sound.
    root_fields: tuple[str, ...]
    # None where graphql-core executes it.
    plan: "RootFieldPlan | None" = None


@dataclass(frozen=True, slots=True)
class RootFieldPlan:
    """An operation's one field."""

    key: str
    arguments: list[tuple[str, Argument]]
    resolve: Callable[..., Awaitable[Any]]
    complete: Plan

    async def execute(self, variables: Variables, context: Any) -> ExecutionResult | MiddlewareManager | None:
        """The answer; else what makes graphql-core tell of it, or None where nothing was done yet."""
        try:
            made = [(name, of(variables)) for name, of in self.arguments]
        except Exception:
            return None  # graphql-core knows what is wrong, and says it
        info, given = ContextOnlyInfo(context), {name: value for name, value in made if value is not Undefined}
        try:
            found = await self.resolve(None, info=info, **given)
        except Exception as error:
            return MiddlewareManager(_raising(error))
        try:
            return ExecutionResult({self.key: self.complete(found, info)}, None)
        except Exception:
            return MiddlewareManager(_returning(found))


def _returning(found: Any) -> Callable[..., Any]:
    return lambda resolve, value, info, **given: found if info.path.prev is None else resolve(value, info, **given)


def _raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


async def execute_operation(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: PreparedOperation,
    plans: Plans | None,
    variables: dict[str, Any] | None,
    operation_name: str | None,
    context: Any,
) -> ExecutionResult:
    """What an operation of a valid document comes to: by its plan, or by graphql-core."""
    answer = await operation.plan.execute(variables or {}, context) if operation.plan else None
    if isinstance(answer, ExecutionResult):
        return answer
    result = execute(
        schema,
        document,
        variable_values=variables,
        operation_name=operation_name,
        context_value=context,
        is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
        middleware=answer,
        executor_class=PlannedExecutor,
        plans=plans,
    )
    return result if isinstance(result, ExecutionResult) else await result


def plan_of(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> RootFieldPlan | None:
    """The plan of an operation of a valid document without directives; None where it has none."""
    try:
        return _plan(schema, document, operation)
    except PlanUnavailable:
        return None


def _plan(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> RootFieldPlan:
    # Without directives, what is selected does not depend on the variables: none are needed to find it out.
    nameless = OperationDefinitionNode(operation=operation.operation, selection_set=operation.selection_set)
    fragments = [definition for definition in document.definitions if type(definition) is not OperationDefinitionNode]
    executor = PlannedExecutor.build(schema, DocumentNode(definitions=(nameless, *fragments)), plans={})
    root = schema.get_root_type(operation.operation)
    if not isinstance(executor, PlannedExecutor) or root is None:
        raise PlanUnavailable
    asked = collect_fields(schema, executor.fragments, executor.variable_values, root, nameless).grouped_field_set
    if len(asked) != 1:
        raise PlanUnavailable
    ((key, details),) = asked.items()
    node = details[0].node
    if len(details) != 1 or node.name.value not in root.fields:
        raise PlanUnavailable
    of_schema = root.fields[node.name.value]
    field: StrawberryField = of_schema.extensions[DEFINITION]
    if field.base_resolver is None or not field.is_async or field.extensions:
        raise PlanUnavailable
    declared = {one.variable.name.value: one for one in operation.variable_definitions or ()}
    arguments = []
    for one in node.arguments or ():
        argument = of_schema.args[one.name.value]
        made = (
            from_variable(argument, declared[one.value.name.value], schema)
            if isinstance(one.value, VariableNode)
            else from_literal(one.value, argument.type)
        )
        arguments.append((argument.extensions[DEFINITION].python_name, made))
    # Of a variable within a value, or further below, nothing here knows.
    if {one.value.name.value for one in node.arguments or () if isinstance(one.value, VariableNode)} != set(declared):
        raise PlanUnavailable
    return RootFieldPlan(key, arguments, field.base_resolver, executor.plan(of_schema.type, details))

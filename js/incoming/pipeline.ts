// The steps around a handler: the check of its input, the middleware, the
// handler, the check of its output.

import { isOfCall } from '../rpc/call-errors.js';
import { Context } from '../rpc/context.js';
import { checkDeclared } from '../rpc/declared-errors.js';
import type { Middleware } from '../rpc/handler-types.js';
import { streamsIn } from '../rpc/kinds.js';
import { compose } from '../rpc/middleware.js';
import { validateInput, validateOutput } from '../rpc/schema.js';
import { runInScope } from '../rpc/scope.js';
import type { Route } from './route.js';

/** Checks one input, or one item of a stream, for the handler. */
function readInput(route: Route, value: unknown): unknown {
  return route.input === undefined ? value : validateInput(route.input, value);
}

/** Checks one result, or one item of a stream, before it is sent. */
export function checkOutput(route: Route, value: unknown): unknown {
  return route.output === undefined ? value : validateOutput(route.output, value);
}

/**
 * Checks an error of the handler or its middleware before it is sent. An error of a nested call does not
 * count as declared.
 */
function checkError(route: Route, error: unknown): unknown {
  return route.errors === undefined || isOfCall(error) ? error : checkDeclared(route.errors, error);
}

/** Runs the steps of a request so that calls, spans and logs in them belong to it. */
export function runInRequest<T>(context: Context, run: () => T): T {
  const span = Context.span(context);
  return runInScope(context, span === undefined ? run : () => span.run(run));
}

/**
 * Runs the handler of a unary call. Without checks and middleware it calls the handler directly, so a
 * synchronous handler returns or throws synchronously.
 */
export function invoke(
  route: Route,
  middleware: readonly Middleware[],
  context: Context,
  input: unknown,
): unknown {
  if (
    route.input === undefined &&
    route.output === undefined &&
    route.errors === undefined &&
    middleware.length === 0 &&
    route.use.length === 0
  ) {
    return route.handler(input, context);
  }
  return invokeChecked(route, [...middleware, ...route.use], context, input);
}

/**
 * Runs a handler with a stream on one side or both.
 *
 * @param input the items, if the inputs are a stream
 * @param send sends the items that the handler yields, if the answer is a stream; the middleware's `next()`
 *   resolves when all of them are sent
 */
export async function invokeStream(
  route: Route,
  middleware: readonly Middleware[],
  context: Context,
  input: unknown,
  send: ((items: unknown) => Promise<void>) | undefined,
): Promise<unknown> {
  try {
    const checked = streamsIn(context.kind)
      ? readItems(route, input as AsyncIterableIterator<unknown>)
      : await readInput(route, input);
    const result = await compose([...middleware, ...route.use], context, async () => {
      const answer = await route.handler(checked, context);
      return send === undefined ? answer : send(answer);
    });
    return send === undefined ? await checkOutput(route, result) : undefined;
  } catch (error) {
    throw await checkError(route, error);
  }
}

function readItems(
  route: Route,
  items: AsyncIterableIterator<unknown>,
): AsyncIterableIterator<unknown> {
  return route.input === undefined ? items : checkItems(route, items);
}

async function* checkItems(
  route: Route,
  items: AsyncIterableIterator<unknown>,
): AsyncIterableIterator<unknown> {
  for await (const item of items) yield await readInput(route, item);
}

async function invokeChecked(
  route: Route,
  middleware: readonly Middleware[],
  context: Context,
  input: unknown,
): Promise<unknown> {
  try {
    const checked = await readInput(route, input);
    const result = await compose(middleware, context, () => route.handler(checked, context));
    return await checkOutput(route, result);
  } catch (error) {
    throw await checkError(route, error);
  }
}

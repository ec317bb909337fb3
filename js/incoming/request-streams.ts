// The streams of requests: what their callers send item by item, and what
// their handlers yield.

import { Side, type AbortCause } from '../base/boundary.js';
import { MeshError } from '../base/errors.js';
import { Inflow } from '../frames/inflow.js';
import { isItems, Outflow } from '../frames/outflow.js';
import { PayloadError, TooLargeError } from '../frames/payload.js';
import type { Incoming } from '../frames/reader.js';
import type { CommandWriter } from '../frames/writer.js';
import { abortError, Context } from '../rpc/context.js';
import type { Middleware } from '../rpc/handler-types.js';
import { streamsIn, streamsOut } from '../rpc/kinds.js';
import { runInScope } from '../rpc/scope.js';
import { checkOutput, invokeStream } from './pipeline.js';
import type { Route } from './route.js';

/** The streams of a request whose handler has not finished. */
interface Streams {
  readonly inputs: Inflow | undefined;
  readonly outputs: Outflow | undefined;
}

/** The streams of all requests that are being answered. */
export class RequestStreams {
  readonly #open = new Map<number, Streams>();
  readonly #writer: CommandWriter;

  constructor(writer: CommandWriter) {
    this.#writer = writer;
  }

  /**
   * Runs a handler with a stream on one side or both, to the end of them.
   *
   * @param input the input, where it is not a stream
   * @returns the result, where it is not a stream
   */
  async run(
    route: Route,
    middleware: readonly Middleware[],
    context: Context,
    id: number,
    input: unknown,
  ): Promise<unknown> {
    const { kind } = context;
    const inputs = streamsIn(kind)
      ? new Inflow({
          consumed: (cost) => this.#writer.consumed(Side.Request, id, cost),
          left: () => {
            // What is still on its way is given back when the request is over.
          },
          unreadable: () =>
            new MeshError('INVALID_ARGUMENT', 'an item of the input is not the JSON it should be', {
              reason: 'PAYLOAD',
            }),
        })
      : undefined;
    const outputs = streamsOut(kind)
      ? new Outflow((item) => this.#writer.item(Side.Request, id, item), Context.limit(context))
      : undefined;
    this.#open.set(id, { inputs, outputs });
    const send = outputs && ((items: unknown) => sendItems(route, outputs, items));
    try {
      return await runInScope(context, () =>
        invokeStream(route, middleware, context, inputs ?? input, send),
      );
    } finally {
      this.#open.delete(id);
      // A handler that left its input running gets no more of it.
      inputs?.finish();
    }
  }

  /** An item of a request's input. */
  item(id: number, payload: Incoming): void {
    this.#open.get(id)?.inputs?.push(payload);
  }

  /** A request's input is all there. */
  inputEnded(id: number): void {
    this.#open.get(id)?.inputs?.finish();
  }

  /** Items of an answer that cost this much have gone. */
  sent(id: number, cost: number): void {
    this.#open.get(id)?.outputs?.sent(cost);
  }

  /** The answer to a request is no longer wanted. */
  abort(id: number, cause: AbortCause): void {
    const streams = this.#open.get(id);
    streams?.inputs?.fail(abortError(cause), true);
    streams?.outputs?.stop();
  }
}

/** Sends what a handler yields, as it is checked. */
async function sendItems(route: Route, outputs: Outflow, items: unknown): Promise<void> {
  if (!isItems(items)) {
    throw new MeshError('UNIMPLEMENTED', `${route.method} does not answer with a stream`, {
      reason: 'CALL_KIND',
    });
  }
  try {
    await outputs.run(items, route.output && ((item) => checkOutput(route, item)));
  } catch (error) {
    if (error instanceof TooLargeError) {
      const text = `an item of ${route.method} is larger than limits.maxMessageBytes (${error.limit})`;
      throw new MeshError('RESOURCE_EXHAUSTED', text, { reason: 'TOO_LARGE' });
    }
    if (!(error instanceof PayloadError)) throw error;
    throw new TypeError(`an item of ${route.method} cannot be sent: ${error.message}`);
  }
}

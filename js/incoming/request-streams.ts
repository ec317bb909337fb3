// The streams of requests: the items that callers send, and the items that handlers yield.

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
import { checkOutput, invokeStream, runInRequest } from './pipeline.js';
import type { Route } from './route.js';

/** The streams of a request with a running handler. */
interface Streams {
  readonly inputs: Inflow | undefined;
  readonly outputs: Outflow | undefined;
}

/** The streams of all running requests. */
export class RequestStreams {
  readonly #open = new Map<number, Streams>();
  readonly #writer: CommandWriter;

  constructor(writer: CommandWriter) {
    this.#writer = writer;
  }

  /**
   * Runs a handler with a stream on one side or both, until the streams end.
   *
   * @param input the input, if it is not a stream
   * @returns the result, if it is not a stream
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
            // The core returns the credit of items in transit when the request ends.
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
    Context.span(context)?.count(outputs, inputs);
    const send = outputs && ((items: unknown) => sendItems(route, outputs, items));
    try {
      return await runInRequest(context, () =>
        invokeStream(route, middleware, context, inputs ?? input, send),
      );
    } finally {
      this.#open.delete(id);
      // A handler that did not read all its input gets no more items.
      inputs?.finish();
    }
  }

  /** Delivers an item of a request's input. */
  item(id: number, payload: Incoming): void {
    this.#open.get(id)?.inputs?.push(payload);
  }

  /** Ends a request's input. */
  inputEnded(id: number): void {
    this.#open.get(id)?.inputs?.finish();
  }

  /** Records that items of an answer with this cost were sent. */
  sent(id: number, cost: number): void {
    this.#open.get(id)?.outputs?.sent(cost);
  }

  /** Aborts a request whose answer is no longer wanted. */
  abort(id: number, cause: AbortCause): void {
    const streams = this.#open.get(id);
    streams?.inputs?.fail(abortError(cause), true);
    streams?.outputs?.stop();
  }
}

/** Checks and sends the items that a handler yields. */
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

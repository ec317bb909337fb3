// Errors on their way out of a NestJS application.

import {
  Catch,
  HttpException,
  type ArgumentsHost,
  type ExceptionFilter,
  type RpcExceptionFilter,
} from '@nestjs/common';
import { RpcException } from '@nestjs/microservices';
import { throwError, type Observable } from 'rxjs';
import { expressErrors, fastifyErrors, MeshError, type MeshErrorCode } from '../index.js';

/** The codes for the statuses of an `HttpException`, which pipes and guards throw. */
const CODES: Readonly<Record<number, MeshErrorCode>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ALREADY_EXISTS',
  412: 'FAILED_PRECONDITION',
  422: 'INVALID_ARGUMENT',
  429: 'RESOURCE_EXHAUSTED',
  501: 'UNIMPLEMENTED',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

/**
 * The errors of message handlers, for their callers. A {@link MeshError} stays what it is. An `HttpException` becomes one
 * by its status; an `RpcException` by the `code` of its error, if that has one, otherwise `UNKNOWN` with its text. The
 * text of any other error stays here: the mesh logs it, and the caller gets `INTERNAL` with an error id.
 *
 * @example
 * ```ts
 * app.useGlobalFilters(new MeshRpcFilter());
 * ```
 */
export class MeshRpcFilter implements RpcExceptionFilter {
  /** Called by NestJS. */
  catch(exception: unknown): Observable<never> {
    return throwError(() => toMeshError(exception));
  }
}
Catch()(MeshRpcFilter);

/**
 * The {@link MeshError}s of an HTTP application: its clients get the answers of `toProblem`, without any text from
 * inside. Other errors are left to NestJS. It is for applications on Express and on Fastify.
 *
 * @example
 * ```ts
 * app.useGlobalFilters(new MeshHttpFilter());
 * ```
 */
export class MeshHttpFilter implements ExceptionFilter<MeshError> {
  readonly #onError: ((error: unknown) => void) | undefined;

  /**
   * Creates the filter.
   *
   * @param options.onError called with every error that becomes an answer of 500 or above, for the log
   */
  constructor(options: { onError?: (error: unknown) => void } = {}) {
    this.#onError = options.onError;
  }

  /** Called by NestJS. */
  catch(exception: MeshError, host: ArgumentsHost): Observable<never> | void {
    if (host.getType() !== 'http') return throwError(() => exception);
    const http = host.switchToHttp();
    const request = http.getRequest<object>();
    const response = http.getResponse<Record<string, unknown>>();
    const onError = this.#onError ?? (() => {});
    if (typeof response['setHeader'] === 'function') {
      expressErrors({ onError })(exception, request, response as never, () => {
        // The answer has begun, and cannot be replaced.
        (response as { destroy?: () => void }).destroy?.();
      });
    } else {
      fastifyErrors({ onError })(exception, request, response as never);
    }
  }
}
Catch(MeshError)(MeshHttpFilter);

function toMeshError(exception: unknown): unknown {
  if (exception instanceof MeshError) return exception;
  if (exception instanceof HttpException) {
    const code = CODES[exception.getStatus()];
    // A 500 is a fault, whose text stays here.
    return code === undefined ? exception : new MeshError(code, textOf(exception.getResponse()));
  }
  if (!(exception instanceof RpcException)) return exception;
  const error = exception.getError();
  if (typeof error === 'string') return new MeshError('UNKNOWN', error);
  const { code, reason, data } = error as Record<string, unknown>;
  const options = {
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(data === undefined ? {} : { data }),
  };
  try {
    return new MeshError(code as MeshErrorCode, textOf(error), options);
  } catch {
    // It is none of the sixteen codes.
    return new MeshError('UNKNOWN', textOf(error), options);
  }
}

/** The text of a response of an `HttpException`, or of the error of an `RpcException`. */
function textOf(response: string | object): string {
  if (typeof response === 'string') return response;
  const { message } = response as { message?: unknown };
  if (typeof message === 'string') return message;
  return Array.isArray(message) ? message.join('; ') : 'the request failed';
}

// Audit entries over HTTP.

import { checkKeys, invalidArgument } from '../base/arguments.js';
import { timer } from '../base/clock.js';
import { MeshError } from '../base/errors.js';
import { checkCount, checkFunction, checkText, toMillis } from '../base/values.js';
import { RetryPolicy, type RetryPolicyConfig } from '../resilience/retry-policy.js';
import { TimeoutManager } from '../resilience/timeout-manager.js';
import { auditLine, withTime, type MeshAuditEvent, type MonitoringAdapter } from './audit-event.js';

/** The HTTP client of an {@link HttpAdapter}. */
export interface HttpClient {
  /** Resolves if the server has accepted the data, rejects otherwise. */
  post(url: string, data: any, headers?: Record<string, string>): Promise<any>;
}

/** The credentials of an {@link HttpAdapter}. */
export interface HttpAuth {
  /**
   * `bearer` with `token`, `basic` with `username` and `password`, `api-key` with `apiKey` in the
   * header `headerName` (default: `X-API-Key`), or `custom` with `customHeader`.
   */
  type: 'bearer' | 'basic' | 'api-key' | 'custom';
  /** The token of `bearer`. */
  token?: string;
  /** The user name of `basic`. */
  username?: string;
  /** The password of `basic`. */
  password?: string;
  /** The key of `api-key`. */
  apiKey?: string;
  /** The header of `api-key`. */
  headerName?: string;
  /** The header of `custom`. */
  customHeader?: {
    /** Its name. */
    name: string;
    /** Its value. */
    value: string;
  };
}

/** Settings of an {@link HttpAdapter}. */
export interface HttpAdapterConfig {
  /** The client that sends the requests. Default: `fetch`, without following redirects. */
  client?: HttpClient;
  /**
   * The URL for entries, `http:` or `https:`. A user and a password in it are sent as with `basic`, to this
   * URL alone, and no error contains them.
   */
  endpoint: string;
  /** The URL for metrics. Default: metrics are not sent. */
  metricsEndpoint?: string;
  /** Further headers. */
  headers?: Record<string, string>;
  /** The credentials. */
  auth?: HttpAuth;
  /**
   * Converts an entry to the JSON that is sent. Default: the entry, with characters escaped that could
   * deceive a reader.
   */
  mapEvent?: (event: MeshAuditEvent) => any;
  /** Converts metrics to the JSON that is sent. Default: the metrics and `timestamp`. */
  mapMetrics?: (metrics: any) => any;
  /** Called with each entry or metrics that could not be sent. With this option the methods do not reject. */
  onError?: (error: Error, event: MeshAuditEvent | any) => void;
  /**
   * The number of entries in one request. With 1 each entry is sent as an object. With more, entries are sent
   * as an array, and `logEvent` does not wait for the request. Default: 1.
   */
  batchSize?: number;
  /**
   * The longest wait of an entry for its batch to fill: milliseconds or a string such as `'5s'`. Default:
   * 1,000.
   */
  flushIntervalMs?: number | string;
  /** The timeout of a request: milliseconds or a string such as `'10s'`. Default: 10,000. */
  timeoutMs?: number | string;
  /** The retries of a request. Default: 3 attempts. */
  retry?: RetryPolicyConfig;
  /** The limit of waiting entries. Further entries are rejected with `AUDIT_LIMIT`. Default: 10,000. */
  maxBuffer?: number;
}

const KEYS = [
  'client',
  'endpoint',
  'metricsEndpoint',
  'headers',
  'auth',
  'mapEvent',
  'mapMetrics',
  'onError',
  'batchSize',
  'flushIntervalMs',
  'timeoutMs',
  'retry',
  'maxBuffer',
] as const;

/**
 * Posts audit entries as JSON, in order, one request at a time, with a timeout and retries. An entry can
 * arrive twice if an answer is lost; the receiver recognises it by its `id`.
 */
export class HttpAdapter implements MonitoringAdapter {
  readonly #post: (target: Target, data: unknown) => Promise<void>;
  readonly #unsent: (cause: unknown) => MeshError;
  readonly #endpoint: Target;
  readonly #metricsEndpoint: Target | undefined;
  readonly #mapEvent: (event: MeshAuditEvent) => unknown;
  readonly #mapMetrics: (metrics: unknown) => unknown;
  readonly #onError: HttpAdapterConfig['onError'];
  readonly #batchSize: number;
  readonly #flushMs: number;
  readonly #maxBuffer: number;
  #waiting: MeshAuditEvent[] = [];
  #underWay = 0;
  #failure: MeshError | undefined;
  #timer: NodeJS.Timeout | undefined;
  #tail: Promise<void> = Promise.resolve();

  /** @throws MeshError `INVALID_ARGUMENT`, reason `ARGUMENT`: a setting is missing, misspelt or out of range */
  constructor(config: HttpAdapterConfig) {
    checkKeys('config', config, KEYS);
    const { batchSize = 1, maxBuffer = 10_000, retry = { maxAttempts: 3 } } = config;
    checkCount('config.batchSize', batchSize);
    checkCount('config.maxBuffer', maxBuffer, batchSize);
    for (const name of ['mapEvent', 'mapMetrics', 'onError'] as const) {
      if (config[name] !== undefined) checkFunction(`config.${name}`, config[name]);
    }
    const { metricsEndpoint, auth } = config;
    this.#endpoint = checkUrl('config.endpoint', config.endpoint, auth);
    this.#metricsEndpoint =
      metricsEndpoint === undefined
        ? undefined
        : checkUrl('config.metricsEndpoint', metricsEndpoint, auth);
    this.#flushMs = toMillis('config.flushIntervalMs', config.flushIntervalMs ?? 1_000);
    this.#batchSize = batchSize;
    this.#maxBuffer = maxBuffer;
    this.#mapEvent = config.mapEvent ?? ((event) => JSON.parse(auditLine(event)) as unknown);
    this.#mapMetrics = config.mapMetrics ?? withTime;
    this.#onError = config.onError;
    this.#post = poster(config, new RetryPolicy({ isRetryable, ...retry }));
    this.#unsent = unsent(secretsOf(config, [this.#endpoint, this.#metricsEndpoint]));
  }

  /**
   * Sends an entry, or puts it into the batch.
   *
   * @throws MeshError (as a rejection, without `onError`) `UNAVAILABLE`, reason `AUDIT_DELIVERY`: the entry
   *   could not be sent. `RESOURCE_EXHAUSTED`, reason `AUDIT_LIMIT`: `maxBuffer` entries wait
   */
  async logEvent(event: MeshAuditEvent): Promise<void> {
    if (this.#waiting.length + this.#underWay >= this.#maxBuffer) {
      const text = `${this.#maxBuffer} audit entries wait to be sent already`;
      this.#report(new MeshError('RESOURCE_EXHAUSTED', text, { reason: 'AUDIT_LIMIT' }), event);
      return;
    }
    if (this.#batchSize === 1) {
      await this.#inTurn([event]);
      return;
    }
    this.#waiting.push(event);
    if (this.#waiting.length >= this.#batchSize) {
      this.#send();
    } else {
      // The timer keeps the process alive, so that no entry is lost at the end of a program.
      this.#timer ??= timer(this.#flushMs, () => this.#send());
    }
  }

  /** Sends metrics, if `metricsEndpoint` is given. */
  async logMetrics(metrics: any): Promise<void> {
    if (this.#metricsEndpoint === undefined) return;
    try {
      await this.#post(this.#metricsEndpoint, this.#mapMetrics(metrics));
    } catch (error) {
      this.#report(this.#unsent(error), metrics);
    }
  }

  /**
   * Resolves when everything logged until now has been sent.
   *
   * @throws MeshError (as a rejection, without `onError`) `UNAVAILABLE`, reason `AUDIT_DELIVERY`: a batch
   *   since the previous flush could not be sent
   */
  async flush(): Promise<void> {
    this.#send();
    await this.#tail;
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure;
  }

  /** The same as {@link flush}. */
  close(): Promise<void> {
    return this.flush();
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#waiting;
    this.#waiting = [];
    if (batch.length === 0) return;
    // No caller waits for a batch, so `flush` reports its failure.
    this.#inTurn(batch).catch((error: MeshError) => (this.#failure = error));
  }

  #inTurn(batch: MeshAuditEvent[]): Promise<void> {
    this.#underWay += batch.length;
    const turn = this.#tail.then(() => this.#deliver(batch));
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  async #deliver(batch: MeshAuditEvent[]): Promise<void> {
    try {
      const mapped = batch.map((event) => this.#mapEvent(event));
      await this.#post(this.#endpoint, this.#batchSize === 1 ? mapped[0] : mapped);
    } catch (error) {
      const failure = this.#unsent(error);
      for (const event of batch) this.#report(failure, event);
    } finally {
      this.#underWay -= batch.length;
    }
  }

  #report(error: MeshError, about: unknown): void {
    if (this.#onError === undefined) throw error;
    try {
      this.#onError(error, about);
    } catch {
      // The error of an error handler has no receiver.
    }
  }
}

/** Creates the function that sends with the given settings; each attempt has its own timeout. */
function poster(
  config: HttpAdapterConfig,
  retry: RetryPolicy,
): (target: Target, data: unknown) => Promise<void> {
  const limit = new TimeoutManager({
    timeout: toMillis('config.timeoutMs', config.timeoutMs ?? 10_000),
    errorMessage: 'the server has not answered in time',
  });
  const headers = { 'Content-Type': 'application/json', ...config.headers, ...authHeader(config) };
  for (const [name, value] of Object.entries(headers)) {
    checkText(`config.headers.${name}`, value);
  }
  const { client } = config;
  if (client !== undefined) checkFunction('config.client.post', client?.post);
  const once = (target: Target, data: unknown, signal: AbortSignal): Promise<unknown> => {
    const all = { ...headers, ...target.headers };
    return client === undefined
      ? postWithFetch(target.url, data, all, signal)
      : client.post(target.url, data, all);
  };
  return async (target, data) => {
    await retry.execute(() => limit.execute((signal) => once(target, data, signal)));
  };
}

async function postWithFetch(
  url: string,
  data: unknown,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const body = JSON.stringify(data);
  // A redirect would send the credentials to a different server.
  const response = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'error' });
  await response.body?.cancel();
  if (!response.ok) throw new StatusError(response.status);
}

class StatusError extends Error {
  constructor(readonly status: number) {
    super(`the server answered with status ${status}`);
  }
}

/** Whether a failure can be transient: no answer, too many requests, a fault of the server. */
function isRetryable(error: unknown): boolean {
  if (!(error instanceof StatusError)) return true;
  return error.status === 408 || error.status === 429 || error.status >= 500;
}

function authHeader({ auth }: HttpAdapterConfig): Record<string, string> {
  if (auth === undefined) return {};
  const need = (name: keyof HttpAuth): string => {
    const value = auth[name];
    // The value may be a secret, so no error contains it.
    if (typeof value === 'string' && value !== '') return value;
    throw invalidArgument(`config.auth.${name} must be a string, with type '${auth.type}'`);
  };
  switch (auth.type) {
    case 'bearer':
      return { Authorization: `Bearer ${need('token')}` };
    case 'basic': {
      const pair = Buffer.from(`${need('username')}:${need('password')}`).toString('base64');
      return { Authorization: `Basic ${pair}` };
    }
    case 'api-key':
      return { [auth.headerName ?? 'X-API-Key']: need('apiKey') };
    case 'custom': {
      const { name, value } = auth.customHeader ?? {};
      if (typeof name === 'string' && typeof value === 'string') return { [name]: value };
      throw invalidArgument('config.auth.customHeader must be { name, value }');
    }
    default:
      throw invalidArgument(
        "config.auth.type must be 'bearer', 'basic', 'api-key' or 'custom', got " +
          String(auth.type),
      );
  }
}

/** The target of requests, with the credentials for this target alone. */
interface Target {
  readonly url: string;
  readonly headers: Record<string, string>;
  /** The parts of the URL that no string may contain. */
  readonly secrets: readonly string[];
}

function checkUrl(name: string, text: unknown, auth: HttpAuth | undefined): Target {
  const url = typeof text === 'string' && URL.canParse(text) ? new URL(text) : undefined;
  // The value may contain a secret, so no error contains it.
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw invalidArgument(`${name} must be an http: or https: URL`);
  }
  const secrets = [url.search.slice(1), ...url.searchParams.values()];
  const encoded = [url.username, url.password];
  if (encoded.every((part) => part === '')) return { url: url.href, headers: {}, secrets };
  if (auth !== undefined) {
    throw invalidArgument(
      `${name} has a user or a password in it, and config.auth is given too; keep one`,
    );
  }
  const [username, password] = encoded.map(decoded) as [string, string];
  url.username = url.password = '';
  const pair = Buffer.from(`${username}:${password}`).toString('base64');
  return {
    url: url.href,
    headers: { Authorization: `Basic ${pair}` },
    // Without a password the user name is the secret: some services take a key in its place.
    secrets: [...secrets, ...encoded, password === '' ? username : password, pair],
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The settings that no error may contain. */
function secretsOf(
  { auth, headers = {} }: HttpAdapterConfig,
  targets: readonly (Target | undefined)[],
): string[] {
  const { token, password, apiKey, customHeader } = auth ?? {};
  const basic =
    auth?.type === 'basic' ? Object.values(authHeader({ auth } as HttpAdapterConfig)) : [];
  const all = [
    ...targets.flatMap((target) => target?.secrets ?? []),
    ...[token, password, apiKey, customHeader?.value],
    ...basic.map((value) => value.slice('Basic '.length)),
    ...Object.entries(headers)
      .filter(([name]) => /auth|cookie|key|secret|token/i.test(name))
      .map(([, value]) => value),
  ];
  const long = all.filter((text) => typeof text === 'string' && text.length >= SHORTEST_SECRET);
  // The longest first, because one secret may be a part of another.
  return [...new Set(long as string[])].sort((a, b) => b.length - a.length);
}

/** Shorter strings occur in every message, and are not secrets. */
const SHORTEST_SECRET = 4;

/** Creates the error of a failed request, without any of the secrets. */
function unsent(secrets: readonly string[]): (cause: unknown) => MeshError {
  const redact = (text: string): string =>
    secrets.reduce((shown, secret) => shown.replaceAll(secret, '***'), text);
  return (cause) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    const shown = redact(why);
    return new MeshError('UNAVAILABLE', `audit entries could not be sent: ${shown}`, {
      reason: 'AUDIT_DELIVERY',
      // A cause that contains a secret is replaced, because loggers print causes too.
      cause: shown === why ? cause : new Error(shown),
    });
  };
}

// Requests to the admin port: bounded in size and time, with failures in words.

/** The admin port wants a token. */
export class Denied extends Error {}

/** The admin port gave no usable answer; the message says why. */
export class NoAnswer extends Error {}

const MIB = 1024 * 1024;
/** The largest answer that is read. A mesh of 200 services answers with some 4 MiB. */
export const MAX_BYTES = 32 * MIB;
const TIMEOUT_MS = 10_000;

/** Reads JSON, and says how long it took to decode. Throws `Denied` or `NoAnswer`. */
export async function getJson(path: string): Promise<{ value: unknown; busyMs: number }> {
  const response = await request(path, { headers: { accept: 'application/json' } });
  const text = await bounded(response);
  const began = performance.now();
  try {
    const value: unknown = JSON.parse(text);
    return { value, busyMs: performance.now() - began };
  } catch {
    throw new NoAnswer('The answer is not JSON.');
  }
}

/** Exchanges a token for a cookie. Returns whether the admin port accepts it; throws `NoAnswer`. */
export async function login(token: string): Promise<boolean> {
  try {
    await request('login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    });
    return true;
  } catch (error) {
    if (error instanceof Denied) return false;
    throw error;
  }
}

async function request(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, {
      ...init,
      cache: 'no-store',
      credentials: 'same-origin',
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    const late = error instanceof DOMException && error.name === 'TimeoutError';
    throw new NoAnswer(
      late ? `No answer within ${TIMEOUT_MS / 1000} s.` : 'The connection failed.',
    );
  }
  if (response.status === 401 || response.status === 403) throw new Denied();
  if (!response.ok) throw new NoAnswer(`The answer has the status ${response.status}.`);
  return response;
}

async function bounded(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return '';
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text + decoder.decode();
      size += value.byteLength;
      if (size > MAX_BYTES) {
        void reader.cancel();
        throw new NoAnswer(
          `The answer is larger than ${MAX_BYTES / MIB} MiB; the page does not read it.`,
        );
      }
      text += decoder.decode(value, { stream: true });
    }
  } catch (error) {
    throw error instanceof NoAnswer ? error : new NoAnswer('The connection ended in mid-answer.');
  }
}

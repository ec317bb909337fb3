// The view of an error that an HTTP client gets.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CODES } from '../../js/base/boundary.js';
import { MeshError, toHttpStatus, toProblem } from '../../js/index.js';
import { root } from '../../scripts/lib.mjs';

describe('toHttpStatus', () => {
  it('has the statuses of google.rpc.Code', () => {
    expect(
      Object.fromEntries(CODES.map((code) => [code, toHttpStatus(new MeshError(code, 'x'))])),
    ).toEqual({
      CANCELLED: 499,
      UNKNOWN: 500,
      INVALID_ARGUMENT: 400,
      DEADLINE_EXCEEDED: 504,
      NOT_FOUND: 404,
      ALREADY_EXISTS: 409,
      PERMISSION_DENIED: 403,
      RESOURCE_EXHAUSTED: 429,
      FAILED_PRECONDITION: 400,
      ABORTED: 409,
      OUT_OF_RANGE: 400,
      UNIMPLEMENTED: 501,
      INTERNAL: 500,
      UNAVAILABLE: 503,
      DATA_LOSS: 500,
      UNAUTHENTICATED: 401,
    });
  });

  it.each([new Error('x'), 'x', undefined, null, 404, { code: 'NOT_FOUND', status: 404 }])(
    'is 500 for what is no MeshError: %j',
    (error) => expect(toHttpStatus(error)).toBe(500),
  );

  it('is 502, and not 401, for every reason for which services do not believe each other', () => {
    const table = readFileSync(join(root, 'docs/errors.md'), 'utf8');
    const reasons = table
      .split('\n')
      .map((line) => line.split('|').map((cell) => cell.trim()))
      .filter((cells) => cells.length > 5 && cells[3]!.includes('UNAUTHENTICATED'))
      .map((cells) => cells[1]!.replaceAll('`', ''));
    expect(reasons.length).toBeGreaterThan(15);
    for (const reason of reasons) {
      expect([
        reason,
        toHttpStatus(new MeshError('UNAUTHENTICATED', 'x', { reason, service: 'a' })),
      ]).toEqual([reason, 502]);
    }
    // The token of an HTTP client, verified here.
    expect(toHttpStatus(new MeshError('UNAUTHENTICATED', 'x', { reason: 'JWT_EXP' }))).toBe(401);
    const remote = new MeshError('UNAUTHENTICATED', 'x', {
      reason: 'REMOTE_HELLO_MAC',
      remote: true,
    });
    expect(toHttpStatus(remote)).toBe(502);
    expect(toHttpStatus(new MeshError('UNAUTHENTICATED', 'x', { reason: 'COOKIE_EXPIRED' }))).toBe(
      401,
    );
  });

  it('is 503 while the mesh of this process does not run', () => {
    for (const reason of ['CLOSED', 'NOT_INITIALIZED']) {
      expect(toHttpStatus(new MeshError('FAILED_PRECONDITION', 'x', { reason }))).toBe(503);
    }
    const theirs = new MeshError('FAILED_PRECONDITION', 'x', { reason: 'CLOSED', remote: true });
    expect(toHttpStatus(theirs)).toBe(400);
  });
});

describe('toProblem', () => {
  it('shows status, title, code, reason and errorId, and nothing from inside', () => {
    const error = new MeshError('NOT_FOUND', 'no row 7 in table orders at 10.0.0.7', {
      reason: 'NO_ORDER',
      data: { secret: 'data' },
      service: 'orders-internal',
      method: 'orders.get',
      errorId: 'f3b0-7',
      cause: new Error('secret cause'),
    });
    expect(toProblem(error)).toEqual({
      status: 404,
      title: 'Not Found',
      code: 'NOT_FOUND',
      reason: 'NO_ORDER',
      errorId: 'f3b0-7',
    });
    expect(toProblem(new MeshError('ABORTED', 'x'))).toEqual({
      status: 409,
      title: 'Conflict',
      code: 'ABORTED',
    });
  });

  it('says nothing of an error that is none of this package', () => {
    const error = Object.assign(new Error('SELECT * FROM users'), { reason: 'SQL', errorId: 'x' });
    const expected = { status: 500, title: 'Internal Server Error', code: 'INTERNAL' };
    expect(toProblem(error)).toEqual(expected);
    const proxy = new Proxy(new MeshError('ABORTED', 'x'), {
      get: () => {
        throw new Error('no');
      },
    });
    expect(toProblem(proxy)).toEqual(expected);
  });

  it('leaves out a reason or an id with text in it', () => {
    const error = new MeshError('INTERNAL', 'x', {
      reason: 'password is hunter2',
      errorId: '<script>alert(1)</script>',
    });
    expect(toProblem(error)).toEqual({
      status: 500,
      title: 'Internal Server Error',
      code: 'INTERNAL',
    });
  });
});

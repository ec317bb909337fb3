// Behaviour on which programs for 0.2.0 rely: their log entries, the error messages they match, and the
// objects they pass to a rotation.

import { describe, expect, it, vi } from 'vitest';
import {
  AuditLogger,
  CircuitBreaker,
  KeyRotation,
  SecureMesh,
  TimeoutManager,
  type MeshAuditEvent,
  type MonitoringAdapter,
} from '../../js/index.js';
import { config, keysDir } from '../support/meshes.js';
import { errorOf } from '../support/promises.js';

const UUID = /^[\da-f]{8}-[\da-f]{4}-[1-8][\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/;

function keeper(): MonitoringAdapter & { events: MeshAuditEvent[] } {
  const events: MeshAuditEvent[] = [];
  return { events, logEvent: async (entry) => void events.push(entry) };
}

describe('AuditLogger', () => {
  it('takes events of any type, with details that leave out success, and gives each a UUID', async () => {
    const adapters = [keeper(), keeper()];
    const logger = new AuditLogger({ adapters });
    await logger.log({ eventType: 'deploy', serviceId: 'a', details: {} as never });
    await logger.log({ eventType: 'x'.repeat(10_000), serviceId: 'a', details: { success: true } });
    for (const { events } of adapters) {
      expect(events).toHaveLength(2);
      expect(events[0]).toMatchObject({ eventType: 'deploy', serviceId: 'a', details: {} });
      for (const { id } of events) expect(id).toMatch(UUID);
    }
  });

  it.each([undefined, 7, null])('refuses the type %s, which is no text', async (eventType) => {
    const logger = new AuditLogger({ adapters: [keeper()] });
    const event = { eventType: eventType as never, serviceId: 'a', details: { success: true } };
    const expected = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('eventType') };
    expect(await errorOf(logger.log(event))).toMatchObject(expected);
  });

  it('closes an adapter that cannot deliver what it holds, and the others as well', async () => {
    const closed: string[] = [];
    const adapter = (name: string, fails: boolean): MonitoringAdapter => ({
      logEvent: async () => undefined,
      flush: async () => {
        if (fails) throw new Error('disk');
        await new Promise((resolve) => setTimeout(resolve, 20));
      },
      close: async () => void closed.push(name),
    });
    const logger = new AuditLogger({ adapters: [adapter('bad', true), adapter('good', false)] });
    await logger.logKeyRotation('a', true);
    expect((await errorOf(logger.close())).message).toBe('disk');
    expect(closed).toEqual(['bad', 'good']);
  });

  it('does not keep a mesh from closing, whatever its adapters throw', async () => {
    const broken = (): never => {
      throw new Error('bug');
    };
    const adapter = { logEvent: broken, logMetrics: broken, flush: broken, close: broken };
    const good = keeper();
    const logMetrics = vi.fn(async () => undefined);
    const mesh = new SecureMesh(
      config('audited', {
        port: 0,
        monitoring: { enabled: true, adapters: [adapter, { ...good, logMetrics }] },
        paths: { keysDir },
      }),
    );
    await mesh.initialize();
    await mesh.cleanup();
    expect(logMetrics).toHaveBeenCalledTimes(1);
  });
});

it('an open circuit and a passed time limit are recognised by their texts', async () => {
  const breaker = new CircuitBreaker({
    failureThreshold: 1,
    successThreshold: 1,
    timeout: 60_000,
    failureRate: 0,
  });
  await errorOf(breaker.execute(() => Promise.reject(new Error('down'))));
  const open = await errorOf(breaker.execute(async () => 1));
  expect(open.message).toMatch(/^Circuit breaker is open.*try again in \d+ ms$/);
  expect(open).toMatchObject({ code: 'UNAVAILABLE', reason: 'CIRCUIT_OPEN' });

  const limit = new TimeoutManager({ timeout: 20 });
  const late = await errorOf(limit.execute(() => new Promise(() => undefined)));
  expect(late.message).toBe('Operation timed out after 20ms');
  expect(late).toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE' });
});

describe('KeyRotation', () => {
  const interval = { rotationInterval: 1_000 };

  it('rotates any object with a rotate(), synchronous or not, with a thumbprint or without', async () => {
    const onRotation = vi.fn();
    const onError = vi.fn();
    const logKeyRotation = vi.fn();
    const rotate = vi.fn(() => 'a key that is nobody’s business');
    const audit = { logKeyRotation };
    await new KeyRotation('a', { rotate }, { ...interval, onRotation, onError }, audit).rotate();
    expect(rotate).toHaveBeenCalledTimes(1);
    expect(onRotation.mock.calls).toEqual([['']]);
    expect(logKeyRotation.mock.calls).toEqual([['a', true]]);
    expect(onError).not.toHaveBeenCalled();
  });

  it('has replaced the key, whatever its audit log or its thumbprint throws', async () => {
    const onError = vi.fn();
    const keys = {
      rotate: async () => undefined,
      getThumbprint: () => {
        throw new Error('no thumbprint');
      },
    };
    const audit = { logKeyRotation: () => Promise.reject(new Error('no log')) };
    await new KeyRotation('a', keys, { ...interval, onError, onRotation: vi.fn() }, audit).rotate();
    expect(onError.mock.calls.map(([error]) => error.message)).toEqual(['no log', 'no thumbprint']);
  });

  it('fails as its keys fail, and logs that', async () => {
    const logKeyRotation = vi.fn();
    const keys = { generateSessionKey: () => Promise.reject(new Error('Crypto error')) };
    const rotation = new KeyRotation('a', keys, interval, { logKeyRotation });
    await expect(rotation.rotate()).rejects.toThrow('Crypto error');
    expect(logKeyRotation).toHaveBeenCalledWith('a', false, 'Crypto error');
  });

  it('reports no success for a session key that replaces nothing', async () => {
    const onRotation = vi.fn();
    const logKeyRotation = vi.fn();
    const keys = { generateSessionKey: () => 'thrown away' };
    const rotation = new KeyRotation('a', keys, { ...interval, onRotation }, { logKeyRotation });
    const error = await errorOf(rotation.rotate());
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'ARGUMENT' });
    expect(error.message).toContain('give it a rotate()');
    expect(onRotation).not.toHaveBeenCalled();
    expect(logKeyRotation.mock.calls[0]).toMatchObject(['a', false, expect.any(String)]);
  });

  it.each([null, undefined, {}, 'key'])('refuses %s, which cannot rotate', (keys) => {
    expect(() => new KeyRotation('a', keys as never, interval)).toThrow('rotate()');
  });
});

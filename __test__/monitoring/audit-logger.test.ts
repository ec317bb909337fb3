// The audit log, and the adapter that prints its entries.
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { native } from '../../js/base/native.js';
import {
  AuditLogger,
  ConsoleAdapter,
  type MeshAuditEvent,
  type MeshError,
  type MonitoringAdapter,
} from '../../js/index.js';
import { event, FORGED } from '../support/audit.js';
import { deferred, errorOf, until } from '../support/promises.js';

/** An adapter that stores its entries. */
function keeper(): MonitoringAdapter & { events: MeshAuditEvent[] } {
  const events: MeshAuditEvent[] = [];
  return { events, logEvent: async (entry) => void events.push(entry) };
}

describe('AuditLogger', () => {
  it('makes the entries of its methods', async () => {
    const adapter = keeper();
    const logger = new AuditLogger({ adapters: [adapter] });
    await logger.logConnection('a', 'b', false, 'why');
    await logger.logMessage('a', 'b', 3, 12);
    await logger.logKeyRotation('a', true);
    await logger.logRateLimit('a', 'client', true);
    await logger.logCircuitBreaker('a', 'b', 'open', 'why');
    await logger.log({ eventType: 'system', serviceId: 'a', details: { success: true } });
    expect(adapter.events).toMatchObject([
      { eventType: 'connection', targetServiceId: 'b', details: { success: false, error: 'why' } },
      { eventType: 'message', details: { success: true, messageCount: 3, duration: 12 } },
      { eventType: 'key_rotation', serviceId: 'a', details: { success: true } },
      {
        eventType: 'rate_limit',
        details: { success: false, action: 'blocked', metadata: { clientId: 'client' } },
      },
      { eventType: 'circuit_breaker', details: { success: false, action: 'open', error: 'why' } },
      { eventType: 'system', details: { success: true } },
    ]);
    expect(new Set(adapter.events.map(({ id }) => id)).size).toBe(6);
    expect(adapter.events[0]?.timestamp).toBeInstanceOf(Date);
  });

  it('loses nothing on flush, and keeps the order', async () => {
    const gate = deferred();
    const slow = keeper();
    const taken = slow.logEvent;
    slow.logEvent = async (entry) => {
      await gate.promise;
      await taken(entry);
    };
    const fast = keeper();
    const logger = new AuditLogger({ adapters: [slow, fast] });
    for (let n = 0; n < 500; n += 1) void logger.logMessage('a', 'b', n, 1);
    await until(() => fast.events.length === 500);
    expect(slow.events, 'a slow adapter does not hold up the other').toHaveLength(0);
    const flushed = logger.flush();
    gate.resolve();
    await flushed;
    const counts = Array.from({ length: 500 }, (_, n) => n);
    expect(slow.events.map(({ details }) => details.messageCount)).toEqual(counts);
    expect(logger.getStats()).toEqual({ queued: 0, delivered: 1_000, failed: 0, dropped: 0 });
  });

  it('is bounded, and says what it drops', async () => {
    const gate = deferred();
    const told: MeshError[] = [];
    const logger = new AuditLogger({
      adapters: [{ logEvent: () => gate.promise }],
      maxQueue: 10,
      onError: (error) => told.push(error),
    });
    for (let n = 0; n < 25; n += 1) void logger.logMessage('a', 'b', n, 1);
    expect(logger.getStats()).toMatchObject({ queued: 10, dropped: 15 });
    expect(told[0]).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'AUDIT_LIMIT' });
    gate.resolve();
    await logger.close();
    expect(logger.getStats()).toMatchObject({ queued: 0, delivered: 10 });
  });

  it('survives adapters that reject, throw or never answer', async () => {
    const good = keeper();
    const told: MeshError[] = [];
    const logger = new AuditLogger({
      adapters: [
        { logEvent: () => Promise.reject(new Error('disk')) },
        {
          logEvent: () => {
            throw new Error('bug');
          },
        },
        { logEvent: () => new Promise(() => undefined) },
        good,
      ],
      adapterTimeoutMs: 20,
      onError: (error) => told.push(error),
    });
    await logger.logKeyRotation('a', true);
    expect(good.events).toHaveLength(1);
    expect(told.map(({ reason }) => reason)).toEqual(Array(3).fill('AUDIT_DELIVERY'));
    expect(
      told
        .map(({ message }) => message)
        .toSorted()
        .join(),
    ).toMatch(/bug.*disk.*in time/s);
    expect(logger.getStats()).toMatchObject({ delivered: 1, failed: 3 });
  });

  it('writes an entry once for all adapters, as it was when it was logged', async () => {
    const write = vi.spyOn(native(), 'auditLine');
    const print = vi.spyOn(console, 'log').mockImplementation(() => {});
    const logger = new AuditLogger({ adapters: [new ConsoleAdapter(), new ConsoleAdapter()] });
    const details = { success: true, metadata: { step: 1 } };
    const logged = logger.log({ eventType: 'system', serviceId: 'a', details });
    details.metadata.step = 2;
    await logged;
    expect(write).toHaveBeenCalledTimes(1);
    expect(print).toHaveBeenCalledTimes(2);
    for (const [line] of print.mock.calls) expect(line).toContain('"step":1');
    write.mockRestore();
    print.mockRestore();
  });

  it('refuses what is no entry, and does nothing when disabled', async () => {
    const adapter = keeper();
    const logger = new AuditLogger({ adapters: [adapter] });
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    for (const wrong of [
      undefined,
      {},
      { eventType: 7, serviceId: 'a', details: { success: true } },
      { eventType: 'system', serviceId: 'a' },
      { eventType: 'system', serviceId: 'a', details: { success: true, metadata: cycle } },
    ]) {
      expect(await errorOf(logger.log(wrong as never))).toMatchObject({ reason: 'ARGUMENT' });
    }
    await new AuditLogger({ adapters: [adapter], enabled: false }).logKeyRotation('a', true);
    expect(adapter.events).toEqual([]);
    expect(() => new AuditLogger({ adapters: [{}] } as never)).toThrow(/config.adapters\[0\]/);
    expect(() => new AuditLogger({} as never)).toThrow(/config.adapters must be an array/);
  });
});

describe('ConsoleAdapter', () => {
  it('prints a line that hides nothing (P41)', async () => {
    const print = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    onTestFinished(() => print.mockRestore());
    const adapter = new ConsoleAdapter();
    await adapter.logEvent(
      event({ serviceId: 'x\r\ny', details: { success: false, error: FORGED } }),
    );
    await adapter.logMetrics({ name: 'a\nb' });
    const [[entry], [figures]] = print.mock.calls as [[string], [string]];
    expect(entry).toMatch(/^\[MESH_AUDIT\] \{"id":"e1".*\}$/);
    expect(entry).not.toMatch(/[\u0000-\u001f\u2028]/);
    expect(figures).toMatch(/^\[MESH_METRICS\] \{"timestamp":".*","name":"a\\\\nb"\}$/);
  });
});

import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SessionManager, type SessionManagerOptions } from '../../js/crypto/session-manager.js';
import { random } from '../hostile/random.js';

const START = 1_800_000_000_000;
const MINUTE = 60_000;

beforeEach(() => {
  vi.useFakeTimers({ now: START });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('SessionManager', () => {
  it('runs the README snippet', () => {
    const sessions = new SessionManager({ timeout: 3600000 });
    const session = sessions.createSession('service1', 'service2');
    expect(session).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      serviceId: 'service1',
      peerServiceId: 'service2',
      createdAt: START,
      lastActivity: START,
      expiresAt: START + 3_600_000,
      messageCount: 0,
    });
    vi.setSystemTime(START + MINUTE);
    expect(sessions.trackMessage(session.id)).toBe(1);
    expect(session).toMatchObject({ messageCount: 1, lastActivity: START + MINUTE });
    expect(session.expiresAt).toBe(START + MINUTE + 3_600_000);
  });

  it('does not prolong a session that is looked at', () => {
    const sessions = new SessionManager({ timeout: '1m' });
    const { id } = sessions.createSession('a', 'b');
    for (let second = 0; second < 60; second += 1) {
      expect(sessions.getSession(id)?.expiresAt).toBe(START + MINUTE);
      expect(sessions.getSessionByServiceId('a')?.id).toBe(id);
      vi.setSystemTime(START + second * 1_000);
    }
    vi.setSystemTime(START + MINUTE);
    expect(sessions.getSession(id)).toBeUndefined();
    expect(() => sessions.trackMessage(id)).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION', reason: 'SESSION_EXPIRED' }),
    );
    expect(sessions.getSessionByServiceId('a')).toBeUndefined();
    expect(() => sessions.trackMessage(id)).toThrow(
      expect.objectContaining({ code: 'NOT_FOUND', reason: 'SESSION_NOT_FOUND' }),
    );
  });

  it('ends the busiest session with its lifetime', () => {
    const sessions = new SessionManager({ timeout: '1m', maxLifetime: '5m' });
    const { id } = sessions.createSession('a', 'b');
    for (let tick = 1; tick < 10; tick += 1) {
      vi.setSystemTime(START + tick * 30_000);
      sessions.trackMessage(id);
    }
    expect(sessions.getSession(id)).toMatchObject({
      messageCount: 9,
      expiresAt: START + 5 * MINUTE,
    });
    vi.setSystemTime(START + 5 * MINUTE);
    expect(sessions.getSession(id)).toBeUndefined();
  });

  it('is bounded, and never pushes out a live session', () => {
    const sessions = new SessionManager({ timeout: '1m', maxSessions: 2 });
    const first = sessions.createSession('a', 'b');
    vi.setSystemTime(START + 30_000);
    const second = sessions.createSession('c', 'd');
    expect(() => sessions.createSession('e', 'f')).toThrow(
      expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', reason: 'SESSION_LIMIT' }),
    );
    vi.setSystemTime(START + MINUTE);
    const third = sessions.createSession('e', 'f');
    expect(sessions.listSessions().map(({ id }) => id)).toEqual([second.id, third.id]);
    expect(sessions.getSession(first.id)).toBeUndefined();
  });

  it('sweeps by itself, and keeps no process alive for it', () => {
    const timers = vi.spyOn(globalThis, 'setTimeout');
    const sessions = new SessionManager({ timeout: 1_000 });
    expect(timers).not.toHaveBeenCalled();
    sessions.createSession('a', 'b');
    expect((timers.mock.results[0]?.value as NodeJS.Timeout).hasRef()).toBe(false);
    vi.advanceTimersByTime(1_000);
    expect(sessions.getStats()).toMatchObject({ activeSessions: 0, expiredSessions: 1 });
    expect(vi.getTimerCount()).toBe(0);
    timers.mockRestore();
  });

  it('sweeps the longest timeout too', () => {
    const sessions = new SessionManager({ timeout: '60d', maxLifetime: '60d' });
    const { id } = sessions.createSession('a', 'b');
    vi.advanceTimersByTime(59 * 24 * 60 * MINUTE);
    expect(sessions.getSession(id)?.id).toBe(id);
    vi.advanceTimersByTime(24 * 60 * MINUTE + 1);
    expect(sessions.getStats()).toMatchObject({ activeSessions: 0, expiredSessions: 1 });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('counts what has happened', () => {
    const sessions = new SessionManager({ timeout: '1m' });
    const first = sessions.createSession('a', 'b');
    const second = sessions.createSession('a', 'c');
    sessions.trackMessage(first.id);
    sessions.trackMessage(first.id);
    sessions.trackMessage(second.id);
    expect(sessions.getSessionByServiceId('a')?.id).toBe(second.id);
    expect(sessions.getSessionByServiceId('b')?.id).toBe(first.id);
    expect(sessions.invalidateSession(second.id)).toBe(true);
    expect(sessions.invalidateSession(second.id)).toBe(false);
    expect(sessions.getSession(second.id)).toBeUndefined();
    vi.setSystemTime(START + MINUTE);
    expect(sessions.cleanupExpiredSessions()).toBe(1);
    expect(sessions.getStats()).toEqual({
      activeSessions: 0,
      totalSessions: 2,
      expiredSessions: 1,
      invalidatedSessions: 1,
      totalMessages: 3,
    });
  });

  // A comparison with a model that has two numbers for each session.
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('does what a list of times would, seed %i', (seed) => {
    const [IDLE, LIFETIME, MOST] = [100, 1_000, 4];
    const next = random(seed);
    const sessions = new SessionManager({
      timeout: IDLE,
      maxLifetime: LIFETIME,
      maxSessions: MOST,
    });
    const model = new Map<string, { born: number; last: number; messages: number }>();
    const ends = ({ born, last }: { born: number; last: number }): number =>
      Math.min(last + IDLE, born + LIFETIME);
    for (let step = 0; step < 500; step += 1) {
      const now = Date.now();
      for (const [id, times] of model) if (now >= ends(times)) model.delete(id);
      const ids = [...model.keys()];
      const id = ids[Math.floor(next() * ids.length)];
      const choice = next();
      if (choice < 0.3) {
        if (model.size < MOST) {
          const made = sessions.createSession('a', 'b');
          model.set(made.id, { born: now, last: now, messages: 0 });
        } else {
          expect(() => sessions.createSession('a', 'b')).toThrow(/as many as allowed/);
        }
      } else if (choice < 0.6 && id !== undefined) {
        const times = model.get(id)!;
        times.last = now;
        times.messages += 1;
        expect(sessions.trackMessage(id)).toBe(times.messages);
      } else if (choice < 0.7 && id !== undefined) {
        model.delete(id);
        expect(sessions.invalidateSession(id)).toBe(true);
      } else {
        // Sometimes after the sweep timer, sometimes before it fires.
        const ms = Math.floor(next() * (IDLE + 20));
        if (choice < 0.85) vi.advanceTimersByTime(ms);
        else vi.setSystemTime(now + ms);
      }
      const alive = [...model].filter(([, times]) => Date.now() < ends(times));
      expect(sessions.getStats().activeSessions).toBe(alive.length);
      for (const [one, times] of model) {
        const found = sessions.getSession(one);
        expect(found?.expiresAt).toBe(Date.now() < ends(times) ? ends(times) : undefined);
      }
    }
    expect(sessions.getStats().totalSessions).toBeGreaterThan(20);
  });

  it('does not shorten a life when the clock is set back', () => {
    const sessions = new SessionManager({ timeout: '1m' });
    const { id } = sessions.createSession('a', 'b');
    vi.setSystemTime(START - MINUTE);
    sessions.trackMessage(id);
    expect(sessions.getSession(id)?.expiresAt).toBe(START + MINUTE);
  });

  it('takes the shape of 0.2.0', () => {
    const sessions = new SessionManager(MINUTE);
    const key = Buffer.alloc(32, 0xab);
    const session = sessions.createSession('peer', key, { role: 'x' });
    expect(session).toMatchObject({
      serviceId: 'peer',
      metadata: { role: 'x' },
      expiresAt: START + MINUTE,
    });
    expect(session.sessionKey).toBe(key);
    expect(sessions.getSession(session.id)?.sessionKey).toBe(key);
    expect(sessions.getSessionByServiceId('peer')?.id).toBe(session.id);
    expect(sessions.getStats().activeSessions).toBe(1);
    // A logged session must not show its key.
    expect(`${inspect(session)}${JSON.stringify(session)}`).not.toMatch(/ab ab|171|sessionKey/);
  });

  it('names the argument that is wrong', () => {
    const bad = (options: unknown) => () => new SessionManager(options as SessionManagerOptions);
    expect(bad({ timeout: 0 })).toThrow(/timeout must be at least/);
    expect(bad({ timeout: '1x' })).toThrow(/timeout: "1x" is not a duration/);
    expect(bad({ timeout: -1 })).toThrow(/timeout/);
    expect(bad({ maxLifetime: 0 })).toThrow(/maxLifetime/);
    expect(bad({ maxSessions: 1.5 })).toThrow(/maxSessions/);
    expect(bad({ maxSessions: 0 })).toThrow(/maxSessions/);
    expect(bad({ timeOut: 5 })).toThrow(/did you mean timeout/);
    expect(bad(null)).toThrow(/options must be an object/);
    const sessions = new SessionManager();
    expect(() => sessions.createSession('../x', 'b')).toThrow(/serviceId: a service id is/);
    expect(() => sessions.createSession('a', 'b/c')).toThrow(/peerServiceId: a service id is/);
    expect(() => sessions.createSession('a', 5 as never)).toThrow(/peerServiceId must be a string/);
    expect(() => sessions.trackMessage(undefined as never)).toThrow(/id must be a string/);
    expect(sessions.getStats().totalSessions).toBe(0);
  });
});

// The methods of a service, with the figures of now over all callers.
import type { Kind } from '../contract/types';
import { type Health, ofSuccess } from './health';
import { figuresOf, type Now, type Service } from './mesh';
import { sum, type Window } from './window';

export interface Method {
  name: string;
  kind: Kind;
  callers: string[];
  now: Now;
  health: Health;
  total: number;
  /** Codes other than OK since the start, the most frequent first. */
  codes: [code: string, count: number][];
}

/** Returns the methods, the worst first. */
export function methods(service: Service, window: Window | undefined): Method[] {
  const found = new Map<
    string,
    { kind: Kind; from: string[]; total: number; codes: Map<string, number> }
  >();
  for (const { edge } of service.callers) {
    for (const flow of edge.methods) {
      const entry = found.get(flow.method) ?? {
        kind: flow.kind,
        from: [],
        total: 0,
        codes: new Map<string, number>(),
      };
      if (!entry.from.includes(edge.from)) entry.from.push(edge.from);
      entry.total += flow.total;
      for (const [code, count] of Object.entries(flow.codes)) {
        if (code !== 'OK') entry.codes.set(code, (entry.codes.get(code) ?? 0) + count);
      }
      found.set(flow.method, entry);
    }
  }
  return [...found]
    .map(([name, { kind, from, total, codes }]): Method => {
      const spans = from.map((caller) => window?.method(caller, service.name, name));
      const now = figuresOf(sum(spans));
      return {
        name,
        kind,
        callers: from,
        now,
        total,
        health: ofSuccess(now.success),
        codes: [...codes].sort((a, b) => b[1] - a[1]),
      };
    })
    .sort(
      (a, b) =>
        (a.now.success ?? 2) - (b.now.success ?? 2) || (b.now.rate ?? 0) - (a.now.rate ?? 0),
    );
}

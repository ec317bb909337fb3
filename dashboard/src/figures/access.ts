// The calls that policies permit, beside those that services make.
import type { CertificateView, Denial, Report, Rule } from '../contract/types';
import { edgeKey } from './window';
import type { Mesh, Service } from './mesh';

/**
 * - `used`: allowed by a rule, and used
 * - `open`: used, and no policy says who may
 * - `unused`: allowed by a rule, and never used
 * - `denied`: tried, and denied
 * - `audit`: would be denied, but the policy only audits
 */
export type Access = 'used' | 'open' | 'unused' | 'denied' | 'audit';

export interface Pair {
  from: string;
  to: string;
  access: Access;
  calls: number;
  denied: number;
  rules: string[];
}

/** The most pairs that are listed: a rule for everyone makes one for each two services. */
const MAX_PAIRS = 20_000;

/** Returns the pairs of services with a rule, a call or a denial between them. */
export function pairs(mesh: Mesh): Pair[] {
  const found: Pair[] = [];
  const calls = new Map(
    mesh.edges.map(({ edge }) => [edgeKey(edge.from, edge.to), edge.figures.total]),
  );
  const names = spiffeIds(mesh);
  for (const callee of mesh.services.values()) {
    const policies = callee.node.instances.flatMap((report) => report.policy ?? []);
    const rules = policies.flatMap((policy) => policy.rules);
    const audit = policies.some((policy) => policy.mode === 'audit');
    const denials = callee.node.instances.flatMap((report) => report.denials);
    const callers = new Set([
      ...callee.callers.map(({ edge }) => edge.from),
      ...denials.map((denial) => denial.caller),
      ...allowedCallers(rules, mesh, names),
    ]);
    callers.delete(callee.name);
    for (const from of callers) {
      const total = calls.get(edgeKey(from, callee.name)) ?? 0;
      const own = denials.filter((denial) => denial.caller === from);
      const matching = rules.filter(
        (rule) => !rule.deny && rule.from.some((f) => is(f, from, names)),
      );
      const pair = {
        from,
        to: callee.name,
        calls: total,
        denied: own.reduce((sum: number, denial: Denial) => sum + denial.count, 0),
        rules: [...new Set(matching.map((rule) => rule.name))],
      };
      const access = decide(pair, policies.length > 0, audit);
      if (access !== undefined && found.length < MAX_PAIRS) found.push({ ...pair, access });
    }
  }
  return found;
}

function decide(pair: Omit<Pair, 'access'>, policy: boolean, audit: boolean): Access | undefined {
  if (pair.denied > 0) return audit ? 'audit' : 'denied';
  if (pair.calls > 0) return policy ? 'used' : 'open';
  return pair.rules.length > 0 ? 'unused' : undefined;
}

function is(from: string, caller: string, names: ReadonlyMap<string, string>): boolean {
  if (from === '*' || from === caller) return true;
  const id = names.get(caller);
  if (id === undefined) return false;
  return from.endsWith('/*') ? id.startsWith(from.slice(0, -1)) : id === from;
}

function allowedCallers(
  rules: readonly Rule[],
  mesh: Mesh,
  names: ReadonlyMap<string, string>,
): string[] {
  const wanted = rules.filter((rule) => !rule.deny).flatMap((rule) => rule.from);
  const plain = wanted.filter((from) => mesh.services.has(from));
  const wide = [...new Set(wanted.filter((from) => !mesh.services.has(from)))];
  if (wide.length === 0) return plain;
  const matched = [...mesh.services.keys()].filter((name) => wide.some((f) => is(f, name, names)));
  return [...plain, ...matched];
}

/** The SPIFFE ids of services, from their own certificates. */
function spiffeIds(mesh: Mesh): Map<string, string> {
  const ids = new Map<string, string>();
  for (const service of mesh.services.values()) {
    const id = service.node.instances.find((r: Report) => r.identity.certificate?.spiffeId)
      ?.identity.certificate?.spiffeId;
    if (id !== undefined) ids.set(service.name, id);
  }
  return ids;
}

/** The protection of a service: its identity, its listener, its policy. */
export interface Protection {
  service: Service;
  modes: string[];
  tls: boolean;
  policy: 'enforce' | 'audit' | 'none';
  rules: number;
  problem: string | undefined;
  /** The certificate that ends first. */
  certificate: CertificateView | undefined;
}

/** Returns the protections of the services that report. */
export function protections(mesh: Mesh): Protection[] {
  return [...mesh.services.values()]
    .filter((service) => service.node.instances.length > 0)
    .map((service) => {
      const reports = service.node.instances;
      const policies = reports.flatMap((report) => report.policy ?? []);
      const certificates = reports.flatMap((report) => report.identity.certificate ?? []);
      return {
        service,
        modes: [...new Set(reports.map((report) => report.mode))],
        tls: reports.every((report) => report.tls || report.address === undefined),
        policy:
          policies.length === 0
            ? 'none'
            : policies.some((policy) => policy.mode === 'audit')
              ? 'audit'
              : 'enforce',
        rules: Math.max(0, ...policies.map((policy) => policy.rules.length)),
        problem: policies.find((policy) => policy.problem !== undefined)?.problem,
        certificate: certificates.sort((a, b) => a.notAfter - b.notAfter)[0],
      };
    });
}

// Three services, each a process of its own, go from a secret to certificates and through the rotations of every part of
// their authority. They call each other all the time, and no call is lost.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { MeshConfig } from '../../js/index.js';
import { Authority, type Files } from '../support/authority.js';
import { run } from '../support/processes.js';
import { until } from '../support/promises.js';
import { freePort, scratch } from '../support/servers.js';

const IDS = ['orders', 'stock', 'gateway'] as const;
const SECRET = 'a secret of the rotations test, more than 32 bytes';

/** What a service reports. */
interface Report {
  tally: { plain: number; idempotent: number };
  activeSessions: number;
  /** How often anchors or lists were replaced. */
  anchors: number;
  peers: {
    serviceId: string;
    trust: string;
    certificate?: { name: string; issuer: string; serial: string };
  }[];
  failed: object[];
  failures: number;
}

/** A service, through all of its processes. */
class Service {
  readonly directory: string;
  #process: ReturnType<typeof run> | undefined;

  constructor(
    root: string,
    readonly id: string,
    readonly ports: Record<string, number>,
  ) {
    this.directory = join(root, id);
    mkdirSync(join(this.directory, 'keys'), { recursive: true, mode: 0o700 });
  }

  path(file: string): string {
    return join(this.directory, file);
  }

  /** The option `security.certificate`. */
  get certificate(): Files & { crl: string } {
    const [cert, key, ca] = [this.path('tls.crt'), this.path('tls.key'), this.path('ca.crt')];
    return { cert, key, ca, crl: this.path('ca.crl') };
  }

  /** Starts a process with this configuration, and lets the previous one end when the new one is ready. */
  async restart(security: MeshConfig['security']): Promise<void> {
    const others = IDS.filter((id) => id !== this.id).map((id) => ({ id, port: this.ports[id] }));
    const next = run('loaded', {
      ...{ id: this.id, port: this.ports[this.id], others, security },
      keysDir: this.path('keys'),
    });
    await next.next();
    const previous = this.#process;
    this.#process = next;
    if (previous === undefined) return;
    const last = (): Report => previous.told().at(-1)!.what as Report;
    previous.end();
    const { code, output } = await previous.ended;
    expect(code, output.slice(-2_000)).toBe(0);
    expect(last().failed).toEqual([]);
  }

  /** The latest report. */
  get report(): Report {
    return this.#process!.told().at(-1)!.what as Report;
  }

  /** The time after `begun` until the condition held first in a report, in ms. */
  async after(begun: number, holds: (report: Report) => boolean): Promise<number> {
    const found = (): { at: number } | undefined =>
      this.#process!.told().find(({ at, what }) => at >= begun && holds(what as Report));
    await until(() => found() !== undefined, 10_000);
    return found()!.at - begun;
  }

  /** Puts this certificate and its key in place, the key first. */
  use(authority: Authority, issuer?: string): string {
    const { cert, key } = authority.issue(this.id, issuer === undefined ? {} : { issuer });
    copyFileSync(key, this.path('tls.key'));
    copyFileSync(cert, this.path('tls.crt'));
    return authority
      .run('x509', '-in', cert, '-noout', '-serial')
      .trim()
      .split('=')[1]!
      .toLowerCase();
  }
}

// Restarts overlap on one port, which only Linux spreads over several sockets.
it.skipIf(process.platform !== 'linux')(
  'three services change from a secret to certificates, and each part of these, without a lost call',
  async () => {
    const root = scratch();
    const [old, next] = [new Authority('Root 1'), new Authority('Root 2')];
    for (const name of ['issuer-1', 'issuer-2']) old.intermediate(name);
    next.intermediate('issuer-3');
    const ports = Object.fromEntries(
      await Promise.all(IDS.map(async (id) => [id, await freePort()])),
    );
    const services = IDS.map((id) => new Service(root, id, ports));
    const [orders, stock, gateway] = services as [Service, Service, Service];

    /** Replaces a file at each service, and waits until they check their peers by it. */
    const replace = async (file: string, contents: string): Promise<void> => {
      const before = services.map(({ report }) => report.anchors);
      for (const service of services) writeFileSync(service.path(file), contents);
      const isUsed = ({ report }: Service, at: number): boolean => report.anchors > before[at]!;
      await until(() => services.every(isUsed), 10_000);
    };
    const text = (files: string[]): string =>
      files.map((file) => readFileSync(file, 'utf8')).join('');
    const anchors = (...authorities: Authority[]): Promise<void> =>
      replace('ca.crt', text(authorities.map((authority) => authority.path('ca.crt'))));
    const lists = (...of: [Authority, string][]): Promise<void> =>
      replace('ca.crl', text(of.map(([authority, issuer]) => authority.revoke(undefined, issuer))));
    /** The serial number of each service's certificate. */
    const serials: Record<string, string> = {};
    /** Waits until each service has called some more, and sees exactly these certificates at both others. */
    const settled = async (issuer: string): Promise<void> => {
      const calls = services.map(({ report }) => report.tally.plain);
      const holds = ({ id, report }: Service, at: number): boolean =>
        report.tally.plain > calls[at]! + 20 &&
        IDS.filter((other) => other !== id).every((other) =>
          report.peers.some(({ certificate }) => certificate?.serial === serials[other]),
        ) &&
        report.peers.every(
          ({ certificate }) =>
            Object.values(serials).includes(certificate?.serial ?? '') &&
            certificate?.issuer === `CN=${issuer}`,
        );
      await until(() => services.every(holds), 15_000).catch(() => {
        throw new Error(JSON.stringify(services.map(({ report }) => report)));
      });
    };
    const unharmed = (): void =>
      expect(services.flatMap(({ report }) => report.failed)).toEqual([]);
    const issued = async (authority: Authority, issuer: string): Promise<void> => {
      for (const service of services) serials[service.id] = service.use(authority, issuer);
      await settled(issuer);
      unharmed();
    };

    // A secret.
    await Promise.all(services.map((service) => service.restart({ jwtSecret: SECRET })));
    const trusts = (wanted: string): boolean =>
      services.every(
        ({ report: { peers } }) => peers.length > 1 && peers.every(({ trust }) => trust === wanted),
      );
    await until(() => trusts('shared-secret'), 10_000);

    // Certificates beside the secret, service by service, and then without it.
    const until2999 = [{ trust: 'shared-secret' as const, until: '2999-01-01' }];
    for (const service of services) {
      writeFileSync(service.path('ca.crt'), text([old.path('ca.crt')]));
      writeFileSync(
        service.path('ca.crl'),
        text([old.revoke(), old.revoke(undefined, 'issuer-1')]),
      );
      serials[service.id] = service.use(old, 'issuer-1');
      const { certificate } = service;
      await service.restart({ certificate, jwtSecret: SECRET, accept: until2999 });
    }
    await settled('issuer-1');
    for (const service of services) {
      const { certificate } = service;
      await service.restart({ certificate });
    }
    await settled('issuer-1');
    unharmed();

    // The leaves; then the intermediate, whose list comes first.
    await issued(old, 'issuer-1');
    await lists([old, 'ca'], [old, 'issuer-1'], [old, 'issuer-2']);
    await issued(old, 'issuer-2');

    // The root: both anchors everywhere, new certificates, the new anchor alone.
    await anchors(old, next);
    await lists([old, 'ca'], [old, 'issuer-2'], [next, 'ca'], [next, 'issuer-3']);
    await issued(next, 'issuer-3');
    await anchors(next);
    await lists([next, 'ca'], [next, 'issuer-3']);
    const calls = services.map(({ report }) => report.tally.plain);
    await until(() => services.every(({ report }, at) => report.tally.plain > calls[at]! + 100));
    unharmed();
    for (const { report } of services) expect(report.tally.idempotent).toBeGreaterThan(100);

    // A revoked service is out, and the others go on.
    const serial = serials['stock']!;
    const revoked = text([next.revoke(), next.revoke('stock', 'issuer-3')]);
    const begun = Date.now();
    for (const service of [orders, gateway]) writeFileSync(service.path('ca.crl'), revoked);
    const isOut = ({ peers }: Report): boolean =>
      peers.length > 0 && peers.every(({ certificate }) => certificate?.serial !== serial);
    for (const service of [orders, gateway]) {
      const took = await service.after(begun, isOut);
      // A second where the machine is quiet.
      expect(took).toBeLessThan(3_000);
      const { tally } = service.report;
      await until(() => service.report.tally.plain > tally.plain + 50);
      expect(isOut(service.report)).toBe(true);
      const lost = service.report.failed as { to: string }[];
      expect(lost.filter(({ to }) => to !== 'stock')).toEqual([]);
      expect(lost.length).toBeGreaterThan(0);
    }
    await until(() => stock.report.activeSessions === 0);
  },
  60_000,
);

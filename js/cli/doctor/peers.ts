// The configured peers: their names, their addresses, their sessions, their clocks.

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { ownId } from '../identity.js';
import { repairFor, repairOf } from '../repairs.js';
import { bad, failure, ok, skipped, within, type Finding, type Patient } from './finding.js';
import { authority, clockOffset, knock, probe, type Instance } from './probe.js';

const LOOKUP_MS = 5_000;
const TCP_MS = 5_000;
const CLOCK_MS = 3_000;

/** The difference of clocks from which the handshake refuses a peer. */
const MOST_SKEW_MS = 30_000;
/** A smaller offset is not reported, because it is known only within about a second. */
const NOTED_SKEW_MS = 5_000;

/** The instances of a configuration that have an address. */
export function instancesOf({ config }: Patient): Instance[] {
  return (config.discovery?.services ?? []).filter(
    (service): service is Instance => service?.host !== undefined && service.port !== undefined,
  );
}

/** Sources of instances beside the list in the configuration. Only a service follows them. */
export function checkSources({ config }: Patient): Finding[] {
  const further = Object.keys(config.discovery ?? {}).filter((key) => key !== 'services');
  if (further.length === 0) return [];
  const text = `only instances of discovery.services are asked; discovery.${further[0]} has others`;
  return [skipped('discovery', `discovery.${further[0]}`, text)];
}

/** Looks up the names of hosts. Returns the findings, and the hosts without an answer. */
export async function checkNames(
  instances: readonly Instance[],
): Promise<{ findings: Finding[]; unknown: ReadonlySet<string> }> {
  const hosts = [...new Set(instances.map(({ host }) => host))].filter((host) => isIP(host) === 0);
  const unknown = new Set<string>();
  const findings = await Promise.all(
    hosts.map(async (host): Promise<Finding> => {
      const finding = await checkName(host);
      if (finding.status === 'fail') unknown.add(host);
      return finding;
    }),
  );
  return { findings, unknown };
}

async function checkName(host: string): Promise<Finding> {
  try {
    const answers = await within(LOOKUP_MS, lookup(host, { all: true }));
    if (answers !== undefined) {
      const addresses = answers.map(({ address }) => address);
      return ok('discovery', host, `${host} is ${addresses.join(', ')}`, { addresses });
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'no answer';
    return bad(
      'fail',
      'discovery',
      host,
      `the name ${host} has no address (${code})`,
      'Correct the host in discovery.services, or the DNS: getent hosts asks it from a shell.',
      { code },
    );
  }
  const text = `the DNS does not answer within ${LOOKUP_MS} ms for ${host}`;
  return bad('fail', 'discovery', host, text, 'Look at the name servers of this machine.');
}

/** Checks one instance of a service. */
export async function checkPeer(
  instance: Instance,
  unknown: ReadonlySet<string>,
  patient: Patient,
): Promise<Finding[]> {
  const { id, host, port } = instance;
  const subject = `${id} at ${authority(instance)}`;
  if (id === ownId(patient.config, patient.options)) {
    return [skipped('peer', subject, `${id} is the service as which this command calls`)];
  }
  if (unknown.has(host)) {
    return [skipped('peer', subject, `${subject} is not tried: its name has no address`)];
  }
  const code = await knock(host, port, TCP_MS);
  if (code !== undefined) return [unreachable(subject, code)];
  const offset = await clockOffset(host, port, CLOCK_MS);
  const findings = [...clockFindings(subject, offset)];
  const found = await probe(instance, patient);
  if (found.error === undefined) {
    const { trust, suite, version, handshakeMs, roundTripMs, certificateEnds } = found;
    const ends =
      certificateEnds === undefined
        ? ''
        : `, its certificate ends on ${new Date(certificateEnds).toISOString()}`;
    const text = `${subject} proves itself (${trust}, ${suite}), round trip ${roundTripMs} ms${ends}`;
    const details = { trust, suite, version, handshakeMs, roundTripMs, certificateEnds };
    return [ok('peer', subject, text, details), ...findings];
  }
  const skewed = findings.some(({ check, status }) => check === 'clock' && status === 'fail');
  const finding = failure('peer', subject, found.error);
  finding.repair = skewed ? repairFor('CLOCK_SKEW') : repairOf(found.error);
  return [finding, ...findings];
}

function unreachable(subject: string, code: string): Finding {
  const refused = code === 'ECONNREFUSED';
  const exhausted = code === 'EMFILE' || code === 'ENFILE';
  const text = refused
    ? `nothing listens at the address of ${subject}`
    : `${subject} cannot be connected to: ${code}`;
  const repair = exhausted
    ? 'Raise the limit of file descriptors: ulimit -n.'
    : refused
      ? 'Start the service, or correct its address in discovery.services.'
      : 'Check the address in discovery.services, and firewalls and routes between the two machines.';
  const finding = bad('fail', 'peer', subject, text, repair, { code });
  return { ...finding, reason: 'CONNECT_FAILED' };
}

function clockFindings(subject: string, offset: number | undefined): Finding[] {
  if (offset === undefined) return [];
  const seconds = Math.abs(offset) / 1000;
  const details = { offsetMs: Math.round(offset) };
  if (seconds * 1000 < NOTED_SKEW_MS) {
    return [ok('clock', subject, `the clocks here and of ${subject} agree`, details)];
  }
  const side = offset > 0 ? 'ahead of' : 'behind';
  const text = `the clock of ${subject} is ${Math.round(seconds)} s ${side} the clock here`;
  const fails = Math.abs(offset) > MOST_SKEW_MS;
  const finding = bad(
    fails ? 'fail' : 'warn',
    'clock',
    subject,
    fails ? `${text}; more than 30 s ends every handshake` : text,
    repairFor('CLOCK_SKEW'),
    details,
  );
  return [{ ...finding, reason: 'CLOCK_SKEW' }];
}

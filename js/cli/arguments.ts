// The parsers of the arguments of commands.

import { isIP } from 'node:net';
import { CommandError } from './exits.js';

/** `name=value` arguments as an object. */
export function pairs(option: string, given: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    given.map((pair) => {
      const at = pair.indexOf('=');
      if (at < 1) {
        throw new CommandError(
          `${option} must be name=value, got ${JSON.stringify(pair)}`,
          `Write it as in ${option} tenant=t1.`,
        );
      }
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** A duration in milliseconds: `800`, `800ms`, `5s`, `2m`. */
export function milliseconds(option: string, given: string): number {
  const [, digits, unit = 'ms'] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(given) ?? [];
  const value = Number(digits) * (UNITS[unit] ?? NaN);
  if (!(value > 0)) {
    throw new CommandError(
      `${option} must be a time above 0, got ${JSON.stringify(given)}`,
      `Write milliseconds, or a number with a unit: ${option} 5s.`,
    );
  }
  return value;
}

/** A duration as the library takes it, up to days: `90s`, `24h`, `30d`. */
export function duration(option: string, given: string): string {
  if (/^\d+(?:ms|s|m|h|d)$/.test(given)) return given;
  throw new CommandError(
    `${option} must be a time with a unit, got ${JSON.stringify(given)}`,
    `Write it as in ${option} 24h or ${option} 30d.`,
  );
}

/** An address `host:port`; IPv6 in brackets. */
export function hostAndPort(option: string, given: string): { host: string; port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(given) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  const fits = host !== undefined && (bracketed === undefined || isIP(bracketed) === 6);
  if (!fits || !(port >= 1 && port <= 65_535)) {
    throw new CommandError(
      `${option} must be host:port, got ${JSON.stringify(given)}`,
      `Write it as in ${option} 10.0.0.7:50051 or ${option} '[::1]:50051'.`,
    );
  }
  return { host, port };
}

/** A port number; 0 lets the system choose. */
export function portNumber(option: string, given: string): number {
  const port = /^\d{1,5}$/.test(given) ? Number(given) : NaN;
  if (!(port <= 65_535)) {
    throw new CommandError(
      `${option} must be a port from 0 to 65535, got ${JSON.stringify(given)}`,
      `Leave it out, or let the system choose one: ${option} 0.`,
    );
  }
  return port;
}

/** JSON of an argument or a line. */
export function json(where: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new CommandError(
      `${where} is not JSON: ${(error as Error).message}`,
      `Quote it for the shell, as in '{"id":7}'.`,
    );
  }
}

// Hosts of a test: network namespaces of Linux, each with an address of its own. For root only.
import { spawnSync } from 'node:child_process';
import { onTestFinished } from 'vitest';

function ip(...args: string[]): void {
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr}`);
}

/** Whether network namespaces can be made here. */
export function canMakeHosts(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const name = `mesh-probe-${process.pid}`;
  const made = spawnSync('ip', ['netns', 'add', name]).status === 0;
  if (made) spawnSync('ip', ['netns', 'del', name]);
  return made;
}

/** A host beside this one, reached at `address`; it ends with the test. */
export class Host {
  readonly name: string;
  readonly address: string;
  readonly #own: string;

  constructor(number: number) {
    // Names of interfaces have at most 15 characters.
    const tag = `${process.pid % 100_000}-${number}`;
    this.name = `mesh-${tag}`;
    const [here, there] = [`mh${tag}`, `mt${tag}`];
    this.#own = `10.213.${number}.1`;
    this.address = `10.213.${number}.2`;
    ip('netns', 'add', this.name);
    onTestFinished(() => {
      spawnSync('ip', ['link', 'del', here]);
      spawnSync('ip', ['netns', 'del', this.name]);
    });
    ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', this.name);
    ip('addr', 'add', `${this.#own}/24`, 'dev', here);
    ip('link', 'set', here, 'up');
    ip('-n', this.name, 'addr', 'add', `${this.address}/24`, 'dev', there);
    ip('-n', this.name, 'link', 'set', there, 'up');
    ip('-n', this.name, 'link', 'set', 'lo', 'up');
  }

  /** Nothing that the host says arrives any more, and nobody hears that it does not. */
  fallSilent(): void {
    ip('-n', this.name, 'route', 'add', 'blackhole', `${this.#own}/32`);
  }

  /** What the host says arrives again. */
  speak(): void {
    ip('-n', this.name, 'route', 'del', 'blackhole', `${this.#own}/32`);
  }
}

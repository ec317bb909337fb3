// npm run bench: measures this package and comparable ones in one run.
//
//   --quick          a small part of it, in less than two minutes
//   --only <suite>   one suite; may be given more than once
//   --no-build       measures the existing build
//
// Prints the figures; writes bench/results/latest.json, latest.html
// and, with the targets alone, latest.md. Exits 0
// if everything ran, whatever the figures are.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from '../scripts/build.mjs';
import { main, progress, root, run, StepFailed } from '../scripts/lib.mjs';

const here = join(root, 'bench');
const results = join(here, 'results');

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    build: { type: 'boolean', default: true },
  },
  allowNegative: true,
});

await main(async () => {
  if (values.build) await build({ dev: false });
  await install();
  // These modules need packages that have only now been installed.
  const [{ suites }, { buildCriterion }] = await Promise.all([
    import('./suites/index.mjs'),
    import('./micro/criterion.mjs'),
  ]);
  const unknown = values.only.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    const names = suites.map(({ name }) => name).join(', ');
    throw new StepFailed(`no such suite: ${unknown.join(', ')}; there are ${names}`);
  }
  const chosen = suites.filter(
    ({ name }) => values.only.length === 0 || values.only.includes(name),
  );
  if (values.build && chosen.some(({ name }) => name === 'crypto')) await buildCriterion();
  await measure(chosen);
});

/** Installs bench/node_modules according to its lock file. */
async function install() {
  const lock = (directory, name) => {
    const file = join(here, directory, name);
    return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : undefined;
  };
  const [wanted, installed] = [
    lock('.', 'package-lock.json'),
    lock('node_modules', '.package-lock.json'),
  ];
  const stale = Object.entries(wanted).some(
    ([path, { version, optional }]) =>
      path !== '' && !optional && installed?.[path]?.version !== version,
  );
  if (!stale) return;
  progress('installing what this package is measured against');
  const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  await run('npm', ['ci', ...options], { cwd: here });
}

async function measure(chosen) {
  const [{ certificates }, { machine }, { stopAll }, { peers, load }] = await Promise.all([
    import('./lib/certificates.mjs'),
    import('./lib/machine.mjs'),
    import('./lib/processes.mjs'),
    import('./peers/index.mjs'),
  ]);
  const [{ judge }, { textReport }, { htmlReport }, { markdownTargets }] = await Promise.all([
    import('./targets.mjs'),
    import('./report/text.mjs'),
    import('./report/html.mjs'),
    import('./report/markdown.mjs'),
  ]);
  const report = {
    machine: await machine(),
    began: new Date().toISOString(),
    quick: values.quick,
    titles: {},
    suites: {},
    failures: {},
  };
  for (const name of Object.keys(peers)) report.titles[name] = (await load(name)).title;

  const fail = (suite, text) => {
    (report.failures[suite] ??= []).push(text);
    progress(`  FAILED: ${text}`);
  };

  const directory = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-bench-'));
  const context = { directory, tls: await certificates() };
  try {
    for (const { name, title, run: suite } of chosen) {
      progress(title);
      const environment = {
        quick: values.quick,
        rounds: 3,
        context,
        progress: (text) => progress(`  ${text}`),
        failed: (text) => fail(name, text),
      };
      try {
        report.suites[name] = await suite(environment);
      } catch (error) {
        // The remaining suites still run.
        fail(name, error.message);
      } finally {
        stopAll();
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }

  report.targets = judge(report.suites);
  mkdirSync(results, { recursive: true });
  writeFileSync(join(results, 'latest.json'), `${JSON.stringify(report, null, 2)}\n`);
  writeFileSync(join(results, 'latest.html'), htmlReport(report));
  writeFileSync(join(results, 'latest.md'), markdownTargets(report));
  process.stdout.write(`\n${textReport(report)}\n`);
  progress(`written: ${join(results, 'latest.html')}, latest.json and latest.md`);
  const failed = Object.keys(report.failures);
  if (failed.length > 0) throw new StepFailed(`failed: ${failed.join(', ')}`);
}

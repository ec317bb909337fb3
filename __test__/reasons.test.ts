// docs/errors.md is generated from the core's declarations. These tests compare it with the reasons that the
// source produces and the tests assert.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { root } from '../scripts/lib.mjs';

/** The codes of each reason in the page. */
const page = new Map(
  readFileSync(join(root, 'docs/errors.md'), 'utf8')
    .split('## Reasons')[1]!
    .split('\n')
    .map((line) => line.split(' | '))
    .filter((cells) => cells.length === 5 && cells[0]!.startsWith('| `'))
    .map((cells) => [wordsOf(cells[0]!)[0]!, wordsOf(cells[2]!)] as const),
);

const DECLARATIONS = 'crates/mesh-core/src/error.rs';
const js = texts('js', '.ts').filter(({ name }) => name !== 'addon.d.ts');
const rust = [...texts('src', '.rs'), ...texts('crates/mesh-core/src', '.rs')].map(split);
const tests = [
  ...texts('__test__', '.test.ts').filter(({ name }) => name !== 'reasons.test.ts'),
  ...texts('crates/mesh-core/tests', '.rs'),
  ...rust.map(({ name, tests: text }) => ({ name, text })),
];

describe('the table of reasons', () => {
  it('was read', () => expect(page.size).toBeGreaterThan(70));

  it('has every reason that the source produces, with its code', () => {
    const missing = js.flatMap(({ name, text }) =>
      produced(text)
        .filter(([code, reason]) => !(page.get(reason)?.includes(code) ?? false))
        .map(([code, reason]) => `${name}: ${reason} with ${code}`),
    );
    expect(missing).toEqual([]);
  });

  it('is held against errors however they are written', () => {
    const texts = [
      "new MeshError('ABORTED',\n 'text; more', {\n data: { a: 1 },\n reason: 'ONE' })",
      "this.refuse(\n id,\n 'ABORTED',\n 'ONE',\n text)",
      "refuse(id, 'ABORTED', late ? 'ONE' : 'ONE', text)",
      "JSON.stringify({ code: 'ABORTED', message: 'm', reason: 'ONE' })",
    ];
    for (const text of texts) expect(produced(text)).toContainEqual(['ABORTED', 'ONE']);
  });

  it('has the codes that the core and the addon give their reasons', () => {
    const wrong = rust.flatMap(({ path, code }) =>
      [...code.matchAll(/Code::([A-Z]\w+),\s*Reason::(\w+)/g)]
        .map((match) => [upper(match[1]!), upper(match[2]!)] as const)
        .filter(([name, reason]) => !(page.get(reason)?.includes(name) ?? false))
        .map(([name, reason]) => `${path}: ${reason} with ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it('has every reason that the documentation of the source names', () => {
    const missing = js.flatMap(({ name, text }) =>
      [...text.matchAll(/reason\s+(?:\*\s+)?`([A-Z_]+)`/g)]
        .map((match) => match[1]!)
        .filter((reason) => !page.has(reason))
        .map((reason) => `${name}: ${reason}`),
    );
    expect(missing).toEqual([]);
  });

  it.each([...page.keys()])('%s is produced by the source and asserted by a test', (reason) => {
    const variant = new RegExp(`Reason::${camel(reason)}\\b`);
    const word = new RegExp(`\\b${reason}\\b`);
    const literal = new RegExp(`'${reason}'`);
    const made =
      rust.some(({ path, code }) => path !== DECLARATIONS && variant.test(code)) ||
      js.some(({ text }) => literal.test(text));
    expect(made, `nothing produces ${reason}`).toBe(true);
    const asserted = tests.some(({ text }) => word.test(text) || variant.test(text));
    expect(asserted, `no test asserts ${reason}`).toBe(true);
  });
});

/**
 * Returns each reason in the errors of a file of js/, with its codes: in
 * `new MeshError(code, text, { reason })`, in `refuse(id, code, reason, …)`, and in objects with `code` and
 * `reason`, which become JSON. Either may be a conditional expression: `late ? 'A' : 'B'`.
 */
function produced(text: string): [string, string][] {
  const file = ts.createSourceFile('file.ts', text, ts.ScriptTarget.Latest, true);
  const found: [string, string][] = [];
  const add = (code: ts.Expression | undefined, reason: ts.Expression | undefined): void => {
    for (const one of words(reason)) for (const other of words(code)) found.push([other, one]);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isNewExpression(node) && node.expression.getText() === 'MeshError') {
      const [code, , options] = node.arguments ?? [];
      add(code, property(options, 'reason'));
    } else if (ts.isCallExpression(node) && nameOf(node.expression) === 'refuse') {
      add(node.arguments[1], node.arguments[2]);
    } else if (ts.isObjectLiteralExpression(node)) {
      add(property(node, 'code'), property(node, 'reason'));
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

function nameOf(called: ts.Expression): string {
  return ts.isPropertyAccessExpression(called) ? called.name.text : called.getText();
}

function property(of: ts.Node | undefined, name: string): ts.Expression | undefined {
  if (of === undefined || !ts.isObjectLiteralExpression(of)) return undefined;
  const found = of.properties.find((one) => one.name?.getText() === name);
  return found !== undefined && ts.isPropertyAssignment(found) ? found.initializer : undefined;
}

/** Returns the string literals that an expression can evaluate to. */
function words(of: ts.Expression | undefined): string[] {
  if (of === undefined) return [];
  if (ts.isStringLiteralLike(of)) return [of.text];
  if (ts.isConditionalExpression(of)) return [...words(of.whenTrue), ...words(of.whenFalse)];
  return ts.isParenthesizedExpression(of) || ts.isAsExpression(of) ? words(of.expression) : [];
}

/** Files below a folder. */
function texts(folder: string, ending: string): { name: string; path: string; text: string }[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith(ending))
    .map((path) => ({
      name: path.split(/[\\/]/).at(-1)!,
      path: `${folder}/${path.replaceAll('\\', '/')}`,
      text: readFileSync(join(root, folder, path), 'utf8'),
    }));
}

/** Splits a Rust file into the product and its tests, which come last. */
function split({ name, path, text }: { name: string; path: string; text: string }) {
  if (/\/(tests|testing|vectors)(\/|\.rs$)/.test(path))
    return { name, path, code: '', tests: text };
  const at = text.search(/#\[cfg\(test\)\]\s*mod \w+ \{/);
  return at < 0
    ? { name, path, code: text, tests: '' }
    : { name, path, code: text.slice(0, at), tests: text.slice(at) };
}

function wordsOf(cell: string): string[] {
  return [...cell.matchAll(/`([A-Z_]+)`/g)].map((match) => match[1]!);
}

/** Converts a variant's name, as `SessionLost` to `SESSION_LOST`. */
function upper(variant: string): string {
  return variant.replace(/(?<=[a-z\d])[A-Z]/g, '_$&').toUpperCase();
}

function camel(reason: string): string {
  return reason.replace(/([A-Z])([A-Z]*)_?/g, (_, first: string, rest: string) => {
    return first + rest.toLowerCase();
  });
}

// The structure of the repository: the rooms of js/, which import only from rooms to their left, and
// documents whose names of files and functions exist. The checks read syntax, not lines.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { root } from '../scripts/lib.mjs';

/**
 * The rooms of js/, from left to right: a room imports from itself and from
 * rooms to its left. ARCHITECTURE.md has the same table.
 */
const ROOMS = [
  'base',
  'rpc',
  'frames',
  'resilience',
  'monitoring',
  'crypto',
  'discovery',
  'tracing',
  'outgoing',
  'incoming',
  'authority',
  'mesh',
  'compat',
  'index.ts',
  'testing',
  'nestjs',
  'cli',
];

/** Packages that a room imports and that the build puts into its file, since the package has no dependencies. */
const BUNDLED: Readonly<Record<string, readonly string[]>> = { cli: ['commander'] };

/** The peer dependencies of an entry point of their users, which others never load. */
const PEERS: Readonly<Record<string, readonly string[]>> = {
  nestjs: ['@nestjs/common', '@nestjs/microservices', 'rxjs'],
};

/** The file whose purpose is to import a module that the user names. */
const IMPORTS_BY_NAME = ['cli/config-module.ts'];

/** The peer dependency that may be absent, and the rooms that may name it. */
const OPTIONAL = { name: '@opentelemetry/api', rooms: ['base', 'tracing'] };

/** Declarations at the root of js/, which every room may import: the addon's and Node's. */
const DECLARATIONS = ['addon.d.ts', 'node-buffer.d.ts'];

/** Folders of __test__ that belong to no room: helpers, processes, attacks, type tests, the page in dashboard/. */
const TEST_FOLDERS = ['support', 'fixtures', 'hostile', 'attacks', 'types', 'dashboard', 'admin'];

/** The limit above which a file is split by purpose. */
const MAX_LINES = 500;
/** Generated, and so of any length. */
const GENERATED = ['mesh/options.ts', 'base/boundary.ts'];

type Files = ReadonlyMap<string, string>;

describe('the rooms of js/', () => {
  const files = sources();

  it('were read', () => expect(files.size).toBeGreaterThan(70));

  it('import from their left only', () => expect(violations(files)).toEqual([]));

  it('have no circle of files, type imports included', () => expect(circles(files)).toEqual([]));

  it(`have no file above ${MAX_LINES} lines`, () => {
    const long = [...files]
      .filter(([path]) => !path.endsWith('.d.ts') && !GENERATED.includes(path))
      .filter(([, text]) => text.split('\n').length > MAX_LINES + 1)
      .map(([path]) => path);
    expect(long).toEqual([]);
  });

  it('are in ARCHITECTURE.md in the same order', () => {
    const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
    const section = page.split('## Inside `js/`')[1]?.split('\n## ')[0] ?? '';
    const rows = section.split('\n').filter((line) => line.startsWith('| `'));
    expect(rows.map((row) => /`([^`]+)`/.exec(row)?.[1])).toEqual(ROOMS);
  });
});

// These tests prove that the check finds violations.
describe('the check of the rooms', () => {
  const left = { 'base/a.ts': '', 'mesh/m.ts': '', 'index.ts': '', 'cli/program.ts': '' };
  const found = (path: string, text: string) =>
    violations(new Map(Object.entries({ ...left, [path]: text }))).length;

  it.each([
    ['base/b.ts', "import { m } from '../mesh/m.js';"],
    ['base/b.ts', "import type { m } from '../mesh/m.js';"],
    ['base/b.ts', "import { type m } from '../mesh/m.js';"],
    ['base/b.ts', "import '../mesh/m.js';"],
    ['base/b.ts', "export * from '../mesh/m.js';"],
    ['base/b.ts', "export type { m } from '../mesh/m.js';"],
    ['base/b.ts', "let m: import('../mesh/m.js').M;"],
    ['base/b.ts', "let m: typeof import('../mesh/m.js');"],
    ['base/b.ts', "const m = await import('../mesh/m.js');"],
    ['base/b.ts', 'const m = await import(`../mesh/m.js`);'],
    ['base/b.ts', "import m = require('../mesh/m.js');"],
    ['base/b.ts', "const m = require('../mesh/m.js');"],
    ['base/b.ts', "import { x } from '../index.js';"],
    ['mesh/b.ts', "import { x } from '../index.js';"],
    ['base/b.ts', "import { x } from '../../__test__/support.js';"],
    ['base/b.ts', "import { x } from './missing.js';"],
    ['base/b.ts', "import { z } from 'zod';"],
    ['rpc/b.ts', "import type { Span } from '@opentelemetry/api';"],
    ['base/b.ts', 'const m = await import(name);'],
    ['cli/b.ts', 'const m = await import(name);'],
    ['base/b.ts', "import { Command } from 'commander';"],
    ['base/b.ts', "import { Observable } from 'rxjs';"],
    ['cli/b.ts', "import { Observable } from 'rxjs';"],
    ['testing/b.ts', "import { run } from '../cli/program.js';"],
    ['cellar/b.ts', ''],
    ['stray.ts', ''],
  ])('finds %s: %s', (path, text) => expect(found(path, text)).toBe(1));

  it.each([
    ['mesh/b.ts', "import { a } from '../base/a.js'; import { m } from './m.js';"],
    ['mesh/b.ts', "import { join } from 'node:path';"],
    ['tracing/b.ts', "import type { Span } from '@opentelemetry/api';"],
    ['testing/b.ts', "import type { X } from '../index.js';"],
    ['cli/b.ts', "import { Command } from 'commander'; import { X } from '../index.js';"],
    ['nestjs/b.ts', "import { Observable } from 'rxjs'; import { X } from '../index.js';"],
    ['cli/config-module.ts', 'const m = await import(name);'],
    ['base/b.ts', "// import { m } from '../mesh/m.js';\nconst text = `import '../mesh/m.js'`;"],
    ['base/b.ts', "import { version } from '../../package.json';"],
    ['base/b.ts', 'const a = require(join(root, name));'],
  ])('allows %s: %s', (path, text) => expect(found(path, text)).toBe(0));

  it('finds circles', () => {
    const of = (texts: Record<string, string>) => circles(new Map(Object.entries(texts)));
    expect(
      of({
        'rpc/a.ts': "import { b } from './b.js';",
        'rpc/b.ts': "import type { c } from './c.js';",
        'rpc/c.ts': "let a: import('./a.js').A;",
        'rpc/d.ts': "import { a } from './a.js';",
      }),
    ).toEqual(['rpc/a.ts rpc/b.ts rpc/c.ts']);
    expect(of({ 'rpc/a.ts': "import type { a } from './a.js';" })).toEqual(['rpc/a.ts']);
    expect(
      of({
        'rpc/a.ts': "import { c } from './c.js'; import { b } from './b.js';",
        'rpc/b.ts': "import { c } from './c.js';",
        'rpc/c.ts': '',
      }),
    ).toEqual([]);
  });
});

describe('the tests', () => {
  const names = below('__test__', '.ts').map((name) => name.replace('__test__/', ''));
  const isTest = (name: string): boolean => /\.test(-d)?\.ts$/.test(name);

  it('were read', () => expect(names.length).toBeGreaterThan(50));

  it('lie in rooms, as what they test does', () => {
    // A new folder of tests must be a room of js/, or be added to TEST_FOLDERS.
    const folders = new Set(names.filter((name) => name.includes('/')).map(placeOf));
    const known = [...ROOMS, ...TEST_FOLDERS];
    expect([...folders].filter((name) => !known.includes(name))).toEqual([]);
  });

  it('are no helpers, and helpers are no tests', () => {
    const own = names.filter((name) => !TEST_FOLDERS.includes(placeOf(name)));
    expect(own.filter((name) => !isTest(name))).toEqual([]);
    const imported = names.flatMap((name) =>
      imports(name, readFileSync(join(root, '__test__', name), 'utf8'))
        .filter((target) => target.startsWith('.') && target.includes('.test.'))
        .map((target) => `${name}: ${target}`),
    );
    expect(imported).toEqual([]);
  });
});

describe('the documents', () => {
  const pages = [
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'README.md',
    'SECURITY.md',
    ...below('docs', '.md').filter((name) => !name.startsWith('docs/api/')),
  ];

  it('were read', () => expect(pages.length).toBeGreaterThan(25));

  it.each(pages)('%s names only files that are there', (page) => {
    expect(deadNames(readFileSync(join(root, page), 'utf8'), page)).toEqual([]);
  });

  it('give the core only layers of modules that are there', () => {
    const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
    const modules = layeredModules(page);
    expect(modules.length).toBeGreaterThan(10);
    expect(modules.filter((name) => !isModule(name))).toEqual([]);
  });

  it('follow a call by functions that are declared in the files before them', () => {
    const page = readFileSync(join(root, 'ARCHITECTURE.md'), 'utf8');
    const section = page.split('## The way of a call')[1]?.split('\n## ')[0] ?? '';
    expect(namedFunctions(section).length).toBeGreaterThan(40);
    expect(undeclared(section)).toEqual([]);
  });
});

describe('the check of the documents', () => {
  it.each([
    ['see `js/router.ts`', 'js/router.ts'],
    ['see js/rpc/contxt.ts, where', 'js/rpc/contxt.ts'],
    ['```\njs/nothing/\n```', 'js/nothing/'],
    ['`src/nothing.rs`', 'src/nothing.rs'],
    ['`__test__/nothing.ts`', '__test__/nothing.ts'],
    ['`crates/mesh-core/nothing`', 'crates/mesh-core/nothing'],
    ['`mesh/nothing.rs`', 'mesh/nothing.rs'],
    ['`mesh/nothing/`', 'mesh/nothing/'],
    ['`transport/listener.rs` and `record/floww.rs`', 'record/floww.rs'],
    ['`scripts/*.py`', 'scripts/*.py'],
    ['<!-- prelude: docs/snippets/nothing.ts -->', 'docs/snippets/nothing.ts'],
  ])('finds %j', (text, dead) => expect(deadNames(text, 'docs/page.md')).toEqual([dead]));

  it.each([
    '`js/`, `js/index.ts`, `src/lib.rs`, `mesh/io.rs`, `record/message/`',
    '`scripts/*.mjs`',
    'https://example.com/js/router.ts and ../other/js/router.ts',
    'and/or, `orders/create`, `application/json`',
  ])('allows %j', (text) => expect(deadNames(text, 'docs/page.md')).toEqual([]));

  it('finds a layer of a module that is not there', () => {
    expect(layeredModules('| 0 | `error`, `nothing` | what lives there |')).toEqual([
      'error',
      'nothing',
    ]);
    expect(isModule('nothing')).toBe(false);
  });

  it.each([
    '`js/outgoing/calls.ts` `begin()`',
    '`js/outgoing/calls.ts` `start()` and `decode()`',
    '`mesh/client/stack.rs` `place()`, `choose()` and `session_ended()`',
    '`src/mesh.rs` `submits()`',
    '`js/nothing.ts` `call()`',
    '`call()`',
  ])('finds the function that is not declared: %s', (text) =>
    expect(undeclared(text)).toHaveLength(1),
  );
});

/** Every source file of js/, by its path in it. */
function sources(): Files {
  const names = readdirSync(join(root, 'js'), { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => /\.[cm]?[jt]sx?$/.test(name));
  return new Map(names.map((name) => [name, readFileSync(join(root, 'js', name), 'utf8')]));
}

/** Returns the entry of a file in the table: its room, or the file itself at the root. */
function placeOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : path;
}

/** Returns the violations of the table, one line each. */
function violations(files: Files): string[] {
  const found: string[] = [];
  for (const [path, text] of files) {
    const own = ROOMS.indexOf(placeOf(path));
    if (own < 0 && !DECLARATIONS.includes(path)) {
      found.push(`${path}: is in no room; give it one in __test__/layering.test.ts`);
    }
    for (const name of imports(path, text)) {
      const allowed = BUNDLED[placeOf(path)] ?? PEERS[placeOf(path)];
      if (allowed?.includes(name)) continue;
      if (name === COMPUTED && IMPORTS_BY_NAME.includes(path)) continue;
      const target = resolved(path, name, files);
      if (target === undefined) found.push(`${path}: imports ${name}`);
      else if (target !== '' && ROOMS.indexOf(placeOf(target)) > own) {
        found.push(`${path}: imports ${target}, a room to its right`);
      }
    }
  }
  return found;
}

/**
 * Returns the file of js/ that an import names; '' for a permitted import from elsewhere; undefined for a
 * forbidden one. (The package has no dependencies but an optional one.)
 */
function resolved(path: string, name: string, files: Files): string | undefined {
  if (name.startsWith('node:')) return '';
  if (name === OPTIONAL.name && OPTIONAL.rooms.includes(placeOf(path))) return '';
  if (!name.startsWith('.')) return undefined;
  const target = posix.join('js', posix.dirname(path), name);
  if (target === 'package.json') return '';
  const stem = target.replace(/^js\//, '').replace(/\.js$/, '');
  const candidates = [`${stem}.ts`, `${stem}.d.ts`];
  if (DECLARATIONS.includes(`${stem}.d.ts`)) return '';
  return target.startsWith('js/') ? candidates.find((file) => files.has(file)) : undefined;
}

/** The name of an import that is computed at run time. */
const COMPUTED = '(computed)';

/** Returns the imports of a file, of every syntax. */
function imports(path: string, text: string): string[] {
  const names: string[] = [];
  const add = (node: ts.Node | undefined): void => {
    if (node === undefined) return;
    names.push(ts.isStringLiteralLike(node) ? node.text : COMPUTED);
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier);
    else if (ts.isExternalModuleReference(node)) add(node.expression);
    else if (ts.isImportTypeNode(node)) {
      add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : node.argument);
    } else if (ts.isCallExpression(node)) {
      const [first] = node.arguments;
      if (node.expression.kind === ts.SyntaxKind.ImportKeyword) add(first);
      // The addon is found at run time, at paths outside the rooms.
      const required = ts.isIdentifier(node.expression) && node.expression.text === 'require';
      if (required && first !== undefined && ts.isStringLiteralLike(first)) add(first);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true));
  return names;
}

/** Files that import each other, directly or through others: one line for each group. */
function circles(files: Files): string[] {
  const targets = new Map(
    [...files].map(([path, text]) => [
      path,
      imports(path, text)
        .map((name) => resolved(path, name, files))
        .filter((target): target is string => target !== undefined && target !== ''),
    ]),
  );
  const reach = (from: string): Set<string> => {
    const seen = new Set<string>();
    const open = [...(targets.get(from) ?? [])];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(...(targets.get(next) ?? []));
    }
    return seen;
  };
  const reached = new Map([...files.keys()].map((path) => [path, reach(path)]));
  const groups = new Set<string>();
  for (const [path, seen] of reached) {
    if (!seen.has(path)) continue;
    const group = [...seen].filter((other) => reached.get(other)?.has(path));
    groups.add(group.toSorted().join(' '));
  }
  return [...groups];
}

/** Files below a folder, by their paths from the root. */
function below(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith(ending));
}

const CORE = 'crates/mesh-core/src';

/** Folders of the repository whose paths are written from its root. */
const FOLDERS =
  'js|src|dashboard|__test__|crates|scripts|bench|examples|xtask|proto|npm|docs/(?:snippets|guides|decisions)';

/** Folders that programs create and that are not committed. */
const MADE = ['bench/node_modules', 'bench/results'];

/** Returns the names of missing files and folders in a page. */
function deadNames(text: string, page: string): string[] {
  const dead: string[] = [];
  const absent = (name: string, folders: string[]): boolean =>
    !MADE.some((made) => name.startsWith(made)) && !isThere(name, folders);
  const fromRoot = new RegExp(`(?<![\\w./@-])(?:${FOLDERS})/[\\w./*-]*`, 'g');
  for (const [match] of text.matchAll(fromRoot)) {
    const name = match.replace(/[.-]+$/, '');
    if (absent(name, [root, join(root, 'crates/mesh-core'), join(root, dirname(page))])) {
      dead.push(name);
    }
  }
  // A path inside the core is written without its prefix.
  for (const [, name] of text.matchAll(/`([a-z_]+\/[\w/]*(?:\.rs)?)`/g)) {
    const own = new RegExp(`^(?:${FOLDERS})/`).test(name!);
    const rust = name!.endsWith('.rs') || isModule(name!.slice(0, name!.indexOf('/')));
    if (!own && rust && absent(name!, [join(root, CORE), root])) dead.push(name!);
  }
  return dead;
}

function isThere(name: string, folders: string[]): boolean {
  if (!name.includes('*')) return folders.some((folder) => existsSync(join(folder, name)));
  const pattern = new RegExp(
    `^${posix.basename(name).replaceAll('.', '\\.').replaceAll('*', '.*')}$`,
  );
  return folders.some((folder) => {
    const parent = join(folder, posix.dirname(name));
    return existsSync(parent) && readdirSync(parent).some((file) => pattern.test(file));
  });
}

/** The modules that the table of the core's layers names. */
function layeredModules(page: string): string[] {
  return page
    .split('\n')
    .filter((line) => /^\| \d \|/.test(line))
    .flatMap((row) => [...row.split('|')[2]!.matchAll(/`(\w+)`/g)].map((match) => match[1]!));
}

/** The functions that a text names, as `name()`, each with the file named before it. */
function namedFunctions(text: string): { file: string; name: string }[] {
  let file = '';
  return [...text.matchAll(/`([^`\s]+)`/g)].flatMap(([, code]) => {
    const name = /^(#?\w+)\(\)$/.exec(code!)?.[1];
    if (name !== undefined) return [{ file, name }];
    if (/\.(rs|ts)$/.test(code!)) file = code!;
    return [];
  });
}

/** The named functions that their files do not declare. */
function undeclared(text: string): string[] {
  const missing = namedFunctions(text).filter(({ file, name }) => {
    const path = [root, join(root, CORE)].map((top) => join(top, file)).find(existsSync);
    if (file === '' || path === undefined) return true;
    const source = readFileSync(path, 'utf8');
    if (file.endsWith('.rs')) return !new RegExp(`^ *[^/\\n]*\\bfn ${name}[(<]`, 'm').test(source);
    return !declared(file, source).has(name);
  });
  return missing.map(({ file, name }) => `${file} ${name}()`);
}

/** The functions and methods that a TypeScript file declares. */
function declared(path: string, text: string): Set<string> {
  const names = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node)) {
      if (node.name !== undefined) names.add(node.name.getText());
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true));
  return names;
}

function isModule(name: string): boolean {
  return existsSync(join(root, CORE, name)) || existsSync(join(root, CORE, `${name}.rs`));
}

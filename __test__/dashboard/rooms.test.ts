// The structure of dashboard/src: its rooms import only from rooms to their left, and have no circles.
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { root } from '../../scripts/lib.mjs';

/** From left to right; the last two are files. */
const ROOMS = ['contract', 'figures', 'data', 'layout', 'parts', 'views', 'app', 'main'];
/** The packages whose code is in the page. */
const PACKAGES = ['preact', 'preact/hooks', 'uplot', '@dagrejs/dagre'];
const MAX_LINES = 500;

const source = join(root, 'dashboard', 'src');
const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => /\.(tsx?|css)$/.test(name));
const text = (file: string): string => readFileSync(join(source, file), 'utf8');
const scripts = files.filter((file) => !file.endsWith('.css'));
const room = (file: string): number => ROOMS.indexOf(file.split('/')[0]!.replace(/\.tsx?$/, ''));

/** The imports of a file, those of types too: paths in dashboard/src, and names of packages. */
function imports(file: string): string[] {
  return ts.preProcessFile(text(file), true, true).importedFiles.map(({ fileName }) => {
    if (!fileName.startsWith('.')) return fileName;
    const stem = posix.join(posix.dirname(file), fileName);
    return scripts.find((other) => other.replace(/\.tsx?$/, '') === stem) ?? stem;
  });
}

describe('the rooms of the dashboard', () => {
  it('were read', () => expect(scripts.length).toBeGreaterThan(40));

  it('import from their left, and the packages of the page only', () => {
    const wrong = scripts.flatMap((file) =>
      imports(file)
        .filter((target) =>
          scripts.includes(target)
            ? room(target) > room(file) || room(file) < 0
            : !PACKAGES.includes(target) && !target.endsWith('.css'),
        )
        .map((target) => `${file}: ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('have no circle of files', () => {
    const reach = (file: string, seen = new Set<string>()): Set<string> => {
      for (const target of imports(file)) {
        if (!scripts.includes(target) || seen.has(target)) continue;
        seen.add(target);
        reach(target, seen);
      }
      return seen;
    };
    expect(scripts.filter((file) => reach(file).has(file))).toEqual([]);
  });

  it(`have no file above ${MAX_LINES} lines`, () => {
    expect(files.filter((file) => text(file).split('\n').length > MAX_LINES)).toEqual([]);
  });

  it('never write markup', () => {
    const forbidden =
      /dangerouslySetInnerHTML|innerHTML|outerHTML|insertAdjacentHTML|document\.write/;
    expect(scripts.filter((file) => forbidden.test(text(file)))).toEqual([]);
  });
});

// Extracts the `typescript` blocks of a Markdown file, with the surroundings that the comments before them
// name; see CONTRIBUTING.md.
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { manifest, root } from './lib.mjs';

const NOTE = /^<!-- (prelude|peer|postlude): (\S+) -->$/;

/** Returns the blocks of a file: their unaltered text, their line and heading, and the files around them. */
export function extractSnippets(file) {
  const lines = readFileSync(join(root, file), 'utf8').split('\n');
  const snippets = [];
  let heading = '';
  let fence;
  lines.forEach((line, index) => {
    if (fence !== undefined) {
      if (line !== '```') return;
      if (fence.language === 'typescript') {
        const code = `${lines.slice(fence.start + 1, index).join('\n')}\n`;
        snippets.push({ file, heading, line: fence.start + 1, code, ...notes(lines, fence.start) });
      }
      fence = undefined;
    } else if (line.startsWith('```')) {
      fence = { start: index, language: line.slice(3).trim() };
    } else if (/^#+ /.test(line)) {
      heading = line.replace(/^#+ /, '');
    }
  });
  return snippets;
}

function notes(lines, fenceLine) {
  const found = { prelude: [], peer: [], postlude: [] };
  for (let index = fenceLine - 1; index >= 0; index -= 1) {
    const note = NOTE.exec(lines[index]);
    if (note === null) break;
    found[note[1]].unshift(note[2]);
  }
  return found;
}

/** Returns a snippet with its prelude and postlude as one module. */
export function assemble({ prelude, code, postlude }) {
  const read = (file) => readFileSync(join(root, file), 'utf8');
  return [...prelude.map(read), code, ...postlude.map(read)].join('\n');
}

// An import statement from the first column; all imports of snippets end with a semicolon.
const IMPORT = /^import\s[^;]+;$/gm;

/** Puts everything except the imports into a function, because CommonJS has no top-level await. */
export function wrapForCommonJs(module) {
  const imports = [...new Set(module.match(IMPORT))];
  const body = module.replaceAll(IMPORT, '');
  return `${imports.join('\n')}\nasync function main() {\n${body}\n}\nvoid main();\n`;
}

/** Creates a directory in which the package, by its name, and Node's types can be resolved. */
export function makeProject(directory) {
  const link = (target, path) => {
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(target, path, 'junction');
  };
  link(root, join(directory, 'node_modules', manifest.name));
  link(join(root, 'node_modules', '@types', 'node'), join(directory, 'node_modules/@types/node'));
  link(join(root, 'node_modules', 'undici-types'), join(directory, 'node_modules', 'undici-types'));
}

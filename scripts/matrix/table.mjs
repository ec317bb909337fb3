// docs/environments.md: a row for each environment, as it was tried the last time.

const HEAD = `# Environments

<!-- Written by \`npm run matrix\`. Do not edit. -->

\`npm run matrix\` packs the package, installs it into a fresh project for each environment, and runs
\`scripts/matrix/program.mjs\` there: the quick start between two services, bytes, the three kinds of streams, a remote
error. The package is not patched, and the tools have no option for its sake. Where the last column says so, a worker
thread does the same, and the process then exits by itself. \`npm run matrix -- webpack deno\` tries some of them again.
[Bundlers](guides/bundlers.md) has the explanations.

| environment | name | versions | result | worker and exit |
|---|---|---|---|---|
`;

/** The page with some rows. */
export function page(rows) {
  const lines = rows.map(({ name, title, versions, result, worker }) => {
    const cells = [title, `\`${name}\``, versions, result, worker ? 'yes' : '–'];
    return `| ${cells.join(' | ')} |\n`;
  });
  return HEAD + lines.join('');
}

/** The rows of a page, by their names. */
export function readRows(text) {
  return text
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter((cells) => cells.length === 7 && cells[2].startsWith('`'))
    .map(([, title, name, versions, result, worker]) => {
      const plain = name.replaceAll('`', '');
      return [plain, { name: plain, title, versions, result, worker: worker === 'yes' }];
    });
}

// npm run check -- manifests: the manifests of Kubernetes in the guides and examples, by the schemas of Kubernetes.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { capture, root, StepFailed } from './lib.mjs';

const FOLDER = 'examples/shop/kubernetes';
const GUIDES = 'docs/guides';

/** Whether the tool is there: `pip install kubernetes-validate`. */
export async function canValidate() {
  return (await capture('kubernetes-validate', ['--version'])).code === 0;
}

/** Fails if a manifest has a fault, or a property that Kubernetes does not know. */
export async function checkManifests() {
  const scratch = mkdtempSync(join(tmpdir(), 'secure-stack-mesh-manifests-'));
  try {
    const files = readdirSync(join(root, FOLDER)).map((name) => join(root, FOLDER, name));
    for (const guide of readdirSync(join(root, GUIDES))) {
      const text = readFileSync(join(root, GUIDES, guide), 'utf8');
      const blocks = [...text.matchAll(/^```yaml\n(apiVersion: [^`]*)^```$/gm)];
      blocks.forEach(([, manifest], index) => {
        const file = join(scratch, `${guide}-${index}.yaml`);
        writeFileSync(file, manifest);
        files.push(file);
      });
    }
    const result = await capture('kubernetes-validate', ['--strict', '--quiet', ...files]);
    if (result.code !== 0) throw new StepFailed(`${result.stdout}${result.stderr}`);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

// Makes what the option table and man/ say: dist/man/man1/vmspawn.1 and dist/completions/.
// scripts/build.mjs calls writeDocumentation; run by itself this file does the same.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Writes man page and completions below dist/. */
export async function writeDocumentation() {
  const bundle = join(root, 'build/documentation.cjs');
  await build({
    absWorkingDir: root,
    entryPoints: ['src/cli/documentation.ts'],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20.19',
    logLevel: 'warning',
  });
  const { documentation } = createRequire(import.meta.url)(bundle);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const markup = readFileSync(join(root, 'man/vmspawn.1.md'), 'utf8');
  for (const [path, text] of Object.entries(documentation(markup, version))) {
    const file = join(root, 'dist', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeDocumentation();

// Makes what the option table and man/ say: dist/man/ and dist/completions/.
// scripts/build.mjs calls writeDocumentation; run by itself this file does the same.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
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
  const sources = readdirSync(join(root, 'man')).filter((file) => file.endsWith('.md'));
  const pages = Object.fromEntries(
    sources.map((file) => [file.slice(0, -'.md'.length), readFileSync(join(root, 'man', file), 'utf8')]),
  );
  for (const [path, text] of Object.entries(documentation(pages, version))) {
    const file = join(root, 'dist', path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeDocumentation();

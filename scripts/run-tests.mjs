// Runs test files with node:test and closes with the line `N passed, N failed`.
// Usage: node scripts/run-tests.mjs [PART OF A FILE NAME...]; without words everything is run.
// Files below test/system run one after the other (each boots real machines), and beside them those below test/testbed;
// before that the rest, two at a time.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const words = process.argv.slice(2);
const all = readdirSync('build/test', { recursive: true })
  .filter((file) => file.endsWith('.test.cjs'))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort()
  .map((file) => join('build/test', file));
const below = (directory) => all.filter((file) => file.startsWith(`build/test/${directory}/`));
const heavy = [below('system'), below('testbed')];
const light = all.filter((file) => !heavy.flat().includes(file));

// Types and style were looked at before, by whoever calls this.
const checks = process.env.CHECKED === 'passed' ? 1 : 0;
let passed = checks;
let failed = process.env.CHECKED === 'failed' ? 1 : 0;
/** Told once more at the end: whoever keeps only the last lines of a long run wants these. */
const failures = process.env.CHECKED === 'failed' ? ['FAILED: types or style (above, before the tests)'] : [];
process.on('uncaughtException', (error) => {
  console.error(error);
  process.exit(2);
});
// Milliseconds of one file; a test that hangs fails.
await runFiles(light, 2, 240_000);
await Promise.all(heavy.map((files) => runFiles(files, 1, 1_800_000)));
for (const failure of failures) process.stdout.write(`\n${failure}\n`);
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && passed > checks ? 0 : 1;

async function runFiles(files, concurrency, timeout) {
  if (files.length === 0) return;
  await new Promise((resolve, reject) => {
    const stream = run({ files, concurrency, timeout });
    stream.on('test:pass', (event) => count(event, true));
    stream.on('test:fail', (event) => count(event, false));
    stream.on('error', reject);
    stream.compose(new spec()).on('end', resolve).pipe(process.stdout, { end: false });
  });
}

/** Counts what asserts something: not the suites and files around tests, unless such a one failed by itself. */
function count(event, ok) {
  const container =
    event.details?.type === 'suite' || event.file === event.name || event.name.endsWith('.test.cjs');
  if (event.skip !== undefined || event.todo !== undefined) {
    failed += 1;
    failures.push(`FAILED: ${event.name}: a skipped test counts as failed`);
  } else if (!ok) {
    failed += 1;
    failures.push(describe(event));
  } else if (!container) passed += 1;
}

/** A failed test, with the start of why. */
function describe({ name, file, details }) {
  const { error, duration_ms: duration } = details;
  const cause = error?.cause ?? error;
  const why = typeof cause === 'string' ? cause : (cause?.stack ?? cause?.message ?? String(cause));
  const lines = why.split('\n').slice(0, 40).join('\n  ');
  return `FAILED: ${name} (${file}, after ${Math.round(duration)} ms)\n  ${lines}`;
}

// Runs test files with node:test and closes with the line `N passed, N failed`.
// Usage: node scripts/run-tests.mjs [PART OF A FILE NAME...]; without words everything is run.
// Files below test/system and test/testbed run one after the other (each boots real machines), the rest two at a time.
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
const heavy = all.filter((file) => /^build\/test\/(system|testbed)\//.test(file));
const light = all.filter((file) => !heavy.includes(file));

let passed = 0;
let failed = 0;
for (const [files, concurrency] of [
  [light, 2],
  [heavy, 1],
]) {
  if (files.length === 0) continue;
  await new Promise((resolve, reject) => {
    // Of one file; a test that hangs fails.
    const stream = run({ files, concurrency, timeout: files === heavy ? 1_200_000 : 240_000 });
    stream.on('test:pass', (event) => count(event, true));
    stream.on('test:fail', (event) => count(event, false));
    stream.on('error', reject);
    stream.compose(new spec()).on('end', resolve).pipe(process.stdout, { end: false });
  });
}
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

/** Counts what asserts something: not the suites and files around tests, unless such a one failed by itself. */
function count(event, ok) {
  const container =
    event.details?.type === 'suite' || event.file === event.name || event.name.endsWith('.test.cjs');
  if (event.skip !== undefined || event.todo !== undefined) {
    failed += 1;
    process.stdout.write(`${event.name}: a skipped test counts as failed\n`);
  } else if (!ok) failed += 1;
  else if (!container) passed += 1;
}

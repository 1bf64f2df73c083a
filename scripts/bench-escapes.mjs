// What the way of a guest's output to the terminal costs (src/console/guest-output.ts), by itself: megabytes a second
// of CPU time in push(), as ratios to a plain copy of the same chunks. Nothing here is asserted.
// Usage: node scripts/bench-escapes.mjs
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

const chunkSize = 64 * 1024;
const megabytes = 4;
const turns = 5;
const rounds = Number(process.env.BENCH_ROUNDS ?? 11);

const scratch = mkdtempSync(join(tmpdir(), 'vs-bench-'));
try {
  const { GuestOutput, allowedByDefault } = await load();
  for (const [name, unit] of Object.entries(streams())) {
    const chunks = cut(unit);
    const copy = () => chunks.reduce((sum, chunk) => sum + Buffer.from(chunk).length, 0);
    const way = (tint) => () => {
      const out = new GuestOutput({ tint, mode: 'interactive', allow: allowedByDefault });
      return chunks.reduce((sum, chunk) => sum + out.push(chunk).length, out.start().length);
    };
    const ways = { 'no tint': way(null), tint: way('48;2;12;51;19') };
    const times = { copy: [], 'no tint': [], tint: [] };
    for (let round = 0; round < rounds + 3; round++) {
      for (const [way, run] of Object.entries({ copy, ...ways })) {
        const begin = process.cpuUsage();
        for (let turn = 0; turn < turns; turn++) run();
        const { user, system } = process.cpuUsage(begin);
        if (round >= 3) times[way].push((user + system) / 1000 / turns);
      }
    }
    for (const way of Object.keys(ways)) report(`${name}, ${way}`, chunks, times[way], times.copy);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function load() {
  const outfile = join(scratch, 'guest-output.cjs');
  const contents = `export * from './src/console/guest-output.ts'; export * from './src/console/terminal-reach.ts';`;
  await build({
    stdin: { contents, resolveDir: join(import.meta.dirname, '..') },
    bundle: true,
    platform: 'node',
    target: 'node20.19',
    format: 'cjs',
    outfile,
  });
  return createRequire(import.meta.url)(outfile);
}

/** One screenful or so of each kind. */
function streams() {
  const line = `${'The quick brown fox jumps over the lazy dog and runs away. '.repeat(2).slice(0, 79)}\r\n`;
  const names = Array.from({ length: 60 }, (_, index) => `file-${index * 7919}.${index % 3 ? 'txt' : 'd'}`);
  const listing = names.map(
    (name, index) => `\x1b[0m\x1b[01;3${(index % 7) + 1}m${name}\x1b[0m  ${index % 6 ? '' : '\r\n'}`,
  );
  let redraw = '\x1b[?25l\x1b[H';
  for (let row = 1; row <= 24; row++) {
    redraw += `\x1b[${row};1H\x1b[${row % 2 ? 7 : 0}m ${1000 + row} root \x1b[32m${row * 3}.${row % 10}\x1b[39m S\x1b[m  0:0${row % 10}.17 \x1b[1mprocess-${row}\x1b[K`;
  }
  redraw += '\x1b[?25h';
  const words = 'Zwölf Boxkämpfer jagen «Viktor» quer über den großen Sylter Deich — ½ Stunde.\r\n';
  return {
    'plain lines': line,
    'lines in UTF-8': words,
    'ls --color': listing.join(''),
    'full screen': redraw,
  };
}

/** The text again and again, in chunks as they come from a socket. */
function cut(text) {
  const whole = Buffer.from(text.repeat(Math.ceil((megabytes * 1e6) / Buffer.byteLength(text))));
  const chunks = [];
  for (let from = 0; from < whole.length; from += chunkSize)
    chunks.push(whole.subarray(from, from + chunkSize));
  return chunks;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

function report(name, chunks, times, base) {
  const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0) / 1e6;
  const speed = (values) => (size / (median(values) / 1000)).toFixed(0);
  const ratios = times.map((time, index) => time / base[index]);
  console.log(
    `${name}: ${speed(times)} MB/s; plain copy: ${speed(base)} MB/s; time over the copy ${median(ratios).toFixed(2)} ` +
      `(${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}, n=${ratios.length})`,
  );
}

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { asset } from '../src/assets.ts';

/**
 * Who may import whom, from the top to the bottom: a directory may import those of later rows and itself. `child` and
 * `console` stand beside each other in one row and know nothing of each other.
 */
const rows: readonly (readonly string[])[] = [
  ['vmspawn', 'vmspawnctl', 'index'],
  ['cli'],
  ['launch', 'session'],
  ['control'],
  ['manager'],
  ['plan'],
  ['qemu', 'firmware', 'image', 'auxiliary'],
  ['child', 'console'],
  ['host'],
  ['settings'],
  ['varlink', 'dbus'],
  ['sys'],
];

/** The protocols and what is below them stand for themselves. */
const selfContained = ['varlink', 'dbus', 'sys'];

/** May be imported by everybody else. */
const common = ['errors', 'disposal', 'assets'];

/** The types that flow; they may be named in types wherever they are. */
const flowing = [
  'src/settings/settings.ts',
  'src/host/facts.ts',
  'src/host/cache.ts',
  'src/plan/plan.ts',
  'src/qemu/configuration.ts',
  'src/image/facts.ts',
  'src/firmware/descriptor.ts',
];

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function imports(): Import[] {
  const root = asset('src');
  return readdirSync(root, { recursive: true })
    .map(String)
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
      const source = readFileSync(join(root, file), 'utf8');
      const found = source.matchAll(
        /^(import|export)( type)?\b[^;]*?from '(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm,
      );
      return [...found].map((match) => ({
        from: join('src', file),
        to: join('src', normalize(join(dirname(file), match[3] ?? match[4] ?? ''))),
        typeOnly: match[2] !== undefined,
      }));
    });
}

function area(file: string): string {
  const [, first = ''] = file.split('/');
  return first.replace(/\.ts$/, '');
}

function allowed({ from, to, typeOnly }: Import): boolean {
  const [upper, lower] = [area(from), area(to)];
  if (upper === lower) return true;
  if (common.includes(upper)) return common.includes(lower);
  const row = rows.findIndex((names) => names.includes(upper));
  if (common.includes(lower)) return !selfContained.includes(upper);
  if (typeOnly && flowing.includes(to) && !selfContained.includes(upper)) return true;
  // All that varlink needs of the outside is named in one place; dbus needs nothing.
  if (upper === 'varlink') return lower === 'sys' && from === 'src/varlink/unix.ts';
  if (upper === 'dbus') return false;
  return rows.findIndex((names) => names.includes(lower)) > row;
}

test('every directory imports only what lies below it', () => {
  const found = imports();
  assert.ok(found.length > 100, 'the imports were found');
  assert.deepEqual(
    found.filter((one) => !allowed(one)).map(({ from, to }) => `${from} imports ${to}`),
    [],
  );
});

test('every file belongs to a row of the law', () => {
  const areas = new Set(imports().map(({ from }) => area(from)));
  const known = [...rows.flat(), ...common];
  assert.deepEqual(
    [...areas].filter((name) => !known.includes(name)),
    [],
  );
});

test('no file imports itself over a circle', () => {
  const edges = new Map<string, string[]>();
  for (const { from, to, typeOnly } of imports()) {
    if (!typeOnly) edges.set(from, [...(edges.get(from) ?? []), to]);
  }
  const state = new Map<string, 'open' | 'done'>();
  const circles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (state.get(file) === 'done') return;
    if (state.get(file) === 'open') {
      circles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
      return;
    }
    state.set(file, 'open');
    for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
    state.set(file, 'done');
  };
  for (const file of edges.keys()) visit(file, []);
  assert.deepEqual(circles, []);
});

test('the varlink client loads neither the server nor the interface definition language', () => {
  const found = imports().filter(({ typeOnly }) => !typeOnly);
  const reached = new Set(['src/varlink/client.ts']);
  for (const file of reached) {
    for (const { from, to } of found) if (from === file) reached.add(to);
  }
  const inVarlink = [...reached].filter((file) => area(file) === 'varlink').map((file) => basename(file));
  assert.deepEqual(inVarlink.sort(), ['client.ts', 'connect.ts', 'errors.ts', 'messages.ts', 'unix.ts']);
});

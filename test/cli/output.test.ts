import assert from 'node:assert/strict';
import { test } from 'node:test';
import { colourAllowed, renderTable, screenColumns, wrap } from '../../src/cli/output.ts';

for (const [environment, onTerminal, otherwise] of [
  [{ TERM: 'xterm' }, true, false],
  [{}, false, false],
  [{ TERM: 'dumb' }, false, false],
  [{ TERM: 'xterm', NO_COLOR: '1' }, false, false],
  [{ TERM: 'xterm', NO_COLOR: '' }, true, false],
  [{ TERM: 'xterm', NO_COLOR: '1', SYSTEMD_COLORS: '1' }, true, true],
  [{ TERM: 'dumb', SYSTEMD_COLORS: '256' }, true, true],
  [{ TERM: 'xterm', SYSTEMD_COLORS: '0' }, false, false],
  [{ TERM: 'xterm', SYSTEMD_COLORS: 'auto-16' }, true, false],
  [{ TERM: 'xterm', SYSTEMD_COLORS: '' }, true, false],
] as const) {
  test(`colour with ${JSON.stringify(environment)}`, () => {
    assert.equal(colourAllowed(environment, true), onTerminal);
    assert.equal(colourAllowed(environment, false), otherwise);
  });
}

test('columns come from the environment when it has a number', () => {
  assert.deepEqual(
    ['132', '0', '', '-5', 'x', '1e3'].map((COLUMNS) => screenColumns({ COLUMNS })),
    [132, 80, 80, 80, 80, 80],
  );
  assert.equal(screenColumns({}), 80);
});

test('text is wrapped at blanks and a long word stands alone', () => {
  assert.deepEqual(wrap('aa bb  cc dddddddd e', 5), ['aa bb', 'cc', 'dddddddd', 'e']);
  assert.deepEqual(wrap('', 5), ['']);
});

test('a table is aligned, its last column cut to the screen', () => {
  const rows = [
    ['/usr/a.json', 'uefi', 'first firmware with a long name'],
    ['/b.json', 'bios', ''],
  ];
  assert.equal(
    renderTable(rows, { header: ['PATH', 'TYPE', 'DESCRIPTION'], columns: 32, bold: false }),
    'PATH        TYPE DESCRIPTION\n/usr/a.json uefi first firmwa...\n/b.json     bios\n',
  );
  assert.equal(
    renderTable(rows, { header: null, columns: 80, bold: true }),
    '/usr/a.json uefi first firmware with a long name\n/b.json     bios\n',
  );
  assert.match(
    renderTable([['x']], { header: ['A'], columns: 80, bold: true }),
    /^\u001b\[1mA\u001b\[0m\nx\n$/,
  );
  assert.equal(renderTable([], { header: null, columns: 80, bold: false }), '');
});

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { choosePager, page } from '../../src/cli/pager.ts';

const terminal = { wanted: true, stdoutIsTerminal: true };
const TERM = 'xterm';

suite('which pager', () => {
  const programs = (environment: Record<string, string>) =>
    choosePager({ ...terminal, environment: { TERM, ...environment } })?.candidates ?? null;
  for (const [environment, expected] of [
    [{}, [['less']]],
    [{ PAGER: 'more' }, [['more'], ['less']]],
    [{ PAGER: 'more', SYSTEMD_PAGER: 'less -R' }, [['less', '-R']]],
    [{ PAGER: '"/a b/pager" -x \'c d\'' }, [['/a b/pager', '-x', 'c d'], ['less']]],
    [{ PAGER: 'cat' }, null],
    [{ PAGER: '' }, null],
    [{ PAGER: 'more', SYSTEMD_PAGER: '' }, null],
    [{ PAGER: 'more', SUDO_UID: '1000' }, [['less']]],
    [{ PAGER: 'more', SUDO_UID: '1000', SYSTEMD_PAGERSECURE: '0' }, [['more'], ['less']]],
    [{ PAGER: 'more', SYSTEMD_PAGERSECURE: 'yes' }, [['more'], ['less']]],
  ] as const) {
    test(JSON.stringify(environment), () => assert.deepEqual(programs(environment), expected));
  }

  test('none without a terminal, on a dumb one, or when not wanted', () => {
    assert.equal(choosePager({ ...terminal, stdoutIsTerminal: false, environment: { TERM } }), null);
    assert.equal(choosePager({ ...terminal, wanted: false, environment: { TERM } }), null);
    assert.equal(choosePager({ ...terminal, environment: { TERM: 'dumb' } }), null);
    assert.equal(choosePager({ ...terminal, environment: {} }), null);
  });

  test('less gets its options, and is secure under sudo', () => {
    const less = (environment: Record<string, string>) =>
      choosePager({ ...terminal, environment: { TERM, ...environment } })?.environment ?? {};
    assert.equal(less({})['LESS'], 'FRSXMK');
    assert.equal(less({ SYSTEMD_LESS: 'R' })['LESS'], 'R');
    assert.equal(less({})['LESSSECURE'], undefined);
    assert.equal(less({ SUDO_UID: '1' })['LESSSECURE'], '1');
    assert.equal(less({ SYSTEMD_PAGERSECURE: '1' })['LESSSECURE'], '1');
    assert.equal(less({ SUDO_UID: '1', SYSTEMD_PAGERSECURE: '0' })['LESSSECURE'], undefined);
  });
});

suite('paging', () => {
  const run = (pager: string, text: string, path = process.env['PATH'] ?? '') => {
    let written = '';
    const write = (more: string) => {
      written += more;
    };
    page(text, {
      ...terminal,
      environment: { TERM, PATH: path, SYSTEMD_PAGER: pager, SYSTEMD_PAGERSECURE: '0' },
      write,
    });
    return written;
  };

  test('the text goes through the pager, with its words', () => {
    const directory = mkdtempSync(join(tmpdir(), 'vmspawn-pager-'));
    try {
      const script = join(directory, 'pager');
      writeFileSync(script, '#!/bin/sh\n{ echo "$1 $LESS"; cat; } > "$0.out"\n');
      chmodSync(script, 0o755);
      assert.equal(run(`${script} word`, 'text\n'), '');
      assert.equal(readFileSync(`${script}.out`, 'utf8'), 'word FRSXMK\ntext\n');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('a pager that the user leaves early is no error', () => {
    assert.equal(run('true', 'x'.repeat(1_000_000)), '');
  });

  test('a pager that fails is no error', () => assert.equal(run('false', 'text\n'), ''));

  test('without any pager on the host the text is written', () => {
    assert.equal(run('/nonexistent/pager', 'text\n', '/nonexistent'), 'text\n');
  });
});

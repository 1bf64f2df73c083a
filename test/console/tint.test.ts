import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestOutput } from '../../src/console/guest-output.ts';
import { backgroundEffect } from '../../src/console/tint.ts';

const set = '\x1b[42m';

/** The stream with the tint shown as `~`. */
function tinted(text: string): string {
  const out = new GuestOutput({ tint: '42', mode: 'interactive', allow: new Set() });
  return out.push(Buffer.from(text)).toString().replaceAll(set, '~');
}

test('what SGR parameters do to the background', () => {
  const cases = {
    none: [
      '1',
      '31',
      '1;4;7',
      '38;5;0',
      '38;2;0;49;0',
      '38;5;49',
      '58;2;0;0;0',
      '38:5:49',
      '4:0',
      '95',
      '58:5:0',
      '390',
    ],
    default: [
      '',
      '0',
      '00',
      '49',
      '1;49;4',
      '44;0',
      '44;',
      ';1',
      '48;5;4;49',
      '38;5;1;0',
      '48:5:4;0',
      '107;049',
    ],
    explicit: [
      '40',
      '47',
      '100',
      '107',
      '48;5;0',
      '48;2;0;0;0',
      '48:5:0',
      '48:2::0:0:0',
      '0;44',
      '49;48;5;49',
      '0;38;5;0;41',
    ],
  };
  for (const [effect, all] of Object.entries(cases)) {
    for (const parameters of all) {
      const data = Buffer.from(`\x1b[${parameters}m`);
      assert.equal(backgroundEffect(data, 2, data.length - 1), effect, parameters);
    }
  }
});

test('only what sets the default background is followed by the tint', () => {
  assert.equal(tinted('\x1b[m\x1b[1m\x1b[44m\x1b[49m'), '\x1b[m~\x1b[1m\x1b[44m\x1b[49m~');
  assert.equal(tinted('\x1b[>4m\x1b[?4m\x1b[0 m'), '\x1b[>4m\x1b[?4m\x1b[0 m');
});

test('a cursor that was saved with a background of its own gets that back', () => {
  assert.equal(tinted('\x1b7\x1b8'), '\x1b7\x1b8~');
  assert.equal(tinted('\x1b8'), '\x1b8~');
  assert.equal(tinted('\x1b[44m\x1b7\x1b[m\x1b8'), '\x1b[44m\x1b7\x1b[m~\x1b8');
  assert.equal(tinted('\x1b[44m\x1b[s\x1b[m\x1b[u'), '\x1b[44m\x1b[s\x1b[m~\x1b[u');
  assert.equal(tinted('\x1b[44m\x1b7\x1b[!p\x1b8'), '\x1b[44m\x1b7\x1b[!p~\x1b8~');
  assert.equal(tinted('\x1b[44m\x1b7\x1bc\x1b8'), '\x1b[44m\x1b7\x1bc~\x1b[J\x1b8~');
  assert.equal(tinted('\x1b[44m\x1b[?1048h\x1b[?1048l'), '\x1b[44m\x1b[?1048h\x1b[?1048l');
});

test('the alternate screen is painted where it is cleared', () => {
  assert.equal(tinted('\x1b[?1049hvi\x1b[?1049l'), '\x1b[?1049h\x1b[2Jvi\x1b[?1049l~');
  assert.equal(tinted('\x1b[?1;1049h\x1b[?1049h'), '\x1b[?1;1049h\x1b[2J\x1b[?1049h');
  assert.equal(tinted('\x1b[44m\x1b[?1049h\x1b[?1049l'), '\x1b[44m\x1b[?1049h\x1b[?1049l');
  assert.equal(tinted('\x1b[?47h\x1b[?47l\x1b[?47h'), '\x1b[?47h\x1b[2J\x1b[?47l\x1b[?47h');
});

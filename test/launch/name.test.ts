import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { nameMachine } from '../../src/launch/name.ts';
import { settings } from '../plan/hosts.ts';
import { temporaryDirectory, write } from '../temporary.ts';

const place = temporaryDirectory();
mkdirSync(join(place, 'machines/tree'), { recursive: true });
write(join(place, 'machines/disk.raw'), 'x');
const environment = { XDG_STATE_HOME: place };
/** None of what is named here is looked at for its content. */
const named = (input: Parameters<typeof settings>[0]) =>
  nameMachine(settings({ manager: 'user', ...input }), environment);

test('a format without a disk image is refused, whichever way the image was named', async () => {
  const hint =
    'Leave it out; the format of an extra drive stands before its path (--extra-drive=FORMAT:PATH).';
  const refused = (reason: string) => ({
    code: 'USAGE',
    message: `--image-format=qcow2 is about a disk image, but ${reason}`,
    hint,
  });
  const imageFormat = 'qcow2';
  await assert.rejects(named({ directory: '/srv', imageFormat }), refused('--image= was not given'));
  await assert.rejects(
    named({ linux: '/boot/vmlinuz', machine: 'a', imageFormat }),
    refused('--image= was not given'),
  );
  const tree = join(place, 'machines/tree');
  await assert.rejects(named({ machine: 'tree', imageFormat }), refused(`${tree} is a directory`));
  assert.equal((await named({ machine: 'tree' })).settings.directory, tree);
  assert.equal((await named({ machine: 'disk', imageFormat })).settings.imageFormat, 'qcow2');
  assert.equal((await named({ machine: 'disk' })).settings.imageFormat, 'raw');
  assert.equal((await named({ image: '/images/a.raw', imageFormat })).machine, 'a');
});

test('a tree and an image are two things to boot, and only a tree has owners', async () => {
  await assert.rejects(named({ directory: '/srv', image: '/images/a.raw' }), {
    message: '--directory= and --image= name two things to boot',
  });
  await assert.rejects(named({ linux: '/boot/vmlinuz', privateUsers: { base: 1, count: 1 } }), {
    message: /^--private-users= is about the files of --directory=/,
  });
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspectImage, layerLimit } from '../../src/image/inspect.ts';
import { temporaryDirectory, write } from '../temporary.ts';

const directory = temporaryDirectory();
chmodSync(directory, 0o755);
const at = (...path: string[]) => join(directory, ...path);
const qemuImg = (...words: string[]) => execFileSync('qemu-img', words, { cwd: directory, stdio: 'pipe' });
const create = (...words: string[]) => qemuImg('create', '-q', '-f', 'qcow2', ...words);
const image = (message: RegExp, hint?: RegExp) => ({
  code: 'IMAGE',
  message,
  ...(hint === undefined ? {} : { hint }),
});
const identity = (path: string) => {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}:${ino}`;
};
write(at('base.raw'), Buffer.alloc(1024 * 1024));
mkdirSync(at('elsewhere'));

test('a raw image, also through a link', async () => {
  symlinkSync('base.raw', at('link.raw'));
  for (const name of ['base.raw', 'link.raw']) {
    assert.deepEqual(await inspectImage(at(name), 'raw'), {
      layers: [
        {
          path: at(name),
          format: 'raw',
          type: 'file',
          identity: identity(at('base.raw')),
          size: 1024 * 1024,
          virtualSize: 1024 * 1024,
          writable: true,
          dataFile: null,
          oldQcow2: false,
        },
      ],
      looksLike: null,
    });
  }
});

test('a qcow2 chain, each layer with its own format', async () => {
  create('-b', 'base.raw', '-F', 'raw', 'middle.qcow2');
  create('-b', at('middle.qcow2'), '-F', 'qcow2', 'top.qcow2', '2M');
  const { layers } = await inspectImage(at('top.qcow2'), 'qcow2');
  assert.deepEqual(
    layers.map(({ path, format, virtualSize }) => [path, format, virtualSize]),
    [
      [at('top.qcow2'), 'qcow2', 2 * 1024 * 1024],
      [at('middle.qcow2'), 'qcow2', 1024 * 1024],
      [at('base.raw'), 'raw', 1024 * 1024],
    ],
  );
  assert.equal(layers[1]?.identity, identity(at('middle.qcow2')));
  symlinkSync(at('top.qcow2'), at('elsewhere', 'link.qcow2'));
  assert.equal((await inspectImage(at('elsewhere', 'link.qcow2'), 'qcow2')).layers.length, 3);
});

test('an external data file', async () => {
  create('-o', 'data_file=data.raw', 'external.qcow2', '1M');
  const { layers } = await inspectImage(at('external.qcow2'), 'qcow2');
  assert.equal(layers[0].dataFile, at('data.raw'));
  renameSync(at('data.raw'), at('elsewhere', 'data.raw'));
  await assert.rejects(
    inspectImage(at('external.qcow2'), 'qcow2'),
    image(/names the data file data.raw, which does not exist/),
  );
  symlinkSync('elsewhere/data.raw', at('data.raw'));
  await assert.rejects(
    inspectImage(at('external.qcow2'), 'qcow2'),
    image(/names the data file data.raw \(.*elsewhere\/data.raw\), which lies outside/),
  );
});

test("a backing file outside the image's directory is refused, with both names and the way out", async () => {
  create('-u', '-b', '/etc/passwd', '-F', 'raw', 'shadow.qcow2', '1M');
  const hint =
    /Place it beside the image and name it with "qemu-img rebase -u -b FILE -F FORMAT .*shadow.qcow2"/;
  await assert.rejects(
    inspectImage(at('shadow.qcow2'), 'qcow2'),
    image(
      /shadow.qcow2 names the backing file \/etc\/passwd, which lies outside the image's own directory/,
      hint,
    ),
  );
  symlinkSync('/etc/passwd', at('innocent.raw'));
  for (const name of ['innocent.raw', 'elsewhere/../../../etc/passwd', `${at('x')}/../../../../etc/passwd`]) {
    create('-u', '-b', name, '-F', 'raw', 'sly.qcow2', '1M');
    await assert.rejects(inspectImage(at('sly.qcow2'), 'qcow2'), image(/lies outside|does not exist/), name);
  }
  create('elsewhere/below.qcow2', '1M');
  create('-b', 'elsewhere/below.qcow2', '-F', 'qcow2', 'above.qcow2');
  await assert.rejects(inspectImage(at('above.qcow2'), 'qcow2'), image(/lies outside/));
});

test('names that are protocols are refused', async () => {
  const names = [
    'json:{"driver":"raw","file":{"driver":"file","filename":"/etc/passwd"}}',
    'nbd://127.0.0.1:1/x',
    'file:base.raw',
    'fd:3',
  ];
  for (const name of names) {
    create('-u', '-b', name, '-F', 'raw', 'protocol.qcow2', '1M');
    await assert.rejects(inspectImage(at('protocol.qcow2'), 'qcow2'), image(/no file but a protocol/), name);
  }
});

test('the format of a backing file is never guessed', async () => {
  create('-o', 'compat=0.10', '-u', '-b', 'base.raw', '-F', 'raw', 'guess.qcow2', '1M');
  const bytes = readFileSync(at('guess.qcow2'));
  const extension = bytes.indexOf(Buffer.from('e2792aca', 'hex'));
  bytes.writeUInt32BE(0x12345678, extension);
  write(at('guess.qcow2'), bytes);
  await assert.rejects(
    inspectImage(at('guess.qcow2'), 'qcow2'),
    image(
      /does not say the format of its backing file base.raw/,
      /qemu-img rebase -u -b base.raw -F FORMAT .*guess.qcow2/,
    ),
  );
  qemuImg('rebase', '-u', '-b', 'base.raw', '-F', 'raw', at('guess.qcow2'));
  assert.equal((await inspectImage(at('guess.qcow2'), 'qcow2')).layers[1]?.format, 'raw');
  qemuImg('create', '-q', '-f', 'vmdk', 'base.vmdk', '1M');
  create('-b', 'base.vmdk', '-F', 'vmdk', 'foreign.qcow2');
  await assert.rejects(
    inspectImage(at('foreign.qcow2'), 'qcow2'),
    image(/of the format vmdk, which is neither/, /qemu-img convert/),
  );
});

test('a missing backing file, a loop and a chain without end', async () => {
  create('-u', '-b', 'absent.raw', '-F', 'raw', 'orphan.qcow2', '1M');
  await assert.rejects(inspectImage(at('orphan.qcow2'), 'qcow2'), image(/absent.raw, which does not exist/));
  create('-u', '-b', 'loop-2.qcow2', '-F', 'qcow2', 'loop-1.qcow2', '1M');
  create('-u', '-b', 'loop-1.qcow2', '-F', 'qcow2', 'loop-2.qcow2', '1M');
  await assert.rejects(inspectImage(at('loop-1.qcow2'), 'qcow2'), image(/form a loop at .*loop-1.qcow2/));
  create('layer-0.qcow2', '1M');
  for (let i = 1; i <= layerLimit; i++) {
    create('-u', '-b', `layer-${i - 1}.qcow2`, '-F', 'qcow2', `layer-${i}.qcow2`, '1M');
  }
  await assert.rejects(
    inspectImage(at(`layer-${layerLimit}.qcow2`), 'qcow2'),
    image(/more than 31 backing files/),
  );
  const { layers } = await inspectImage(at(`layer-${layerLimit - 1}.qcow2`), 'qcow2');
  assert.equal(layers.length, layerLimit);
});

test('a backing FIFO or directory is refused without waiting', async () => {
  execFileSync('mkfifo', [at('backing.fifo')]);
  create('-u', '-b', 'backing.fifo', '-F', 'raw', 'fifo.qcow2', '1M');
  await assert.rejects(inspectImage(at('fifo.qcow2'), 'qcow2'), image(/backing.fifo is a FIFO/));
  create('-u', '-b', 'elsewhere', '-F', 'raw', 'directory.qcow2', '1M');
  await assert.rejects(inspectImage(at('directory.qcow2'), 'qcow2'), image(/elsewhere is a directory/));
});

test('what is no image at all', async () => {
  execFileSync('mkfifo', [at('fifo')]);
  symlinkSync('self', at('self'));
  symlinkSync('nowhere', at('dangling'));
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(at('socket'), resolve));
  const cases: [string, RegExp, RegExp?][] = [
    [at('absent.raw'), /^The image .*absent.raw does not exist$/],
    [at('dangling'), /does not exist/],
    [at('base.raw', 'x'), /a part of the path is no directory/],
    [at('elsewhere'), /elsewhere is a directory$/, /--directory=/],
    [at('fifo'), /is a FIFO, neither a regular file nor a block device/],
    [at('socket'), /is a socket/],
    ['/dev/null', /is a character device/],
    [at('self'), /loop of symbolic links/],
    [write(at('empty.raw')), /is an empty file/],
    ['/a\0b', /\\x00b contains a NUL byte/],
  ];
  for (const [path, message, hint] of cases) {
    await assert.rejects(inspectImage(path, 'raw'), image(message, hint), path);
    await assert.rejects(inspectImage(path, 'qcow2'), image(message, hint), path);
  }
  await new Promise((resolve) => server.close(resolve));
});

test('a raw image that begins like something else', async () => {
  create('disk.qcow2', '1M');
  assert.equal((await inspectImage(at('disk.qcow2'), 'raw')).looksLike, 'qcow2');
  for (const format of ['vmdk', 'vdi', 'vhdx', 'vpc', 'qed', 'parallels']) {
    qemuImg('create', '-q', '-f', format, `disk.${format}`, '8M');
    const hint = new RegExp(
      format.startsWith('v') && format !== 'vpc'
        ? `--image-format=${format}`
        : `qemu-img convert -f ${format} -O qcow2 .*disk.${format} NEW.qcow2`,
    );
    await assert.rejects(inspectImage(at(`disk.${format}`), 'raw'), image(/is in the format/, hint), format);
    const explicit = await inspectImage(at(`disk.${format}`), 'raw', { explicit: true });
    assert.equal(explicit.looksLike, null);
  }
  for (const program of ['gzip', 'xz']) {
    const packed = execFileSync(program, ['-c'], { input: Buffer.alloc(4096) });
    await assert.rejects(
      inspectImage(write(at(`packed.${program}`), packed), 'raw'),
      image(new RegExp(`is compressed with ${program}`), new RegExp(`un${program}|gunzip`)),
    );
  }
  await assert.rejects(inspectImage(at('base.raw'), 'qcow2'), image(/base.raw is no qcow2 image/));
});

test('damage in a header is told with the name of the file', async () => {
  create('cut.qcow2', '1G');
  truncateSync(at('cut.qcow2'), 1000);
  await assert.rejects(
    inspectImage(at('cut.qcow2'), 'qcow2'),
    image(/^The image .*cut.qcow2 is damaged or cut off/),
  );
  create('-b', 'cut.qcow2', '-F', 'qcow2', '-u', 'on-cut.qcow2', '1M');
  await assert.rejects(
    inspectImage(at('on-cut.qcow2'), 'qcow2'),
    image(/^The backing file of .*on-cut.qcow2, .*\/cut.qcow2 is damaged or cut off/),
  );
});

test('as a user without rights: unreadable, and readable but not writable', () => {
  const program = readFileSync(join(__dirname, 'fixtures', 'inspect-image.cjs'));
  const nobody =
    process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : ['env'];
  const inspect = (path: string) =>
    execFileSync(String(nobody[0]), [...nobody.slice(1), process.execPath, '-', path], {
      input: program,
      encoding: 'utf8',
      cwd: '/',
    });
  chmodSync(at('base.raw'), 0o444);
  assert.match(inspect(at('base.raw')), /"writable":false/);
  chmodSync(at('base.raw'), 0);
  assert.match(inspect(at('base.raw')), /base.raw may not be read by this user. Change its permissions/);
  chmodSync(at('base.raw'), 0o644);
});

test('a block device that this user may open is a block layer', async () => {
  for (const name of readdirSync('/sys/block')) {
    const size = Number(readFileSync(`/sys/block/${name}/size`, 'utf8')) * 512;
    try {
      closeSync(openSync(`/dev/${name}`, 'r'));
    } catch {
      continue;
    }
    if (size === 0)
      await assert.rejects(inspectImage(`/dev/${name}`, 'raw'), image(/device without a medium/));
    else {
      const { layers } = await inspectImage(`/dev/${name}`, 'raw', { explicit: true });
      assert.deepEqual([layers[0].type, layers[0].size, layers[0].virtualSize], ['block', size, size]);
    }
  }
});

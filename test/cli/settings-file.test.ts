import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { type Option, pathArgument, sections } from '../../src/cli/options/option.ts';
import { options } from '../../src/cli/options.ts';
import { parseCommandLine } from '../../src/cli/parse.ts';
import { addSettingsFile, type CompleteSettings } from '../../src/cli/settings-file.ts';
import { applySettingsFile } from '../../src/cli/settings-keys.ts';
import { ImageError, UsageError } from '../../src/errors.ts';
import { defaultSettings } from '../../src/settings/defaults.ts';
import { type Settings, settingsSchema } from '../../src/settings/settings.ts';
import { temporaryDirectory } from '../guests.ts';
import { cases } from './cases.ts';

function apply(text: string, trusted = true): { settings: Settings; ignored: string[] } {
  const settings = defaultSettings();
  const ignored = applySettingsFile({ path: '/f', content: Buffer.from(text) }, settings, trusted);
  assert.deepEqual(settingsSchema.parse(settings), settings);
  return { settings, ignored };
}

function refused(text: string): string {
  try {
    apply(text);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.hint === undefined ? error.message : `${error.message} ${error.hint}`;
  }
  assert.fail(`${text} was accepted`);
}

/** A directory with trusted settings and one with images; `words` are run with the files that are written there. */
async function complete(
  files: { readonly [path: string]: string },
  words: readonly string[],
): Promise<CompleteSettings & { root: string }> {
  using scratch = temporaryDirectory();
  const root = scratch.path;
  mkdirSync(join(root, 'trusted'));
  mkdirSync(join(root, 'state', 'machines'), { recursive: true });
  for (const [path, text] of Object.entries(files)) writeFileSync(join(root, path), text);
  const inRoot = words.map((word) => word.replace('ROOT', root));
  const { settings } = parseCommandLine(inRoot, { cwd: root });
  return {
    ...(await addSettingsFile(inRoot, settings, {
      cwd: root,
      environment: { XDG_STATE_HOME: join(root, 'state') },
      directories: [join(root, 'trusted')],
    })),
    root,
  };
}

/** The values that words of the command line give to this option alone; null where they say something else too. */
function valuesOf(words: readonly string[], { name, argument }: Option): string[] | null {
  const values: string[] = [];
  for (let position = 0; position < words.length; position += 1) {
    const [whole, value] = new RegExp(`^--${name}(?:=(.*))?$`, 's').exec(words[position] ?? '') ?? [];
    if (whole === undefined) return null;
    if (value !== undefined) values.push(value);
    else if (argument === null) values.push('yes');
    else {
      position += 1;
      values.push(words[position] ?? '');
    }
  }
  return values;
}

/** The same said by a file, which a credential remembers. */
function inFile(settings: Partial<Settings>): Partial<Settings> {
  const { credentials, ...rest } = settings;
  if (credentials === undefined) return rest;
  return { ...rest, credentials: credentials.map((each) => ({ ...each, fromFile: true })) };
}

suite('keys', () => {
  for (const option of options.filter(({ key }) => key !== null)) {
    const { key, group } = option;
    const section = sections[group];
    test(`[${section}] ${key}= says what --${option.name} says`, () => {
      assert.ok(section !== null);
      let compared = 0;
      for (const row of cases[option.name] ?? []) {
        if (!('settings' in row) || row.settings.kernelCommandLine !== undefined) continue;
        const lines = valuesOf(row.words, option);
        // What a file cannot say in the same way.
        if (
          lines === null ||
          lines.some((line) => line !== line.trim() || line === 'list' || line === 'describe')
        )
          continue;
        const paths =
          JSON.stringify(row.settings).includes('/work/dir') ||
          (option.argument === pathArgument && lines.some((line) => /^[^/]/.test(line)));
        const text: string = `[${section}]\n${lines.map((line) => `${key}=${line}\n`).join('')}`;
        if (paths) assert.match(refused(text), /^\/f:\d+: [A-Za-z]+=.* is no absolute path\./);
        else assert.deepEqual(apply(text).settings, { ...defaultSettings(), ...inFile(row.settings) });
        compared += 1;
      }
      assert.ok(compared > 0);
    });
  }

  test('every group with keys has a section of its own', () => {
    const used = options.flatMap(({ key, group }) => (key === null ? [] : [sections[group]]));
    assert.ok(!used.includes(null));
    const names = Object.values(sections).filter((name) => name !== null);
    assert.deepEqual(names, [...new Set(names)]);
  });
});

suite('errors', () => {
  const wrong: { readonly [text: string]: string } = {
    '[Host]\n\nRma=1G': '/f:3: Rma= is no setting, the nearest known one is Ram=. See vmspawn.settings(5).',
    '[Host]\nqwertzuiop=1': '/f:2: qwertzuiop= is no setting. See vmspawn.settings(5).',
    '[Host]\nram=1G': '/f:2: ram= is no setting, the nearest known one is Ram=.',
    '[Image]\nRam=1G': '/f:2: Ram= belongs into the section [Host] and not into [Image].',
    '[Nowhere]\nRam=1G': '/f:2: Ram= belongs into the section [Host] and not into [Nowhere].',
    '[Host]\nRam=lots': '/f:2: Ram=lots has a size that is no number of bytes.',
    '[Image]\nImage=a.raw': '/f:2: Image=a.raw is no absolute path.',
    '[Firmware]\nFirmware=./a.json': '/f:2: Firmware=./a.json is no absolute path.',
    '[Firmware]\nFirmware=qqqq': '/f:2: Firmware=qqqq is none of auto, uefi, bios,',
    '[Firmware]\nFirmware=list': '/f:2: Firmware=list is for the command line only.',
    '[Firmware]\nFirmwareFeatures=list': '/f:2: FirmwareFeatures=list is for the command line only.',
    '[Console]\nQuiet=': '/f:2: Quiet= is neither yes nor no.',
    '[Manager]\nProperty=MemoryMax': '/f:2: Property=MemoryMax is no assignment.',
    '[Manager]\nProperty=IOWeight=1\nProperty=MemoryMaks=1G':
      '/f:3: Property=MemoryMaks=1G names no property of a scope, the nearest known one is MemoryMax',
    '[Identity]\nMachine=a': '/f:2: Machine= is no setting.',
    '[Other]\nNoPager=yes': '/f:2: NoPager= is no setting.',
  };
  for (const [text, message] of Object.entries(wrong)) {
    test(JSON.stringify(text), () => assert.ok(refused(text).startsWith(message), refused(text)));
  }
});

suite('a file beside an image', () => {
  test('has only what stays within the guest', () => {
    const text =
      '[Image]\nImage=/etc/shadow\nImage=/b\n[Host]\nCpus=2\nTpmState=/x\nTpmState=no\n' +
      '[Firmware]\nFirmware=/x.json\nFirmware=bios\n[Execution]\nQemuArg=-x\n[Manager]\nProperty=CPUWeight=1';
    const { settings, ignored } = apply(text, false);
    assert.deepEqual(settings, { ...defaultSettings(), cpus: 2, tpmState: 'off', firmware: 'bios' });
    assert.deepEqual(ignored, ['Image', 'TpmState', 'Firmware', 'QemuArg', 'Property']);
  });

  test('cannot name a path or start anything, whatever it says', () => {
    const known = options.filter(({ key }) => key !== null);
    const value = fc.oneof(
      fc.constantFrom(
        '/etc/passwd',
        'yes',
        'no',
        'auto',
        'gui',
        'native',
        'user',
        'system',
        'qcow2',
        '1',
        '2G',
      ),
      fc.stringMatching(/^[!-~]{0,12}$/),
    );
    const reach = ({ image, imageFormat, linux, initrd, efiNvramTemplate, ...more }: Settings): unknown => [
      [image, imageFormat, linux, initrd, efiNvramTemplate],
      [more.tpmState, more.efiNvramState, more.firmware].filter((state) => typeof state === 'object'),
      [more.network, more.vsock, more.console, more.qemuArguments, more.manager, more.slice, more.properties],
      [more.register, more.keepUnit, more.scope, more.askPassword, more.machine, more.kernelCommandLine],
      [more.extraDrives, more.growImage, more.ports],
    ];
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...known), value), { maxLength: 5 }), (lines) => {
        const text = lines.map(([{ key, group }, said]) => `[${sections[group]}]\n${key}=${said}\n`).join('');
        try {
          assert.deepEqual(reach(apply(text, false).settings), reach(defaultSettings()));
        } catch (error) {
          assert.ok(error instanceof UsageError, String(error));
        }
      }),
      { numRuns: 1000 },
    );
  });
});

suite('which file, and what wins', () => {
  const web = {
    'trusted/web.vmspawn': '[Host]\nCpus=2\nRam=1G\n[Execution]\nInitrd=/a\n[Image]\nImage=/web.raw',
  };

  test('the command line wins, and adds to lists after the file', async () => {
    const { settings, file, root } = await complete(web, ['-M', 'web', '--cpus=4', '--initrd=/b', 'rw']);
    assert.equal(file, join(root, 'trusted/web.vmspawn'));
    assert.deepEqual(
      [settings.cpus, settings.ram.size, settings.initrd, settings.image, settings.kernelCommandLine],
      [4, 1024 ** 3, ['/a', '/b'], '/web.raw', ['rw']],
    );
  });

  test('an empty value on the command line takes back what the file says', async () => {
    const { settings } = await complete(web, ['-M', 'web', '--initrd=', '--initrd=/b', '--image=']);
    assert.deepEqual([settings.initrd, settings.image], [['/b'], null]);
  });

  test('the file wins with --settings=override', async () => {
    const { settings } = await complete(web, ['-M', 'web', '--settings=override', '--cpus=4', '--initrd=/b']);
    assert.deepEqual([settings.cpus, settings.initrd], [2, ['/b', '/a']]);
  });

  test('no file is read with --settings=no', async () => {
    const { settings, file } = await complete({ 'trusted/web.vmspawn': 'nonsense' }, [
      '-M',
      'web',
      '--settings=no',
    ]);
    assert.deepEqual([settings.cpus, file], [1, null]);
  });

  const beside = { 'web.raw': '', 'web.vmspawn': '[Host]\nCpus=2\n[Network]\nNetworkUserMode=yes\n' };

  test('beside the image, only what cannot reach the host, with one warning', async () => {
    const { settings, file, notices, root } = await complete(beside, ['--image=web.raw']);
    assert.equal(file, join(root, 'web.vmspawn'));
    assert.deepEqual([settings.cpus, settings.network], [2, []]);
    assert.equal(notices.length, 1);
    assert.match(
      notices[0]?.text ?? '',
      /web\.vmspawn: NetworkUserMode= left out, because .*--settings=trusted\.$/,
    );
  });

  test('all of it with --settings=trusted', async () => {
    const { settings, notices } = await complete(beside, ['--image=web.raw', '--settings=trusted']);
    assert.deepEqual([settings.cpus, settings.network, notices], [2, ['user'], []]);
  });

  test('a trusted file goes before the one beside the image', async () => {
    const { settings } = await complete({ ...beside, 'trusted/web.vmspawn': '[Host]\nCpus=3' }, [
      '--image=web.raw',
    ]);
    assert.deepEqual([settings.cpus, settings.network], [3, []]);
  });

  test('it is the name of the machine that counts', async () => {
    const { file } = await complete(beside, ['--image=web.raw', '-M', 'other']);
    assert.equal(file, null);
    const named = await complete({ ...beside, 'other.vmspawn': '' }, ['--image=web.raw', '-M', 'other']);
    assert.equal(named.file, join(named.root, 'other.vmspawn'));
  });

  test('beside an image that is found by name', async () => {
    const files = { 'state/machines/web.raw': '', 'state/machines/web.vmspawn': '[Host]\nCpus=2' };
    const { settings } = await complete(files, ['-M', 'web', '--user']);
    assert.equal(settings.cpus, 2);
    await assert.rejects(complete({}, ['-M', 'web-that-is-nowhere', '--user']), ImageError);
  });

  test('a kernel alone has none, with a name a trusted one', async () => {
    assert.equal((await complete({ 'trusted/linux.vmspawn': '' }, ['--linux=linux'])).file, null);
    assert.equal((await complete({ 'web.vmspawn': '' }, ['--linux=linux', '-M', 'web'])).file, null);
    assert.ok((await complete(web, ['--linux=linux', '-M', 'web'])).file !== null);
  });
});

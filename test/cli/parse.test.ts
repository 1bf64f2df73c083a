import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { build } from 'esbuild';
import fc from 'fast-check';
import { packageRoot } from '../../src/assets.ts';
import { options } from '../../src/cli/options.ts';
import { parseCommandLine } from '../../src/cli/parse.ts';
import { UsageError } from '../../src/errors.ts';
import { defaultSettings, diskTypes, imageFormats, reaches } from '../../src/settings/defaults.ts';
import { type Settings, settingsSchema } from '../../src/settings/settings.ts';
import { type Case, cases, grammarCases } from './cases.ts';

const cwd = '/work/dir';

function check(expected: Case): void {
  if ('error' in expected) {
    const error = failure(expected.words);
    const whole = error.hint === undefined ? error.message : `${error.message} ${error.hint}`;
    assert.ok(whole.includes(expected.error), `expected ${expected.error}, got ${whole}`);
    isOneSentence(error.message);
  } else if ('action' in expected) {
    assert.equal(parseCommandLine(expected.words, { cwd }).action, expected.action);
  } else {
    const { settings, action } = parseCommandLine(expected.words, { cwd });
    assert.equal(action, 'run');
    assert.deepEqual(settings, { ...defaultSettings(), ...expected.settings });
    assert.deepEqual(settingsSchema.parse(settings), settings);
  }
}

function failure(words: readonly string[]): UsageError {
  try {
    parseCommandLine(words, { cwd });
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error;
  }
  assert.fail(`${words.join(' ')} was accepted`);
}

function isOneSentence(message: string): void {
  assert.match(message, /^(--[a-z]|Option -|Unknown option -)/);
  assert.match(message, /\.$/);
}

for (const [option, rows] of Object.entries(cases)) {
  suite(`--${option}`, () => {
    for (const row of rows) test(JSON.stringify(row.words), () => check(row));
  });
}

suite('grammar', () => {
  for (const row of grammarCases) test(JSON.stringify(row.words).slice(0, 100), () => check(row));
});

const optionName = fc.constantFrom(...options.map(({ name }) => name));
const hostileValue = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '',
    'auto',
    'yes',
    '-',
    '--',
    '=',
    '1G',
    '1:2:3',
    ':::',
    '1.5.5',
    '9'.repeat(40),
    '1min',
    '~a,~',
    '/',
  ),
);
const hostileWord = fc.oneof(
  hostileValue,
  optionName.map((name) => `--${name}`),
  fc.tuple(optionName, hostileValue).map(([name, value]) => `--${name}=${value}`),
  fc.tuple(optionName, fc.nat(20)).map(([name, length]) => `--${name.slice(0, length)}`),
  fc.string().map((text) => `-${text}`),
);

test('any words give settings that the schema takes as they are, or a UsageError of one sentence', () => {
  fc.assert(
    fc.property(fc.array(hostileWord, { maxLength: 8 }), (words) => {
      const before = [...words];
      try {
        const { settings } = parseCommandLine(words, { cwd });
        assert.deepEqual(settingsSchema.parse(settings), settings);
        assert.ok(settings.kernelCommandLine.length <= words.length);
      } catch (error) {
        assert.ok(error instanceof UsageError, String(error));
        isOneSentence(error.message);
        assert.ok(error.message.length < 400);
      }
      assert.deepEqual(words, before);
    }),
    { numRuns: 2000 },
  );
});

const path = fc
  .array(fc.stringMatching(/^[a-zA-Z0-9._ =-]{1,8}$/), { minLength: 1, maxLength: 3 })
  .map((parts) => {
    return `/${parts.filter((part) => part !== '.').join('/')}`;
  });
const statePath: fc.Arbitrary<Settings['tpmState']> = fc.oneof(
  fc.constantFrom('auto' as const, 'off' as const),
  path.map((text) => ({ path: text })),
);
/** With the characters that an option for two paths has to escape. */
const bindPath = fc
  .array(fc.stringMatching(/^[a-z:\\ ]{1,8}$/), { minLength: 1, maxLength: 3 })
  .map((parts) => `/${parts.join('/')}`);
const tristate = fc.constantFrom(true, false, 'auto' as const);
const mebibytes = fc.integer({ min: 1, max: 1024 ** 2 });
const feature = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/).filter((name) => name !== 'list');

const anyRecord: fc.Arbitrary<Settings> = fc.record(
  {
    image: fc.option(path),
    imageFormat: fc.constantFrom(null, ...imageFormats),
    machine: fc.option(fc.stringMatching(/^[a-z0-9]{1,20}(\.[a-z0-9]{1,20}){0,2}$/)),
    uuid: fc.option(fc.uuid()),
    settingsFile: fc.constantFrom('yes', 'no', 'override', 'trusted'),
    cpus: fc.integer({ min: 1, max: 4096 }),
    ram: fc.oneof(
      mebibytes.map((size) => ({ size: size * 1024 ** 2, max: null, slots: null })),
      fc.tuple(mebibytes, mebibytes, fc.integer({ min: 1, max: 256 })).map(([size, more, slots]) => ({
        size: size * 1024 ** 2,
        max: (size + more) * 1024 ** 2,
        slots,
      })),
    ),
    kvm: tristate,
    vsock: tristate,
    tpm: tristate,
    tpmState: statePath,
    efiNvramState: statePath,
    efiNvramTemplate: fc.option(path),
    secureBoot: tristate,
    firmware: fc.oneof(
      fc.constantFrom(
        'auto' as const,
        'uefi' as const,
        'bios' as const,
        'none' as const,
        'list' as const,
        'describe' as const,
      ),
      path.map((text) => ({ path: text })),
    ),
    firmwareFeatures: fc
      .tuple(fc.uniqueArray(feature), fc.uniqueArray(feature), fc.boolean())
      .map(([include, exclude, list]) => ({
        include,
        exclude: exclude.filter((name) => !include.includes(name)),
        list,
      })),
    linux: fc.option(path),
    initrd: fc.array(path),
    console: fc.constantFrom('interactive', 'read-only', 'native', 'gui', 'headless'),
    consoleKeep: fc.boolean(),
    consoleTransport: fc.constantFrom('virtio', 'serial'),
    consoleAllow: fc.subarray([...reaches]),
    background: fc.constantFrom('auto', null, '44', '48;2;1;2;3'),
    network: fc.shuffledSubarray(['user', 'tap'] as const).map((kinds) => [...kinds]),
    notifyReady: tristate,
    qemuArguments: fc.array(fc.string({ minLength: 1 }).filter((text) => !text.includes('\0'))),
    manager: fc.constantFrom('auto', 'system', 'user', 'none'),
    slice: fc.option(
      fc.stringMatching(/^[a-z]{1,8}(-[a-z0-9_.:]{1,8}){0,2}$/).map((name) => `${name}.slice`),
    ),
    properties: fc.array(
      fc.record(
        { name: fc.stringMatching(/^[A-Za-z]{1,9}$/), value: fc.stringMatching(/^[^\0]{0,9}$/) },
        { noNullPrototype: true },
      ),
    ),
    keepUnit: fc.boolean(),
    register: tristate,
    scope: fc.constantFrom('auto', 'varlink', 'dbus'),
    askPassword: fc.boolean(),
    detach: fc.boolean(),
    dryRun: fc.constantFrom(null, 'text', 'json'),
    json: fc.boolean(),
    shutdownTimeout: fc.option(fc.integer({ min: 0, max: 2 ** 31 - 1 })),
    quiet: fc.boolean(),
    pager: fc.boolean(),
    kernelCommandLine: fc.array(fc.string()),
    directory: fc.option(path),
    binds: fc.array(
      fc.record(
        { source: bindPath, target: bindPath.filter((text) => text !== '/'), readOnly: fc.boolean() },
        { noNullPrototype: true },
      ),
    ),
    privateUsers: fc.option(
      fc.record(
        { base: fc.integer({ min: 0, max: 2 ** 31 }), count: fc.integer({ min: 1, max: 2 ** 30 }) },
        { noNullPrototype: true },
      ),
    ),
    imageDiskType: fc.constantFrom(...diskTypes),
    extraDrives: fc.array(
      fc.record(
        { path, format: fc.constantFrom(null, ...imageFormats), type: fc.constantFrom(null, ...diskTypes) },
        { noNullPrototype: true },
      ),
    ),
    discardDisk: fc.boolean(),
    growImage: fc.option(fc.integer({ min: 1, max: 1024 ** 3 }).map((pages) => pages * 4096)),
    ephemeral: fc.boolean(),
    ports: fc.array(
      fc.record(
        {
          protocol: fc.constantFrom('tcp' as const, 'udp' as const),
          address: fc.ipV4(),
          host: fc.integer({ min: 1, max: 65535 }),
          guest: fc.integer({ min: 1, max: 65535 }),
        },
        { noNullPrototype: true },
      ),
    ),
    credentials: fc.uniqueArray(
      fc.record(
        {
          name: fc.stringMatching(/^[a-z][a-z.-]{0,9}$/),
          source: fc.oneof(
            fc.record(
              {
                kind: fc.constant('secret' as const),
                base64: fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString('base64')),
              },
              { noNullPrototype: true },
            ),
            fc.record({ kind: fc.constant('load' as const), path }, { noNullPrototype: true }),
          ),
          fromFile: fc.constant(false),
        },
        { noNullPrototype: true },
      ),
      { selector: ({ name }) => name },
    ),
    smbios11: fc.array(fc.stringMatching(/^[a-z=,;\u00e4\u{1f600}]{1,9}$/u)),
    passSshKey: fc.option(fc.boolean()),
    sshKeyType: fc.constantFrom('ed25519', 'ecdsa', 'rsa'),
    vsockCid: fc.option(fc.integer({ min: 3, max: 0xfffffffe })),
  },
  { noNullPrototype: true },
);

const anySettings = anyRecord.map((settings) => ({
  ...settings,
  consoleKeep: settings.consoleKeep && ['interactive', 'read-only'].includes(settings.console),
}));

/** Settings as words, each written with `=`. */
function render(settings: Settings): string[] {
  const words: string[] = [];
  const give = (name: string, value: string | number | boolean | null) => {
    if (value !== null) words.push(`--${name}=${value === true ? 'yes' : value === false ? 'no' : value}`);
  };
  const state = (value: Settings['tpmState']) => (typeof value === 'string' ? value : value.path);
  give('image', settings.image);
  give('image-format', settings.imageFormat);
  give('machine', settings.machine);
  give('uuid', settings.uuid);
  give('settings', settings.settingsFile);
  give('cpus', settings.cpus);
  const { size, max, slots } = settings.ram;
  give('ram', max === null ? size : `${size}:${max}:${slots}`);
  give('kvm', settings.kvm);
  give('vsock', settings.vsock);
  give('tpm', settings.tpm);
  give('tpm-state', state(settings.tpmState));
  give('efi-nvram-state', state(settings.efiNvramState));
  give('efi-nvram-template', settings.efiNvramTemplate);
  give('secure-boot', settings.secureBoot);
  give('firmware', typeof settings.firmware === 'string' ? settings.firmware : settings.firmware.path);
  const { include, exclude, list } = settings.firmwareFeatures;
  give('firmware-features', '');
  const both = [...include, ...exclude.map((name) => `~${name}`)];
  if (both.length > 0) give('firmware-features', both.join(','));
  if (list) give('firmware-features', 'list');
  give('linux', settings.linux);
  for (const file of settings.initrd) give('initrd', file);
  give('console-transport', settings.consoleTransport);
  words.push('--console-allow=');
  if (settings.consoleAllow.length > 0) words.push(`--console-allow=${settings.consoleAllow.join(',')}`);
  if (settings.background !== 'auto') words.push(`--background=${settings.background ?? ''}`);
  give('console', `${settings.console}${settings.consoleKeep ? ',keep' : ''}`);
  if (settings.detach) words.push('--detach');
  for (const kind of settings.network) words.push(kind === 'user' ? '--network-user-mode' : '--network-tap');
  give('image-disk-type', settings.imageDiskType);
  for (const { path, format, type } of settings.extraDrives) {
    give(
      'extra-drive',
      [...(type === null ? [] : [type]), ...(format === null ? [] : [format]), path].join(':'),
    );
  }
  give('discard-disk', settings.discardDisk);
  give('grow-image', settings.growImage);
  if (settings.ephemeral) words.push('--ephemeral');
  for (const { protocol, address, host, guest } of settings.ports) {
    give('port', `${address}:${host}:${guest}/${protocol}`);
  }
  give('notify-ready', settings.notifyReady);
  for (const word of settings.qemuArguments) give('qemu-arg', word);
  give('manager', settings.manager);
  give('slice', settings.slice);
  for (const { name, value } of settings.properties) give('property', `${name}=${value}`);
  if (settings.keepUnit) words.push('--keep-unit');
  give('register', settings.register);
  give('scope', settings.scope);
  if (!settings.askPassword) words.push('--no-ask-password');
  give('dry-run', settings.dryRun);
  if (settings.json) words.push('--json');
  give('shutdown-timeout', settings.shutdownTimeout === null ? 'infinity' : `${settings.shutdownTimeout}ms`);
  if (settings.quiet) words.push('--quiet');
  if (!settings.pager) words.push('--no-pager');
  give('directory', settings.directory);
  const escaped = (text: string) => text.replace(/[:\\]/g, '\\$&');
  for (const { source, target, readOnly } of settings.binds) {
    give(readOnly ? 'bind-ro' : 'bind', `${escaped(source)}:${escaped(target)}`);
  }
  if (settings.privateUsers !== null)
    give('private-users', `${settings.privateUsers.base}:${settings.privateUsers.count}`);
  for (const { name, source } of settings.credentials) {
    if (source.kind === 'load') give('load-credential', `${name}:${source.path}`);
    else {
      const bytes = [...Buffer.from(source.base64, 'base64')];
      const value = bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
      give('set-credential', `${name}:${value}`);
    }
  }
  for (const text of settings.smbios11) give('smbios11', text);
  give('pass-ssh-key', settings.passSshKey);
  give('ssh-key-type', settings.sshKeyType);
  give('vsock-cid', settings.vsockCid);
  return [...words, '--', ...settings.kernelCommandLine];
}

test('settings written as words and read again are the same', () => {
  fc.assert(
    fc.property(anySettings, (settings) => {
      assert.deepEqual(parseCommandLine(render(settings), { cwd }).settings, settings);
    }),
  );
});

test('the parser and what it loads do without the schema library, which would slow down every start', async () => {
  const { metafile } = await build({
    absWorkingDir: packageRoot(),
    entryPoints: ['src/cli/parse.ts'],
    bundle: true,
    platform: 'node',
    write: false,
    metafile: true,
    outdir: 'build',
  });
  const inputs = Object.keys(metafile.inputs);
  assert.ok(inputs.includes('src/cli/options.ts'));
  assert.deepEqual(
    inputs.filter((path) => !path.startsWith('src/')),
    [],
  );
  assert.ok(!inputs.includes('src/settings/settings.ts'));
});

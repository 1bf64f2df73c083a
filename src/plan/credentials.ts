import { HostError, UsageError } from '../errors.ts';
import type { HostFacts } from '../host/facts.ts';
import type { QemuConfiguration } from '../qemu/configuration.ts';
import type { Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';
import type { ChosenFirmware } from './firmware.ts';
import { commandLineLimit } from './kernel.ts';
import type { CredentialSource, PlannedCredential } from './plan.ts';

/** systemd takes no larger credential, and no more in sum (CREDENTIAL_SIZE_MAX, CREDENTIALS_TOTAL_SIZE_MAX). */
export const credentialLimit = 1024 ** 2;

/** Strings of one SMBIOS structure are counted in a byte. */
const stringLimit = 255;

/**
 * SMBIOS 2.1 tables end at 65535 bytes; the other structures are in there too. SMBIOS 3 has no such limit, but under OVMF a
 * guest with systemd-stub then hangs.
 */
export const smbiosLimit = 60_000;

/** Names in fw_cfg end at 55 characters (FW_CFG_MAX_FILE_PATH less the final NUL). */
const fwCfgNameLimit = 55;
const fwCfgDirectory = 'opt/io.systemd.credentials/';

type Kernel = QemuConfiguration['kernel'];
export interface CredentialWays {
  readonly kernel: Kernel;
  readonly smbios11Files: readonly string[];
  readonly fwCfg: QemuConfiguration['fwCfg'];
}

/**
 * Whether the guest's systemd sees SMBIOS type 11 strings: on x86 always, since QEMU's own firmware hands the tables on
 * in a direct boot too; on others only UEFI does so.
 */
export function hasSmbios(facts: HostFacts, firmware: ChosenFirmware): boolean {
  return facts.architecture === 'x86_64' || firmware.kind === 'uefi';
}

/** Whether text of ours gets to the guest's systemd on some way. */
export function canTellGuest(facts: HostFacts, firmware: ChosenFirmware): boolean {
  return hasSmbios(facts, firmware) || facts.kernel !== null;
}

/** The user's credentials, before ours: where a name is there twice, the user's counts. */
export function addUserCredentials(settings: Settings, facts: HostFacts, draft: Draft): void {
  for (const { name, source } of settings.credentials) {
    if (source.kind === 'secret') draft.credential({ name, source });
    else {
      const found = facts.loadedCredentials.find((loaded) => loaded.name === name);
      if (found === undefined) throw new Error(`The credential ${name} was not looked for`);
      draft.credential({ name, source: { kind: found.kind, path: found.path } });
    }
  }
}

/**
 * How everything that the guest is told travels: as SMBIOS type 11 strings, else through fw_cfg, else, in a direct boot,
 * on the kernel command line. What goes by the first two lies in anonymous files. Throws UsageError for what is too
 * much, HostError for what has no way.
 */
export function planCredentials(
  settings: Settings,
  facts: HostFacts,
  firmware: ChosenFirmware,
  kernel: Kernel,
  draft: Draft,
): CredentialWays {
  const credentials = draft.credentials.filter(
    ({ name }, index) => draft.credentials.findIndex((other) => other.name === name) === index,
  );
  checkSum(credentials, facts);
  if (!hasSmbios(facts, firmware)) return withoutSmbios(credentials, settings, facts, kernel, draft);

  const count = draft.smbios11.length + settings.smbios11.length + credentials.length;
  if (count > stringLimit) {
    throw new UsageError(
      `There are ${count} SMBIOS strings with credentials among them, and room for ${stringLimit}`,
      { hint: 'Give fewer --smbios11=, --set-credential= and --load-credential=.' },
    );
  }
  const strings = settings.smbios11.map((text, index) =>
    draft.procPath({
      kind: 'memory',
      what: `SMBIOS string ${index + 1}`,
      prefix: '',
      encoding: 'plain',
      source: { kind: 'secret', base64: Buffer.from(text).toString('base64') },
    }),
  );
  const size =
    settings.smbios11.reduce((sum, text) => sum + Buffer.byteLength(text), 0) +
    credentials.reduce(
      (sum, { name, source }) => sum + 64 + name.length + sizeOf(source, facts) * (4 / 3),
      0,
    );
  if (size > smbiosLimit) throw tooMuch(Math.ceil(size));
  return {
    kernel,
    smbios11Files: [
      ...strings,
      ...credentials.map(({ name, source }) =>
        draft.procPath({
          kind: 'memory',
          what: `Credential ${name}`,
          prefix: `io.systemd.credential.binary:${name}=`,
          encoding: 'base64',
          source,
        }),
      ),
    ],
    fwCfg: [],
  };
}

/** `size` in bytes, as it stands in SMBIOS tables. */
export function tooMuch(size: number): UsageError {
  return new UsageError(
    `Credentials and SMBIOS strings take ${size} bytes in the SMBIOS tables, which have room for ${smbiosLimit}`,
    {
      hint: 'Give less with --set-credential=, --load-credential= and --smbios11=; a credential takes four bytes for three.',
    },
  );
}

/** `sum` in bytes, of all credentials. */
export function tooMuchInSum(sum: number): UsageError {
  return new UsageError(`The credentials have ${sum} bytes in sum, systemd in the guest takes 1 MiB`, {
    hint: 'Give less with --set-credential= and --load-credential=.',
  });
}

function withoutSmbios(
  credentials: readonly PlannedCredential[],
  settings: Settings,
  facts: HostFacts,
  kernel: Kernel,
  draft: Draft,
): CredentialWays {
  if (settings.smbios11.length > 0) {
    throw new HostError('--smbios11= cannot be met: without UEFI firmware this machine has no SMBIOS', {
      hint: 'Use --firmware=uefi.',
    });
  }
  const fwCfg: { name: string; file: string }[] = [];
  let words = '';
  for (const { name, source } of credentials) {
    const key = fwCfgDirectory + name;
    if (key.length <= fwCfgNameLimit) {
      const what = `Credential ${name}`;
      const file = draft.procPath({ kind: 'memory', what, prefix: '', encoding: 'plain', source });
      fwCfg.push({ name: key, file });
      continue;
    }
    if (source.kind === 'text') {
      const word = ` systemd.set_credential_binary=${name}:${Buffer.from(source.text).toString('base64')}`;
      const length = Buffer.byteLength((kernel?.commandLine ?? '') + words + word);
      // Of ours, and the machine can do without.
      if (facts.kernel?.type !== 'uki' && kernel !== null && length < commandLineLimit) words += word;
      continue;
    }
    throw new HostError(
      `Credential ${name} cannot get to the guest: without UEFI firmware its name may have ` +
        `${fwCfgNameLimit - fwCfgDirectory.length} characters, and the kernel command line can be read by everybody`,
      { hint: 'Use --firmware=uefi.' },
    );
  }
  const commandLine = `${kernel?.commandLine ?? ''}${words}`.trim();
  return {
    kernel: kernel === null || words === '' ? kernel : { ...kernel, commandLine },
    smbios11Files: [],
    fwCfg,
  };
}

function checkSum(credentials: readonly PlannedCredential[], facts: HostFacts): void {
  const sum = credentials.reduce((sum, { source }) => sum + sizeOf(source, facts), 0);
  if (sum > credentialLimit) throw tooMuchInSum(sum);
}

/** Bytes, at most; what we make at the start is short. */
function sizeOf(source: CredentialSource, facts: HostFacts): number {
  switch (source.kind) {
    case 'text':
      return Buffer.byteLength(source.text);
    case 'secret':
      return Buffer.byteLength(source.base64, 'base64');
    case 'file':
      return facts.loadedCredentials.find(({ path }) => path === source.path)?.size ?? credentialLimit;
    case 'socket':
      // Counted when it is read (launch/credentials.ts).
      return 0;
    case 'joined':
      return source.parts.reduce((sum, part) => sum + sizeOf(part, facts), 0);
    case 'made':
      return 1024;
  }
}

import { sshKeyTypes } from '../../settings/defaults.ts';
import type { Settings } from '../../settings/settings.ts';
import { cUnescape } from '../c-unescape.ts';
import { absolutePath, type Place, parseBoolean, parseWord, refuse } from '../values.ts';
import { booleanArgument, type Option, setting } from './option.ts';

/** systemd takes no credential that is larger, and not more than this in sum (CREDENTIAL_SIZE_MAX). */
const credentialLimit = 1024 ** 2;

export const credentialOptions: readonly Option[] = [
  {
    name: 'set-credential',
    argument: { placeholder: 'ID:VALUE', words: [], files: false },
    repeatable: true,
    group: 'Credentials',
    since: '0.3',
    help: 'Pass a credential to the guest; repeatable',
    man: [
      "Gives the guest's systemd the credential _ID_ with the value _VALUE_, see systemd.system-credentials(7). The value may have C's escapes such as `\\n`, `\\x1b` and `\\u20ac`. Every user of the host can read vmspawn's own command line: a secret belongs into a file for `--load-credential=`, or into a settings file. An _ID_ can be given once. An empty value clears the list.",
      '    vmspawn --image=debian.raw --set-credential=firstboot.locale:C.UTF-8',
      'See CREDENTIALS for how they travel.',
    ],
    key: 'SetCredential',
    harmless: true,
    effect: setting((settings, value, place) => {
      if (value === '') return clear(settings, 'secret');
      const [name, text] = nameAndRest(value, place);
      const bytes = cUnescape(text);
      if (bytes === null) {
        throw refuse(
          place,
          name,
          'has a value with an escape that is none of C',
          'Write a backslash as \\\\.',
        );
      }
      if (bytes.length > credentialLimit) throw refuse(place, name, 'has a value of more than 1 MiB');
      add(settings, name, { kind: 'secret', base64: Buffer.from(bytes).toString('base64') }, place);
    }),
  },
  {
    name: 'load-credential',
    argument: { placeholder: 'ID:PATH', words: [], files: true },
    repeatable: true,
    group: 'Credentials',
    since: '0.3',
    help: 'Pass a credential from a file or socket; repeatable',
    man: [
      'As `--set-credential=`, with the value read from a file as the machine starts; see CREDENTIALS for how large it may be. If _PATH_ is an AF_UNIX stream socket, a connection is made and read to its end. Without a slash it is the name of a credential that vmspawn itself was given by its service manager (`$CREDENTIALS_DIRECTORY`), or of a file in `/etc/credstore`, `/run/credstore` or `/usr/lib/credstore`, the first of them that is there. An empty value clears the list.',
      '    vmspawn --image=debian.raw --load-credential=passwd.hashed-password.root:./root.hash',
    ],
    key: 'LoadCredential',
    effect: setting((settings, value, place) => {
      if (value === '') return clear(settings, 'load');
      const [name, path] = nameAndRest(value, place);
      const bare = !path.includes('/');
      if (bare && !isCredentialName(path)) {
        throw refuse(place, value, 'names neither a path nor a credential after the colon');
      }
      add(settings, name, { kind: 'load', path: bare ? path : absolutePath(path, place) }, place);
    }),
  },
  {
    name: 'smbios11',
    short: 's',
    argument: { placeholder: 'STRING', words: [], files: false },
    repeatable: true,
    group: 'Credentials',
    since: '0.3',
    help: 'Add an SMBIOS type 11 string; repeatable',
    man: [
      "Adds a vendor string to the machine's SMBIOS tables (type 11), which the guest sees in `/sys/firmware/dmi/entries/11-0`: see smbios-type-11(7) for what systemd reads there. It must be UTF-8 and cannot be empty, since an empty value clears the list.",
      '    vmspawn --image=debian.raw --smbios11=io.systemd.stub.kernel-cmdline-extra=quiet',
    ],
    key: 'Smbios11',
    harmless: true,
    effect: setting((settings, value, place) => {
      // The words of a command line are decoded already; what was no UTF-8 has become this character.
      if (value.includes('\ufffd') || /\p{Surrogate}/u.test(value))
        throw refuse(place, value, 'is not UTF-8');
      if (value.includes('\0')) throw refuse(place, value, 'holds a NUL character');
      settings.smbios11 = value === '' ? [] : [...settings.smbios11, value];
    }),
  },
  {
    name: 'pass-ssh-key',
    argument: booleanArgument,
    group: 'Credentials',
    since: '0.3',
    help: 'Make an SSH key that opens the guest',
    man: [
      "Whether a new SSH key pair is made for this run. The private key is kept in memory, and goes with vmspawn however that ends; it can be used by a link to it in the machine's runtime directory, which its owner alone can open. (It is a file there when vmspawn runs with capabilities of a user other than root, whose other processes cannot follow such a link.) The public one is passed as the credential `ssh.ephemeral-authorized_keys-all`, which systemd 256 and newer in the guest accepts for logins over AF_VSOCK. The `ssh` command for a login is shown at the start: through systemd-ssh-proxy(1) where ssh(1) is set up for it, else through socat(1), or Node.js for the vsock device of a daemon. Default: `yes` where the machine has a vsock device, of the kernel or of a daemon, else `no`.",
      'With an explicit `yes` the credential `ssh.authorized_keys.root` goes along, which lets root in by network too: the guest adds it to `/root/.ssh/authorized_keys`, by a line for systemd-tmpfiles(8) in the credential `tmpfiles.extra`, and it stays there. What `--set-credential=` or `--load-credential=` give under these names counts beside it. Where `--port=` leads to port 22 of the guest, the command for a login by network is shown as well:',
      '    vmspawn --image=debian.raw --network-user-mode --port=2222:22 --pass-ssh-key=yes',
    ],
    key: 'PassSshKey',
    harmless: true,
    effect: setting((settings, value, place) => {
      settings.passSshKey = parseBoolean(value, place);
    }),
  },
  {
    name: 'ssh-key-type',
    argument: { placeholder: 'TYPE', words: sshKeyTypes, files: false },
    group: 'Credentials',
    since: '0.3',
    help: 'Type of that key',
    man: [
      'The kind of key for `--pass-ssh-key=`: `ed25519`, the default, `ecdsa` (NIST P-256) or `rsa` (3072 bits, which takes up to a few seconds to make). An empty value goes back to the default.',
    ],
    key: 'SshKeyType',
    harmless: true,
    effect: setting((settings, value, place) => {
      settings.sshKeyType = value === '' ? 'ed25519' : parseWord(value, sshKeyTypes, place);
    }),
  },
];

type Source = Settings['credentials'][number]['source'];

function clear(settings: Settings, kind: Source['kind']): void {
  settings.credentials = settings.credentials.filter(({ source }) => source.kind !== kind);
}

function nameAndRest(value: string, place: Place): readonly [string, string] {
  const colon = value.indexOf(':');
  // Not the value itself in a message: it may be a secret.
  if (colon === -1) throw refuse(place, '', 'has no colon between ID and value', 'Write it as ID:VALUE.');
  const name = value.slice(0, colon);
  if (!isCredentialName(name)) {
    throw refuse(
      place,
      name,
      'has an ID that is no credential name',
      'It is a file name of printable ASCII characters without slash, colon and equals sign, 255 at most.',
    );
  }
  return [name, value.slice(colon + 1)];
}

/**
 * systemd's credential_name_valid(): a file name that is also fit for $LISTEN_FDNAMES. Not with an equals sign, though: the
 * guest takes what comes before the first one for the name (systemd.system-credentials(7), io.systemd.credential:).
 */
function isCredentialName(name: string): boolean {
  return /^[\x20-\x7e]{1,255}$/.test(name) && !/[/:=]/.test(name) && name !== '.' && name !== '..';
}

/** The same name twice is a mistake, except that the command line wins over a settings file (or the other way round). */
function add(settings: Settings, name: string, source: Source, place: Place): void {
  const fromFile = place.cwd === null;
  const same = settings.credentials.find((credential) => credential.name === name);
  if (same?.fromFile === fromFile) throw refuse(place, name, 'is given twice');
  const others = settings.credentials.filter((credential) => credential !== same);
  settings.credentials = [...others, { name, source, fromFile }];
}

import { generateKeyPair, type JsonWebKey, type KeyObject, randomBytes } from 'node:crypto';
import { closeSync, fchmodSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { FileError } from '../errors.ts';
import type { PlannedSshKey } from '../plan/plan.ts';
import type { SshKeyType } from '../settings/settings.ts';
import { createMemfd, sealMemfd } from '../sys/memfd.ts';

/** Bits of an RSA key, ssh-keygen's default too. */
const rsaBits = 3072;

const generate = promisify(generateKeyPair);

/** A key pair; disposal takes the private half away. */
export interface SshKey extends Disposable {
  /** A line for authorized_keys. */
  readonly publicKey: string;
}

/**
 * Makes a key pair, of which the private half can be read at `path`, with mode 0600, until it is disposed of or this process
 * ends, however it does: it lies in memory, and the path is a link to it. ssh(1) looks at what it has opened, so that this is as good
 * as a file. `comment` ends both halves. Throws FileError.
 */
export async function makeSshKey({ type, path }: PlannedSshKey, comment: string): Promise<SshKey> {
  const { privateKey, publicKey } = await sshKeyPair(type, comment);
  let fd: number | null = null;
  const close = (): void => {
    if (fd !== null) closeSync(fd);
    fd = null;
  };
  try {
    if (linksAreOpen()) {
      fd = createMemfd('vmspawn:ssh-key', Buffer.from(privateKey));
      fchmodSync(fd, 0o600);
      sealMemfd(fd);
      symlinkSync(`/proc/${process.pid}/fd/${fd}`, path);
    } else writeFileSync(path, privateKey, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    close();
    throw new FileError(`The SSH key ${path} cannot be written`, { cause: error });
  }
  return { publicKey, [Symbol.dispose]: close };
}

/**
 * Whether other processes of this user may open what our links in /proc lead to (ptrace(2), PTRACE_MODE_READ_FSCREDS): they
 * need all capabilities that we have. Root's have; those of a user who was given some for us alone, as by a service with
 * AmbientCapabilities=, have not, so that ssh(1) needs a file.
 */
function linksAreOpen(): boolean {
  if (process.geteuid?.() === 0) return true;
  return /^CapPrm:\s*0+$/m.test(readFileSync('/proc/self/status', 'latin1'));
}

/** A new pair in OpenSSH's own formats (PROTOCOL.key; RFC 4253, 5656, 8709 for the public half), each with a newline. */
export async function sshKeyPair(
  type: SshKeyType,
  comment: string,
): Promise<{ readonly privateKey: string; readonly publicKey: string }> {
  const { algorithm, publicFields, privateFields } = await keyFields(type);
  const publicBlob = Buffer.concat([text(algorithm), ...publicFields]);
  const check = randomBytes(4);
  const secret = Buffer.concat([check, check, text(algorithm), ...privateFields, text(comment)]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7]).subarray(0, (8 - (secret.length % 8)) % 8);
  const whole = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    text('none'),
    text('none'),
    text(''),
    Buffer.from([0, 0, 0, 1]),
    field(publicBlob),
    field(Buffer.concat([secret, padding])),
  ]);
  const lines = whole.toString('base64').match(/.{1,70}/g) ?? [];
  return {
    privateKey: `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`,
    publicKey: `${algorithm} ${publicBlob.toString('base64')} ${comment}\n`,
  };
}

interface KeyFields {
  readonly algorithm: string;
  readonly publicFields: readonly Buffer[];
  readonly privateFields: readonly Buffer[];
}

async function keyFields(type: SshKeyType): Promise<KeyFields> {
  switch (type) {
    case 'ed25519': {
      const member = await newKey('ed25519');
      const point = member('x');
      return {
        algorithm: 'ssh-ed25519',
        publicFields: [field(point)],
        privateFields: [field(point), field(Buffer.concat([member('d'), point]))],
      };
    }
    case 'ecdsa': {
      const member = await newKey('ec');
      const curve = text('nistp256');
      const point = field(Buffer.concat([Buffer.of(4), member('x'), member('y')]));
      return {
        algorithm: 'ecdsa-sha2-nistp256',
        publicFields: [curve, point],
        privateFields: [curve, point, integer(member('d'))],
      };
    }
    case 'rsa': {
      const member = await newKey('rsa');
      const [n, e, d, qi, p, q] = (['n', 'e', 'd', 'qi', 'p', 'q'] as const).map((name) =>
        integer(member(name)),
      ) as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer];
      return { algorithm: 'ssh-rsa', publicFields: [e, n], privateFields: [n, e, d, qi, p, q] };
    }
  }
}

/** Members of a new private key by their names in a JSON Web Key. */
async function newKey(type: 'ed25519' | 'ec' | 'rsa'): Promise<(name: keyof JsonWebKey) => Buffer> {
  let pair: { privateKey: KeyObject };
  if (type === 'ed25519') pair = await generate('ed25519');
  else if (type === 'ec') pair = await generate('ec', { namedCurve: 'P-256' });
  else pair = await generate('rsa', { modulusLength: rsaBits });
  const key = pair.privateKey.export({ format: 'jwk' });
  return (name) => Buffer.from(String(key[name]), 'base64url');
}

function field(content: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
}

function text(content: string): Buffer {
  return field(Buffer.from(content));
}

/** SSH's mpint of a positive number: no leading zeros, but one where the first bit would be a sign (RFC 4251 section 5). */
function integer(bytes: Buffer): Buffer {
  const start = bytes.findIndex((byte) => byte !== 0);
  const digits = bytes.subarray(start);
  return field((digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), digits]) : digits);
}

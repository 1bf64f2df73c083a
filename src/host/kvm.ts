import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { asset } from '../assets.ts';
import { codeOf } from '../sys/error-code.ts';
import type { FactCache } from './cache.ts';
import type { HostFacts } from './facts.ts';

export interface KvmProbeOptions {
  readonly cache?: FactCache;
  readonly device?: string;
  /** The device as a descriptor that was passed to us, which is used in place of opening it. */
  readonly passed?: number | null;
  /** Stands for /sys/module. */
  readonly modules?: string;
  /** The program that tries a guest: exit status 0, or a reason on standard error; 2 says that it will not change. */
  readonly program?: string;
}

/** Milliseconds until a trial that hangs in the kernel is given up; by itself it ends after five seconds at the latest. */
const PATIENCE = 7000;

/**
 * Whether KVM can run an unmodified guest here: the device is there and may be opened, the kernel's KVM has hardware
 * beneath it, and a test guest of a few instructions gets through. The last is cached for as long as the kernel runs; it
 * is left out where there is no compiled test program. Never throws.
 */
export async function probeKvm(options: KvmProbeOptions = {}): Promise<HostFacts['kvm']> {
  const {
    cache,
    device = '/dev/kvm',
    passed = null,
    modules = '/sys/module',
    program = asset('dist', 'vmspawn-child'),
  } = options;
  const unopened = deviceProblem(device);
  const reason =
    (passed === null ? unopened : null) ??
    moduleProblem(modules) ??
    (await guestProblem(device, passed, program, cache));
  if (reason !== null) return { usable: false, reason };
  if (passed === null) return { usable: true, device };
  return { usable: true, device, passed: { fd: passed, opens: unopened === null } };
}

function deviceProblem(device: string): string | null {
  try {
    closeSync(openSync(device, 'r+'));
    return null;
  } catch (error) {
    const code = codeOf(error) ?? String(error);
    if (code === 'ENOENT') return `${device} does not exist`;
    if (code === 'EACCES' || code === 'EPERM') return `no permission to open ${device} (join the group kvm)`;
    if (code === 'ENODEV' || code === 'ENXIO') return `${device} has no driver behind it`;
    return `${device} cannot be opened (${code})`;
  }
}

/** kvm_pvm runs guests that were changed for it, by software: QEMU starts there, and the guest spins or dies. */
function moduleProblem(modules: string): string | null {
  const loaded = (name: string) => existsSync(`${modules}/${name}`);
  if (!loaded('kvm_pvm') || loaded('kvm_intel') || loaded('kvm_amd')) return null;
  return "the kernel's KVM is kvm_pvm without kvm_intel or kvm_amd, which cannot run an unmodified guest";
}

async function guestProblem(
  device: string,
  passed: number | null,
  program: string,
  cache: FactCache | undefined,
): Promise<string | null> {
  const key = cacheKey(device);
  const known = key === null ? undefined : cache?.get(key);
  if (known === '') return null;
  const trial: Trial =
    typeof known === 'string' ? { reason: known, lasting: false } : await tryGuest(device, passed, program);
  if (trial.lasting && key !== null) cache?.set(key, trial.reason ?? '');
  return trial.reason === null ? null : `a test guest did not get through (${trial.reason})`;
}

interface Trial {
  /** Why the guest did not get through; null when it did, or when there is no program here that tries one. */
  readonly reason: string | null;
  /** It will be the same until the next boot: no failure of the moment, such as another hypervisor in the way. */
  readonly lasting: boolean;
}

/** The boot and the kernel, so that another kernel, a reboot into other settings, or a copied cache ask again. */
function cacheKey(device: string): string | null {
  try {
    const [boot, release] = ['/proc/sys/kernel/random/boot_id', '/proc/sys/kernel/osrelease'].map((file) =>
      readFileSync(file, 'utf8').trim(),
    );
    return `kvm-guest ${device} ${boot} ${release}`;
  } catch {
    return null;
  }
}

function tryGuest(device: string, passed: number | null, program: string): Promise<Trial> {
  const untried: Trial = { reason: null, lasting: false };
  if (!existsSync(program)) return Promise.resolve(untried);
  return new Promise((resolve) => {
    const child = spawn(program, ['kvm-probe', passed === null ? device : '3'], {
      env: {},
      stdio: ['ignore', 'ignore', 'pipe', passed ?? 'ignore'],
    });
    // A process that hangs in the kernel cannot be killed and would never be over.
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      child.unref();
      child.stderr?.destroy();
      resolve({ reason: 'it hangs in the kernel', lasting: false });
    }, PATIENCE);
    let text = '';
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(0, 1000);
    });
    // Not started at all: built for another machine or libc.
    child.on('error', () => {
      clearTimeout(timer);
      resolve(untried);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const words = text.trim().split('\n')[0]?.slice(0, 200) || `it was killed by ${signal ?? 'a fault'}`;
      resolve({ reason: code === 0 ? null : words, lasting: code === 0 || code === 2 });
    });
  });
}

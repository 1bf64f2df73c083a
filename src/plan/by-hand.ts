import { dirname, join } from 'node:path';
import { swtpmSetupWords, unfinishedState } from '../auxiliary/swtpm-setup.ts';
import { printable } from '../errors.ts';
import { renderArguments } from '../qemu/arguments.ts';
import type { Chardev, Netdev, QemuConfiguration } from '../qemu/configuration.ts';
import { quoteWord, renderShell } from '../qemu/shell.ts';
import type { CredentialSource, Plan, PlannedAuxiliary, PlannedDescriptor } from './plan.ts';

/**
 * A plan as a script for bash(1) that starts the same machine without this program: directories and state first, then the
 * daemons, then QEMU in the foreground, with files opened by redirection under the numbers of the plan and QMP on a
 * socket path. The console is the terminal, shared with QEMU's monitor (Ctrl-a c), since nobody forwards it.
 */
export function renderScript(plan: Plan): string {
  const qmpSocket = join(plan.runtimeDirectory, 'qmp.sock');
  const sections = [
    header(plan, qmpSocket),
    directories(plan),
    state(plan),
    ...plan.auxiliaries.map(daemon),
    files(plan),
    `${renderShell([plan.qemu.binary, ...renderArguments(configurationByHand(plan, qmpSocket))])}\n`,
  ];
  return sections.filter((section) => section !== '').join('\n');
}

function header(plan: Plan, qmpSocket: string): string {
  const lines = [
    '#!/bin/bash',
    `# Starts the machine ${plan.machine} by hand, as vmspawn would.`,
    '# Not in here: locks, the shutdown ladder, sandboxed daemons, clean-up after a crash.',
    `# Power it off:  printf '%s\\n' '{"execute":"qmp_capabilities"}' '{"execute":"system_powerdown"}' |`,
    `#                    socat - UNIX-CONNECT:${qmpSocket}`,
    ...plan.notices.map((notice) => `# ${notice.level}: ${printable(notice.text)}`),
    'set -eu',
    '',
  ];
  return lines.join('\n');
}

function directories(plan: Plan): string {
  const directory = quoteWord(plan.runtimeDirectory);
  const copy = plan.treeCopy;
  const removal = copy === null ? [] : [copy.remove.map(quoteWord).join(' ')];
  const copying =
    copy === null ? [] : [`mkdir -m 700 ${quoteWord(copy.container)}`, copy.copy.map(quoteWord).join(' ')];
  const lines = [
    `mkdir -p ${quoteWord(dirname(plan.runtimeDirectory))}`,
    '# Fails when the machine is running, or was killed and left it behind.',
    `mkdir -m 700 ${directory}`,
    `trap ${quoteWord([`rm -rf ${directory}`, ...removal].join('; '))} EXIT`,
    ...copying,
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function state({ nvram, tpmState, growth }: Plan): string {
  const lines: string[] = [];
  if (growth !== null) lines.push(`truncate --size='>${growth.size}' ${quoteWord(growth.path)}`);
  if (nvram !== null) {
    const [path, template] = [quoteWord(nvram.path), quoteWord(nvram.template)];
    lines.push(`[ -e ${path} ] || install -m 600 ${template} ${path}`);
  }
  if (tpmState !== null) {
    const { directory, setup } = tpmState;
    const unfinished = unfinishedState(directory);
    if (setup === null) lines.push(`mkdir -p -m 700 ${quoteWord(directory)}`);
    else {
      lines.push(
        `if [ ! -d ${quoteWord(directory)} ]; then`,
        `    mkdir -p -m 700 ${quoteWord(unfinished)}`,
        `    ${swtpmSetupWords(setup, unfinished).map(quoteWord).join(' ')}`,
        `    mv -T ${quoteWord(unfinished)} ${quoteWord(directory)}`,
        'fi',
      );
    }
  }
  return lines.map((line) => `${line}\n`).join('');
}

function daemon(auxiliary: PlannedAuxiliary): string {
  const { binary, workingDirectory, socket } = auxiliary;
  const words = auxiliary.arguments.map((word) =>
    word
      // virtiofsd calls it by a longer name than swtpm.
      .replace('--fd={socket}', `--socket-path=${socket.path}`)
      .replace('fd={socket}', `path=${socket.path}`),
  );
  const path = quoteWord(socket.path);
  return [
    `# ${printable(auxiliary.description)}`,
    `(cd ${quoteWord(workingDirectory)} && exec ${renderShell([binary, ...words])}) &`,
    `until [ -S ${path} ]; do kill -0 $! ; sleep 0.05; done`,
    '',
  ].join('\n');
}

function files(plan: Plan): string {
  const lines = plan.descriptors.flatMap((descriptor) => redirection(descriptor, plan.runtimeDirectory));
  return lines.map((line) => `${line}\n`).join('');
}

function redirection(descriptor: PlannedDescriptor, runtimeDirectory: string): readonly string[] {
  const { target } = descriptor;
  switch (descriptor.kind) {
    case 'file':
      return [`exec ${target}${descriptor.access === 'read' ? '<' : '<>'}${quoteWord(descriptor.path)}`];
    case 'vsock':
      return [`exec ${target}<>${quoteWord(descriptor.path)}`];
    case 'copy': {
      const copy = quoteWord(join(runtimeDirectory, `copy-${target}`));
      return [`install -m 600 ${quoteWord(descriptor.path)} ${copy}`, `exec ${target}<>${copy}`];
    }
    case 'concatenation': {
      const merged = quoteWord(join(runtimeDirectory, `initrd-${target}`));
      return [
        `for part in ${descriptor.paths.map(quoteWord).join(' ')}; do`,
        '  cat "$part"; head -c $(( (4 - $(stat -c %s "$part") % 4) % 4 )) /dev/zero',
        `done >${merged}`,
        `exec ${target}<${merged}`,
      ];
    }
    case 'memory':
      return memory(descriptor, runtimeDirectory);
    case 'overlay': {
      const directory = quoteWord(descriptor.directories.at(-1) ?? '/var/tmp');
      return [
        `overlay=$(mktemp ${directory}/vmspawn-XXXXXX)`,
        `qemu-img create -q -f qcow2 "$overlay" ${descriptor.size}`,
        `exec ${target}<>"$overlay"`,
        'rm "$overlay"',
      ];
    }
    case 'tap':
    case 'socketpair':
    case 'pipe':
    case 'inherit':
      // What is on it is another one here (configurationByHand); the terminal is there anyway.
      return [];
  }
}

/** Files for a moment only, in a directory that nobody else can enter; what is secret is asked for by a variable. */
function memory(descriptor: PlannedDescriptor & { kind: 'memory' }, runtimeDirectory: string): string[] {
  const { target, what, prefix, encoding, source } = descriptor;
  const file = quoteWord(join(runtimeDirectory, `memory-${target}`));
  // Of the run itself, with nobody here to make it; the argument is left out too (configurationByHand).
  if (source.kind === 'made') return [];
  const variable = `SECRET_${target}`;
  const encode = encoding === 'base64' ? ' | base64 -w0' : '';
  const before = prefix === '' ? '' : `printf %s ${quoteWord(prefix)}; `;
  return [
    `# ${printable(what)}`,
    ...(isSecret(source) ? [`: "\${${variable}:?Set it to the value, which is left out here}"`] : []),
    `{ ${before}${writeValue(source, variable)}${encode}; } >${file}`,
    `exec ${target}<${file}`,
    `rm ${file}`,
  ];
}

function isSecret(source: CredentialSource): boolean {
  return source.kind === 'secret' || (source.kind === 'joined' && source.parts.some(isSecret));
}

/** A command that writes the value. */
function writeValue(source: CredentialSource, variable: string): string {
  switch (source.kind) {
    case 'text':
      return `printf %s ${quoteWord(source.text)}`;
    case 'secret':
      return `printf %s "$${variable}"`;
    case 'file':
      return `cat -- ${quoteWord(source.path)}`;
    case 'socket':
      return `socat -u UNIX-CONNECT:${quoteWord(source.path)} -`;
    case 'joined':
      return `{ ${source.parts.map((part) => `${writeValue(part, variable)}; `).join('')}}`;
    case 'made':
      // There is none before the run.
      return ':';
  }
}

/** The same machine with what only a supervisor can have exchanged for what a shell can give. */
function configurationByHand(plan: Plan, qmpSocket: string): QemuConfiguration {
  const { configuration } = plan.qemu;
  const purposes = new Map(
    plan.descriptors.flatMap((descriptor) =>
      descriptor.kind === 'socketpair' ? [[descriptor.target, descriptor.purpose] as const] : [],
    ),
  );
  let terminal: string | null = null;
  const chardevs = configuration.chardevs.map((chardev): Chardev => {
    const purpose = 'fd' in chardev ? purposes.get(chardev.fd) : undefined;
    if (purpose === 'qmp') return { id: chardev.id, backend: 'socket', path: qmpSocket, server: true };
    // Nobody listens.
    if (purpose === 'notify' || purpose === 'window-size') return { id: chardev.id, backend: 'null' };
    if (chardev.backend !== 'stdio' || plan.console.transport !== 'pipes') return chardev;
    if (plan.console.mode === 'headless') return { id: chardev.id, backend: 'null' };
    terminal = chardev.id;
    return { ...chardev, mux: true };
  });
  const taps = new Map(
    plan.descriptors.flatMap((descriptor) =>
      descriptor.kind === 'tap' ? [[String(descriptor.target), descriptor.interface] as const] : [],
    ),
  );
  const netdevs = configuration.netdevs.map((netdev): Netdev => {
    const ifname = netdev.type === 'tap' ? taps.get(String(netdev['fd'])) : undefined;
    if (ifname === undefined) return netdev;
    const { fd: _ours, ...rest } = netdev;
    return { ...rest, type: 'tap', id: netdev.id, ifname, script: 'no', downscript: 'no' };
  });
  const made = plan.descriptors.flatMap((descriptor) =>
    descriptor.kind === 'memory' && descriptor.source.kind === 'made'
      ? [`/proc/self/fd/${descriptor.target}`]
      : [],
  );
  return {
    ...configuration,
    netdevs,
    smbios11Files: configuration.smbios11Files.filter((path) => !made.includes(path)),
    fwCfg: configuration.fwCfg.filter(({ file }) => !made.includes(file)),
    chardevs,
    monitors:
      terminal === null
        ? configuration.monitors
        : [...configuration.monitors, { chardev: terminal, mode: 'readline' }],
    // Nobody waits for it to be asked anything.
    panicAction: null,
    paused: false,
  };
}

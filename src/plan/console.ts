import { HostError } from '../errors.ts';
import type { HostFacts } from '../host/facts.ts';
import type { Settings } from '../settings/settings.ts';
import type { Draft } from './draft.ts';
import type { PciLayout } from './pci.ts';
import type { Plan } from './plan.ts';
import { serialBus } from './serial-bus.ts';

/**
 * The guest's console: a virtio console or a serial port on QEMU's standard input and output. These are two pipes of ours,
 * or the terminal itself, which it shares with QEMU's monitor then (native). gui has a window in place of it; nobody may be
 * there to see it at first (headless).
 */
export function planConsole(
  { console: mode, consoleTransport }: Settings,
  facts: HostFacts,
  draft: Draft,
  pci: PciLayout,
): Plan['console'] {
  if (mode === 'gui') {
    if (!facts.terminal.graphical) {
      throw new HostError(
        '--console=gui needs a graphical session, and neither DISPLAY nor WAYLAND_DISPLAY is set',
        {
          hint: 'Start it from a desktop, or use another console.',
        },
      );
    }
    const keyboard = pci.integrated();
    draft.devices.push(
      { driver: 'virtio-vga', id: 'video0', ...pci.integrated() },
      { driver: 'qemu-xhci', id: 'usb0', ...keyboard },
      { driver: 'usb-kbd', id: 'keyboard0', bus: 'usb0.0' },
      { driver: 'usb-tablet', id: 'pointer0', bus: 'usb0.0' },
    );
    return { mode, transport: 'none', terminal: null };
  }

  if (mode === 'native') {
    draft.descriptorAt(0, { kind: 'inherit', source: 0 });
    draft.descriptorAt(1, { kind: 'inherit', source: 1 });
    draft.monitors.push({ chardev: 'console', mode: 'readline' });
  } else {
    // A socket would hold a few hundred pieces of a flood, since each small write counts for 700 bytes in it; in a pipe they
    // become one. Other backends than this one take no pipes for both directions before QEMU 8.0.
    draft.descriptorAt(0, { kind: 'pipe', purpose: 'console-input' });
    draft.descriptorAt(1, { kind: 'pipe', purpose: 'console-output' });
  }
  // Ctrl-C is a byte for the guest, not a signal that ends QEMU.
  draft.chardevs.push({ id: 'console', backend: 'stdio', signal: false, mux: mode === 'native' });
  if (consoleTransport === 'serial') draft.serials.push('console');
  else {
    draft.devices.push(serialBus(pci), {
      driver: 'virtconsole',
      id: 'console0',
      bus: 'serial0.0',
      chardev: 'console',
    });
  }
  return {
    mode,
    transport: mode === 'native' ? 'terminal' : 'pipes',
    terminal: terminalName(consoleTransport, facts),
  };
}

/** What the guest's kernel calls it. */
function terminalName(transport: Settings['consoleTransport'], { architecture }: HostFacts): string {
  if (transport === 'virtio') return 'hvc0';
  return architecture === 'x86_64' ? 'ttyS0' : 'ttyAMA0';
}

/** Kernel command line words that make the guest use that console, with the type of the terminal that shows it. */
export function consoleWords(settings: Settings, facts: HostFacts): readonly string[] {
  if (settings.console === 'gui') return [];
  const name = terminalName(settings.consoleTransport, facts);
  const term = settings.console === 'headless' ? null : facts.terminal.term;
  return [...(term === null ? [] : [`TERM=${term}`, `systemd.tty.term.${name}=${term}`]), `console=${name}`];
}

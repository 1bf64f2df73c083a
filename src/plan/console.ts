import { HostError } from '../errors.ts';
import type { HostFacts } from '../host/facts.ts';
import type { ConsoleMode } from '../settings/settings.ts';
import type { Draft } from './draft.ts';
import type { PciLayout } from './pci.ts';
import type { Plan } from './plan.ts';

/**
 * The guest's console: a virtio console (hvc0) on one end of a socket pair, on the terminal itself together with QEMU's
 * monitor (native), or none (gui has a window, headless nothing).
 */
export function planConsole(
  mode: ConsoleMode,
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
    return { mode, transport: 'none' };
  }
  if (mode === 'headless') return { mode, transport: 'none' };

  if (mode === 'native') {
    draft.descriptorAt(0, { kind: 'inherit', source: 0 });
    draft.descriptorAt(1, { kind: 'inherit', source: 1 });
    // Ctrl-C is a byte for the guest, not a signal that ends QEMU.
    draft.chardevs.push({ id: 'console', backend: 'stdio', signal: false, mux: true });
    draft.monitors.push({ chardev: 'console', mode: 'readline' });
  } else {
    const fd = draft.descriptor({ kind: 'socketpair', purpose: 'console' });
    draft.chardevs.push({ id: 'console', backend: 'socket', fd });
  }
  draft.devices.push(
    { driver: 'virtio-serial-pci', id: 'serial0', ...pci.integrated() },
    { driver: 'virtconsole', id: 'console0', bus: 'serial0.0', chardev: 'console' },
  );
  return { mode, transport: mode === 'native' ? 'terminal' : 'socketpair' };
}

/** Kernel command line words that make the guest use that console, with our terminal's type. */
export function consoleWords(mode: ConsoleMode, facts: HostFacts): readonly string[] {
  if (mode === 'gui' || mode === 'headless') return [];
  const term = facts.terminal.term;
  return [...(term === null ? [] : [`TERM=${term}`, `systemd.tty.term.hvc0=${term}`]), 'console=hvc0'];
}

import type { Draft } from './draft.ts';

/** The virtio-serial port on which the guest hears how large the console's window is, a line `ROWS COLUMNS` for each change. */
export const windowSizePort = 'org.vmspawn.window-size';

const unit = 'vmspawn-window-size.service';

/**
 * A unit for the guest's systemd from 256 on (systemd.extra-unit.*). Its kernel cannot be told otherwise: QEMU (7.2 to 11)
 * passes no window size to a virtio console, and a serial port never had one. Setting it makes the kernel send SIGWINCH to
 * what runs in the foreground there. The port is looked for by the kernel's name, since udev may not have made its link yet;
 * the driver's module may come later still. The terminal stays open, because its size is forgotten at the last close, and
 * agetty(8) then says 24 by 80; in a subshell, which leads no session and so does not become the terminal's.
 */
function unitText(terminal: string): string {
  return `[Unit]
Description=Follow the size of the window that shows the console

[Service]
ExecStart=/bin/sh -c 'i=0; while [ $$i -lt 30 ]; do for port in /sys/class/virtio-ports/*; do \
if [ "$$(cat $$port/name 2>/dev/null)" = ${windowSizePort} ]; then (exec 3<>/dev/${terminal}; \
while read -r rows columns; do stty -F /dev/${terminal} rows "$$rows" columns "$$columns"; done </dev/$$(basename $$port)); \
exit 0; fi; done; sleep 1; i=$$((i+1)); done'
`;
}

/** The port, and the unit that listens on it: for a console whose window we know, in a guest that can be told of it. */
export function planWindowSize(terminal: string, draft: Draft): void {
  const fd = draft.descriptor({ kind: 'socketpair', purpose: 'window-size' });
  draft.chardevs.push({ id: 'window-size', backend: 'socket', fd });
  draft.devices.push({
    driver: 'virtserialport',
    id: 'window-size0',
    bus: 'serial0.0',
    chardev: 'window-size',
    name: windowSizePort,
  });
  draft.credential({
    name: `systemd.extra-unit.${unit}`,
    source: { kind: 'text', text: unitText(terminal) },
  });
  draft.addToCredential('systemd.unit-dropin.getty.target', {
    kind: 'text',
    text: `[Unit]\nWants=${unit}\n`,
  });
}

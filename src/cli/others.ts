/**
 * Options of systemd-vmspawn(1) that this program does not have: who moves over is told so, instead of being taken for
 * somebody who cannot spell. The short forms of some of them are the keys' values.
 */
export const systemdOptions: ReadonlyMap<string, string | null> = new Map([
  ['vsock-cid', null],
  ['coco', null],
  ['smbios11', 's'],
  ['bind-volume', null],
  ['bind-user', null],
  ['bind-user-shell', null],
  ['bind-user-group', null],
  ['forward-journal', null],
  ['forward-journal-max-use', null],
  ['forward-journal-keep-free', null],
  ['forward-journal-max-file-size', null],
  ['forward-journal-max-files', null],
  ['pass-ssh-key', null],
  ['ssh-key-type', null],
  ['console-transport', null],
  ['background', null],
  ['set-credential', null],
  ['load-credential', null],
]);

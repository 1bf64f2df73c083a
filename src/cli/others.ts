/**
 * Options of systemd-vmspawn(1) that this program does not have: who moves over is told so, instead of being taken for
 * somebody who cannot spell. The short forms of some of them are the keys' values.
 */
export const systemdOptions: ReadonlyMap<string, string | null> = new Map([
  ['coco', null],
  ['bind-volume', null],
  ['bind-user', null],
  ['bind-user-shell', null],
  ['bind-user-group', null],
  ['forward-journal', null],
  ['forward-journal-max-use', null],
  ['forward-journal-keep-free', null],
  ['forward-journal-max-file-size', null],
  ['forward-journal-max-files', null],
]);

/** A file system that the guest mounts by itself (fstab(5)). */
export interface GuestMount {
  readonly what: string;
  /** Absolute path in the guest. */
  readonly where: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** Lines of fstab(5), for the credential `fstab.extra` of systemd.system-credentials(7). Pure. */
export function renderFstab(mounts: readonly GuestMount[]): string {
  return mounts
    .map(
      ({ what, where, type, options }) =>
        `${escaped(what)} ${escaped(where)} ${type} ${options.join(',')} 0 0\n`,
    )
    .join('');
}

/** Blanks, backslashes and what begins a comment, as octal numbers. */
function escaped(field: string): string {
  return field.replace(
    /[ \t\n\\#]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
}

/**
 * The words that manufacture TPM state in `directory` (swtpm_setup(8)): endorsement keys, and SHA-256 as the only bank of
 * PCRs, since firmware measures everything into every bank that is active.
 */
export function swtpmSetupWords(setup: string, directory: string): string[] {
  return [
    setup,
    '--tpm2',
    '--tpm-state',
    directory,
    '--pcr-banks',
    'sha256',
    '--ecc',
    '--createek',
    '--not-overwrite',
  ];
}

/** Where state is made before it gets its name; nobody else uses such a name. */
export function unfinishedState(directory: string): string {
  return `${directory}.vmspawn-unfinished`;
}

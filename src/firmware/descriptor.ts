/** One firmware descriptor, parsed: docs/interop/firmware.json of QEMU. Unknown keys of the file are left out. */
export interface FirmwareDescriptor {
  /** Absolute path of the JSON file. */
  readonly path: string;
  readonly description: string;
  readonly interfaceTypes: readonly string[];
  readonly mapping: FirmwareMapping;
  readonly targets: readonly { readonly architecture: string; readonly machines: readonly string[] }[];
  readonly features: readonly string[];
  readonly tags: readonly string[];
}

export interface FlashFile {
  readonly filename: string;
  readonly format: 'raw' | 'qcow2';
}

export type FirmwareMapping =
  | {
      readonly device: 'flash';
      readonly mode: 'split';
      readonly executable: FlashFile;
      readonly nvramTemplate: FlashFile;
    }
  | { readonly device: 'flash'; readonly mode: 'stateless' | 'combined'; readonly executable: FlashFile }
  | { readonly device: 'memory'; readonly filename: string }
  /** `kernel` and whatever else a later QEMU may define: listed, never chosen. */
  | { readonly device: 'other'; readonly name: string };

/** A descriptor file that could not be used, with the reason; the search goes on without it. */
export interface FirmwareProblem {
  readonly path: string;
  readonly reason: string;
}

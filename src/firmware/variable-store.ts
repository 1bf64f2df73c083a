/** How a flash chip with UEFI variables is laid out, which is fixed when the firmware is built. */
export interface VariableStore {
  /** GUID of the file system, as hexadecimal digits in the order of the bytes. */
  readonly fileSystem: string;
  /** Bytes of the firmware volume. */
  readonly volume: number;
  /** GUID of the store: variables with or without time-based authentication. */
  readonly kind: string;
  /** Bytes of the store. */
  readonly size: number;
}

/** As much of the file as parseVariableStore wants to see. */
export const variableStoreBytes = 4096;

const signature = { at: 40, bytes: '_FVH' };
const [guidBytes, storeBytes] = [16, 28];

/**
 * Reads the layout from the first bytes of a flash file; null where there is no firmware volume, as in a template that the
 * firmware fills by itself. Pure.
 * Source: UEFI Platform Initialization, volume 3 (EFI_FIRMWARE_VOLUME_HEADER); VariableFormat.h of edk2.
 */
export function parseVariableStore(start: Buffer): VariableStore | null {
  if (start.length < 56 || start.toString('latin1', signature.at, signature.at + 4) !== signature.bytes) {
    return null;
  }
  const store = start.readUInt16LE(48);
  if (store + storeBytes > start.length) return null;
  return {
    fileSystem: start.toString('hex', 16, 16 + guidBytes),
    volume: Number(start.readBigUInt64LE(32)),
    kind: start.toString('hex', store, store + guidBytes),
    size: start.readUInt32LE(store + guidBytes),
  };
}

/** Whether two layouts are the same one. */
export function sameLayout(a: VariableStore, b: VariableStore): boolean {
  return a.fileSystem === b.fileSystem && a.volume === b.volume && a.kind === b.kind && a.size === b.size;
}

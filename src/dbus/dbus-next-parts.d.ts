/**
 * What we use of the package dbus-next: its codec, without the connection (no deadlines, no bounds, an address only) and
 * without the proxies (XML). The package exports none of it by name; scripts/build.mjs makes this module of its source.
 */
declare module 'dbus-next/parts' {
  export interface SignatureNode {
    readonly type: string;
    readonly child: readonly SignatureNode[];
  }
  /** Throws Error for a type that is unknown or incomplete. */
  export function parseSignature(signature: string): SignatureNode[];
  /** Variants are `[signature, value]`, dictionaries arrays of `[key, value]`. Little-endian. Throws Error. */
  export function marshallBody(signature: string, body: readonly unknown[], offset?: number): Buffer;
  /** Does not look where a buffer ends when it reads bytes, strings and arrays. */
  export class DBusBuffer {
    constructor(buffer: Buffer, startPos: number, endian: number);
    readonly buffer: Buffer;
    readonly endian: number;
    pos: number;
    align(power: number): void;
    read(signature: string): unknown[];
    readTree(tree: SignatureNode): unknown;
    readArray(element: SignatureNode, bytes: number): unknown;
    readString(bytes: number): string;
    readSimpleType(type: string): unknown;
    readVariant(): unknown;
  }
}

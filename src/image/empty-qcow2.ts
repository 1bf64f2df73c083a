const clusterBits = 16;
const clusterSize = 2 ** clusterBits;
const headerBytes = 104;
const refcountOrder = 4;
/** One entry of the first level table stands for a cluster of second level entries. */
const bytesPerL1Entry = clusterSize * (clusterSize / 8);
/** Clusters by what is in them; the first one holds the header. */
const [refcountTable, refcountBlock, l1Table] = [1, 2, 3];

/** What an empty file gets written into to become a qcow2 image, and how long it is then. */
export interface EmptyQcow2 {
  readonly writes: readonly { readonly offset: number; readonly bytes: Buffer }[];
  readonly length: number;
}

/**
 * A qcow2 image (version 3) of `size` bytes, a multiple of 512, in which nothing is written yet. It names no backing file:
 * what lies below it is said where it is opened. Pure. Source: docs/interop/qcow2.txt of QEMU.
 */
export function emptyQcow2(size: number): EmptyQcow2 {
  const l1Entries = Math.ceil(size / bytesPerL1Entry);
  const clusters = l1Table + Math.ceil((l1Entries * 8) / clusterSize);
  const header = Buffer.alloc(headerBytes);
  header.write('QFI\xfb', 'latin1');
  header.writeUInt32BE(3, 4);
  header.writeUInt32BE(clusterBits, 20);
  header.writeBigUInt64BE(BigInt(size), 24);
  header.writeUInt32BE(l1Entries, 36);
  header.writeBigUInt64BE(BigInt(l1Table * clusterSize), 40);
  header.writeBigUInt64BE(BigInt(refcountTable * clusterSize), 48);
  header.writeUInt32BE(1, 56);
  header.writeUInt32BE(refcountOrder, 96);
  header.writeUInt32BE(headerBytes, 100);
  const table = Buffer.alloc(8);
  table.writeBigUInt64BE(BigInt(refcountBlock * clusterSize));
  const block = Buffer.alloc(clusters * 2);
  for (let cluster = 0; cluster < clusters; cluster++) block.writeUInt16BE(1, cluster * 2);
  return {
    writes: [
      { offset: 0, bytes: header },
      { offset: refcountTable * clusterSize, bytes: table },
      { offset: refcountBlock * clusterSize, bytes: block },
    ],
    length: clusters * clusterSize,
  };
}

/** All that the protocol needs of the world around this directory; nothing else here imports from outside. */
export { DescriptorStream } from '../sys/descriptor-stream.ts';
export { decodeUtf8, Framer, FramingError } from '../sys/framing.ts';
export { SystemCallError } from '../sys/koffi.ts';
export { type PeerCredentials, peerCredentials } from '../sys/peer-credentials.ts';
export { type Readiness, watchShared } from '../sys/readiness.ts';
export { acceptConnections } from '../sys/unix-accept.ts';
export { PathTooLongError } from '../sys/unix-address.ts';
export { connectUnix } from '../sys/unix-connect.ts';
export { Waiters } from '../sys/waiters.ts';

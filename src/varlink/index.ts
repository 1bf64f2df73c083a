/**
 * Varlink (https://varlink.org) for Node: a client, a server, and the interface definition language. Depends on nothing
 * but the system calls that unix.ts names.
 *
 *     await using client = await VarlinkClient.connect('/run/systemd/machine/io.systemd.Machine');
 *     const { parameters } = await client.call('io.systemd.Machine.List', { name: 'web' }, { timeout: 5000 });
 *     for await (const { parameters } of client.more('org.example.Events.Subscribe', {}, { timeout: Infinity })) ...
 *
 *     await using server = new VarlinkServer({
 *       vendor: 'Example', product: 'Lamp', version: '1', url: 'https://example.org',
 *       interfaces: [{
 *         description: 'interface org.example.Lamp\nmethod Switch(on: bool) -> ()\nerror Broken()',
 *         methods: { Switch: async ({ parameters }) => { throw new VarlinkError('org.example.Lamp.Broken'); } },
 *       }],
 *     });
 *     server.listen(descriptorOfAListeningUnixSocket);
 *
 * Descriptors travel with calls and replies over Unix sockets. They belong to the first message that is complete after
 * they arrive; received ones are the receiver's to close (a server's method takes what it keeps out of the array), sent
 * ones stay the sender's and must be open until the call or reply settles.
 *
 * Numbers are doubles: integers beyond 2^53 come rounded in replies, and a server refuses them where its interface
 * says `int`. Members of a message that the protocol does not know end the connection, but for a vendor's extension
 * ("org.example.thing"); of two members with one name the last one counts.
 *
 * client.ts may be loaded alone, without the server and the interface definition language.
 */
export { type VarlinkCallOptions, VarlinkClient, type VarlinkReply } from './client.ts';
export { describeInterface } from './describe.ts';
export {
  VarlinkClosedError,
  VarlinkConnectError,
  VarlinkError,
  VarlinkFailure,
  VarlinkProtocolError,
  VarlinkTimeoutError,
} from './errors.ts';
export { parseInterface } from './idl.ts';
export { IdlSyntaxError } from './idl-tokens.ts';
export type * from './idl-types.ts';
export type { JsonObject, VarlinkLimits } from './messages.ts';
export type { VarlinkMethodCall, VarlinkReplyOptions } from './method-call.ts';
export { VarlinkServer, type VarlinkServerOptions } from './server.ts';
export type { VarlinkServerLimits } from './server-connection.ts';
export type { VarlinkInterface, VarlinkMethod, VarlinkServiceInfo } from './service.ts';
export type { VarlinkStream } from './stream.ts';
export { invalidParameter, validate } from './validate.ts';

import { VarlinkError } from './errors.ts';
import { parseInterface } from './idl.ts';
import type { IdlInterface } from './idl-types.ts';
import type { VarlinkMethodCall } from './method-call.ts';
import { validate } from './validate.ts';

/** Carries a call out; an object that is returned is the final reply, a VarlinkError that is thrown is the error reply. */
export type VarlinkMethod = (call: VarlinkMethodCall) => Promise<unknown>;

/** An interface and what carries its methods out. Methods that are described and not there are told to be so. */
export interface VarlinkInterface {
  /** In the interface definition language. */
  readonly description: string;
  /** By their short names ("Describe"). */
  readonly methods: { readonly [name: string]: VarlinkMethod };
}

/** What a service says about itself. */
export interface VarlinkServiceInfo {
  readonly vendor: string;
  readonly product: string;
  readonly version: string;
  readonly url: string;
}

interface Served {
  readonly description: string;
  readonly parsed: IdlInterface;
  readonly methods: ReadonlyMap<string, VarlinkMethod>;
}

export const serviceDescription = `# Tells what a service is and which interfaces it has.
interface org.varlink.service

# Who made the service, and the names of its interfaces
method GetInfo() -> (
	vendor: string,
	product: string,
	version: string,
	url: string,
	interfaces: []string
)

# The text that describes one of the interfaces
method GetInterfaceDescription(
	# The full name of the interface
	interface: string
) -> (description: string)

# The service has no such interface
error InterfaceNotFound(interface: string)

# The interface has no such method
error MethodNotFound(method: string)

# The interface has the method, but this service does not carry it out
error MethodNotImplemented(method: string)

# A parameter is missing, unknown, of a wrong type or out of range
error InvalidParameter(parameter: string)

# The caller may not do this
error PermissionDenied()

# The method is to be called with 'more'
error ExpectedMore()

# The method is to be called with 'upgrade'
error ExpectedUpgrade()
`;

/**
 * All interfaces of a server, org.varlink.service among them: finds the method of a call, checks its parameters, runs
 * it. The constructor throws IdlSyntaxError, and TypeError for a method that no description has.
 */
export class Service {
  readonly #interfaces = new Map<string, Served>();

  constructor(info: VarlinkServiceInfo, interfaces: readonly VarlinkInterface[]) {
    const { vendor, product, version, url } = info;
    const own: VarlinkInterface = {
      description: serviceDescription,
      methods: {
        GetInfo: async () => ({ vendor, product, version, url, interfaces: [...this.#interfaces.keys()] }),
        GetInterfaceDescription: async ({ parameters }) => {
          const name = String(parameters['interface']);
          const served = this.#interfaces.get(name);
          if (served === undefined) throw interfaceNotFound(name);
          return { description: served.description };
        },
      },
    };
    for (const one of [own, ...interfaces]) this.#add(one);
  }

  #add({ description, methods }: VarlinkInterface): void {
    const parsed = parseInterface(description);
    if (this.#interfaces.has(parsed.name)) throw new TypeError(`The interface ${parsed.name} is given twice`);
    for (const name of Object.keys(methods)) {
      if (!parsed.methods.has(name)) throw new TypeError(`${parsed.name} describes no method ${name}`);
    }
    this.#interfaces.set(parsed.name, { description, parsed, methods: new Map(Object.entries(methods)) });
  }

  /** Runs the method of a call. Rejects with VarlinkError, or with whatever the method throws. */
  async run(call: VarlinkMethodCall): Promise<unknown> {
    const dot = call.method.lastIndexOf('.');
    const interfaceName = call.method.slice(0, Math.max(dot, 0));
    const served = this.#interfaces.get(interfaceName);
    if (served === undefined) throw interfaceNotFound(interfaceName);
    const name = call.method.slice(dot + 1);
    const described = served.parsed.methods.get(name);
    if (described === undefined) throw methodError('MethodNotFound', call.method);
    const method = served.methods.get(name);
    if (method === undefined) throw methodError('MethodNotImplemented', call.method);
    validate(served.parsed, described.input, call.parameters);
    return method(call);
  }
}

function interfaceNotFound(name: string): VarlinkError {
  return new VarlinkError('org.varlink.service.InterfaceNotFound', { interface: name.slice(0, 1000) });
}

function methodError(kind: string, method: string): VarlinkError {
  return new VarlinkError(`org.varlink.service.${kind}`, { method: method.slice(0, 1000) });
}

import { IdlSyntaxError, type IdlToken, tokenize } from './idl-tokens.ts';
import type {
  IdlEnum,
  IdlError,
  IdlField,
  IdlInterface,
  IdlMethod,
  IdlStruct,
  IdlSymbol,
  IdlType,
  IdlTypeDefinition,
} from './idl-types.ts';

const interfaceName = /^[A-Za-z](?:-*[A-Za-z0-9])*(?:\.[A-Za-z0-9](?:-*[A-Za-z0-9])*)+$/;
const memberName = /^[A-Z][A-Za-z0-9]*$/;
const fieldName = /^[A-Za-z](?:_?[A-Za-z0-9])*$/;
const plainTypes = ['bool', 'int', 'float', 'string', 'object', 'any'] as const;
/** Types in each other; a description may come from a peer. */
const DEPTH = 64;

/**
 * Parses an interface description (varlink's interface definition language, with `any`) and checks that its names are
 * of the right form, said once, and that the types it uses are there. Throws IdlSyntaxError.
 */
export function parseInterface(text: string): IdlInterface {
  return new Parser(text).interface();
}

class Parser {
  readonly #text: string;
  readonly #tokens: readonly IdlToken[];
  #at = 0;
  #depth = 0;
  /** Types that are named, to be looked up when all are known. */
  readonly #uses: IdlToken[] = [];

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokenize(text);
  }

  interface(): IdlInterface {
    const comment = this.#peek().comment;
    this.#expect('interface');
    const name = this.#name(interfaceName, 'an interface name such as org.example.thing').text;
    const members: (IdlTypeDefinition | IdlMethod | IdlError)[] = [];
    const types = new Map<string, IdlTypeDefinition>();
    const methods = new Map<string, IdlMethod>();
    const errors = new Map<string, IdlError>();
    while (this.#peek().text !== '') {
      const token = this.#peek(1);
      const member = this.#member();
      const known: Map<string, IdlSymbol> =
        member.member === 'type' ? types : member.member === 'method' ? methods : errors;
      if (known.has(member.name)) this.#fail(token, `a second ${member.member} ${member.name}`);
      known.set(member.name, member);
      members.push(member);
    }
    for (const use of this.#uses) {
      if (!types.has(use.text)) this.#fail(use, `there is no type ${use.text}`);
    }
    return { name, comment, members, types, methods, errors };
  }

  #member(): IdlTypeDefinition | IdlMethod | IdlError {
    const keyword = this.#next();
    const { comment } = keyword;
    if (keyword.text === 'type') {
      const name = this.#name(memberName, 'the name of a type, in CamelCase').text;
      return { member: 'type', name, comment, type: this.#structOrEnum() };
    }
    if (keyword.text === 'method') {
      const name = this.#name(memberName, 'the name of a method, in CamelCase').text;
      const input = this.#struct();
      this.#expect('->');
      return { member: 'method', name, comment, input, output: this.#struct() };
    }
    if (keyword.text === 'error') {
      const name = this.#name(memberName, 'the name of an error, in CamelCase').text;
      return { member: 'error', name, comment, parameters: this.#struct() };
    }
    return this.#unexpected(keyword, '`type`, `method` or `error`');
  }

  #struct(): IdlStruct {
    const open = this.#peek();
    const type = this.#structOrEnum();
    return type.kind === 'struct' ? type : this.#fail(open, 'names without types, where fields are expected');
  }

  /** Nothing in the brackets is a struct without fields. */
  #structOrEnum(): IdlStruct | IdlEnum {
    this.#enter(this.#expect('('));
    const isEnum = this.#peek().text !== ')' && [',', ')'].includes(this.#peek(1).text);
    const values: IdlSymbol[] = [];
    const fields: IdlField[] = [];
    const names = new Set<string>();
    while (this.#peek().text !== ')') {
      const token = this.#name(fieldName, 'the name of a field');
      const { text: name, comment } = token;
      if (names.has(name)) this.#fail(token, `a second ${name}`);
      names.add(name);
      if (isEnum) values.push({ name, comment });
      else {
        this.#expect(':');
        fields.push({ name, comment, type: this.#type() });
      }
      if (this.#peek().text !== ')') {
        this.#expect(',');
        if (this.#peek().text === ')') this.#unexpected(this.#peek(), 'a field after the comma');
      }
    }
    this.#next();
    this.#depth -= 1;
    return isEnum ? { kind: 'enum', values } : { kind: 'struct', fields };
  }

  #type(): IdlType {
    const token = this.#peek();
    if (token.text === '(') return this.#structOrEnum();
    this.#next();
    if (token.text === '?') {
      if (this.#peek().text === '?') this.#unexpected(this.#peek(), 'a type that is not optional itself');
      return this.#around('nullable', token);
    }
    if (token.text === '[') {
      const key = this.#next();
      if (key.text === ']') return this.#around('array', token);
      if (key.text !== 'string') this.#unexpected(key, '`]` or `string]`');
      this.#expect(']');
      return this.#around('map', token);
    }
    const kind = plainTypes.find((one) => one === token.text);
    if (kind !== undefined) return { kind };
    if (!memberName.test(token.text)) this.#unexpected(token, 'a type');
    this.#uses.push(token);
    return { kind: 'named', name: token.text };
  }

  #around(kind: 'array' | 'map' | 'nullable', token: IdlToken): IdlType {
    this.#enter(token);
    const of = this.#type();
    this.#depth -= 1;
    return { kind, of };
  }

  #enter(token: IdlToken): void {
    this.#depth += 1;
    if (this.#depth > DEPTH) this.#fail(token, `types nested deeper than ${DEPTH}`);
  }

  #name(pattern: RegExp, expected: string): IdlToken {
    const token = this.#next();
    return pattern.test(token.text) ? token : this.#unexpected(token, expected);
  }

  #expect(text: string): IdlToken {
    const token = this.#next();
    return token.text === text ? token : this.#unexpected(token, `\`${text}\``);
  }

  #peek(ahead = 0): IdlToken {
    const token = this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)];
    if (token === undefined) throw new RangeError('A text without an end');
    return token;
  }

  #next(): IdlToken {
    const token = this.#peek();
    this.#at += 1;
    return token;
  }

  #unexpected(token: IdlToken, expected: string): never {
    const found = token.text === '' ? 'the end' : `\`${token.text.slice(0, 100)}\``;
    return this.#fail(token, `${found}, where ${expected} is expected`);
  }

  #fail(token: IdlToken, message: string): never {
    throw new IdlSyntaxError(this.#text, token.offset, message);
  }
}

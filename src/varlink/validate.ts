import { VarlinkError } from './errors.ts';
import type { IdlInterface, IdlStruct, IdlType } from './idl-types.ts';
import { isObject, member } from './messages.ts';

/**
 * Checks an object against the fields that an interface gives a method's input or output or an error. Throws the
 * VarlinkError org.varlink.service.InvalidParameter with the path of the first field that is wrong, missing or, unless
 * `allowUnknown`, unknown ("limits.memory", "names[2]"). An `int` is a number that a double holds exactly.
 */
export function validate(
  { types }: Pick<IdlInterface, 'types'>,
  struct: IdlStruct,
  value: unknown,
  { allowUnknown = false }: { allowUnknown?: boolean } = {},
): void {
  checkStruct(struct, value, '');

  function checkStruct({ fields }: IdlStruct, fieldsValue: unknown, path: string): void {
    if (!isObject(fieldsValue)) throw refusal(path);
    const prefix = path === '' ? '' : `${path}.`;
    for (const { name, type } of fields) check(type, member(fieldsValue, name), `${prefix}${name}`);
    if (allowUnknown) return;
    const known = new Set(fields.map(({ name }) => name));
    for (const name of Object.keys(fieldsValue)) if (!known.has(name)) throw refusal(`${prefix}${name}`);
  }

  function check(type: IdlType, item: unknown, path: string): void {
    switch (type.kind) {
      case 'nullable':
        if (item !== null && item !== undefined) check(type.of, item, path);
        return;
      case 'named': {
        const definition = types.get(type.name);
        if (definition === undefined) throw new TypeError(`There is no type ${type.name}`);
        check(definition.type, item, path);
        return;
      }
      case 'struct':
        checkStruct(type, item, path);
        return;
      case 'array':
        if (!Array.isArray(item)) throw refusal(path);
        for (const [index, one] of item.entries()) check(type.of, one, `${path}[${index}]`);
        return;
      case 'map':
        if (!isObject(item)) throw refusal(path);
        for (const key of Object.keys(item)) check(type.of, item[key], `${path}.${key}`);
        return;
      case 'enum':
        if (!type.values.some(({ name }) => name === item)) throw refusal(path);
        return;
      case 'bool':
        if (typeof item !== 'boolean') throw refusal(path);
        return;
      case 'int':
        if (!Number.isSafeInteger(item)) throw refusal(path);
        return;
      case 'float':
        if (!Number.isFinite(item)) throw refusal(path);
        return;
      case 'string':
        if (typeof item !== 'string') throw refusal(path);
        return;
      case 'object':
        if (!isObject(item)) throw refusal(path);
        return;
      case 'any':
        if (item === null || item === undefined) throw refusal(path);
        return;
    }
  }
}

function refusal(path: string): VarlinkError {
  return invalidParameter(path.slice(0, 1000));
}

/** The error for a parameter, for a method that finds one wrong for reasons of its own. */
export function invalidParameter(parameter: string): VarlinkError {
  return new VarlinkError('org.varlink.service.InvalidParameter', { parameter });
}

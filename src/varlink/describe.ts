import type { IdlEnum, IdlInterface, IdlStruct, IdlType } from './idl-types.ts';

/** An interface as text again, comments included, in the form that varlinkctl prints: one field a line, with tabs. */
export function describeInterface({ name, comment, members }: IdlInterface): string {
  const parts = members.map((one) => {
    const head = `${remark(one.comment, '')}${one.member} ${one.name}`;
    if (one.member === 'type') return head + fieldsText(one.type, '');
    if (one.member === 'error') return head + fieldsText(one.parameters, '');
    return `${head}${fieldsText(one.input, '')} -> ${fieldsText(one.output, '')}`;
  });
  return `${[`${remark(comment, '')}interface ${name}`, ...parts].join('\n\n')}\n`;
}

function fieldsText(type: IdlStruct | IdlEnum, indent: string): string {
  const inner = `${indent}\t`;
  const lines =
    type.kind === 'enum'
      ? type.values.map(({ name, comment }) => `${remark(comment, inner)}${inner}${name}`)
      : type.fields.map((field) => {
          return `${remark(field.comment, inner)}${inner}${field.name}: ${typeText(field.type, inner)}`;
        });
  return lines.length === 0 ? '()' : `(\n${lines.join(',\n')}\n${indent})`;
}

function typeText(type: IdlType, indent: string): string {
  switch (type.kind) {
    case 'named':
      return type.name;
    case 'struct':
    case 'enum':
      return fieldsText(type, indent);
    case 'nullable':
      return `?${typeText(type.of, indent)}`;
    case 'array':
      return `[]${typeText(type.of, indent)}`;
    case 'map':
      return `[string]${typeText(type.of, indent)}`;
    default:
      return type.kind;
  }
}

function remark(comment: string, indent: string): string {
  if (comment === '') return '';
  return comment
    .split('\n')
    .map((line) => `${indent}${line === '' ? '#' : `# ${line}`}\n`)
    .join('');
}

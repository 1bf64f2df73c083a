import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  describeInterface,
  type IdlInterface,
  IdlSyntaxError,
  type IdlType,
  parseInterface,
  VarlinkError,
  validate,
} from '../../src/varlink/index.ts';
import { serviceDescription } from '../../src/varlink/service.ts';
import { lampDescription } from './lamp.ts';

/** Everything that the language has, in the many ways in which it may be written. */
const everything = `# A licence,
# which belongs to nothing.

# What this is
#  good for
interface org.example.every-thing.x1 # not a description

# A colour
type Colour(red,green , dark_blue9)
type Empty ()
type Set (a: [string](), b: ())
type Nested (
  # Where
  a: (b: (c: [][]?[string](d: ?Colour))),
  type: string, # of a field
  method: ?[]Nested, error: [string]any,
  # Not this one

  interface: object,
  #
  # And this
  B: ?(x, y)
)
method Do(a:bool,b:int)->(c:float)
# No way
error Refused(why: Colour)   error NoReason ()
method Nothing ( ) \r\n -> \r\n ( )
`;

describe('parsing', () => {
  test('takes all that the language has, comments kept', () => {
    const parsed = parseInterface(everything);
    assert.deepEqual(
      [parsed.name, parsed.comment, parsed.members.map(({ member, name }) => `${member} ${name}`)],
      [
        'org.example.every-thing.x1',
        'What this is\n good for',
        [
          'type Colour',
          'type Empty',
          'type Set',
          'type Nested',
          'method Do',
          'error Refused',
          'error NoReason',
          'method Nothing',
        ],
      ],
    );
    const comment = (member: IdlInterface['members'][number] | undefined) => member?.comment;
    assert.equal(comment(parsed.types.get('Colour')), 'A colour');
    assert.equal(comment(parsed.errors.get('Refused')), 'No way');
    assert.equal(comment(parsed.errors.get('NoReason')), '');
    const nested = parsed.types.get('Nested')?.type;
    assert.ok(nested?.kind === 'struct');
    assert.deepEqual(
      nested.fields.map(({ name, comment }) => [name, comment]),
      [
        ['a', 'Where'],
        ['type', ''],
        ['method', ''],
        ['error', ''],
        ['interface', ''],
        ['B', '\nAnd this'],
      ],
    );
    assert.deepEqual(nested.fields[0]?.type, {
      kind: 'struct',
      fields: [
        {
          name: 'b',
          comment: '',
          type: {
            kind: 'struct',
            fields: [
              {
                name: 'c',
                comment: '',
                type: around(['array', 'array', 'nullable', 'map'], {
                  kind: 'struct',
                  fields: [
                    { name: 'd', comment: '', type: around(['nullable'], { kind: 'named', name: 'Colour' }) },
                  ],
                }),
              },
            ],
          },
        },
      ],
    });
    assert.deepEqual(parsed.types.get('Empty')?.type, { kind: 'struct', fields: [] });
    assert.equal(parsed.types.get('Colour')?.type.kind, 'enum');
  });

  test('says where and what when it is not valid', () => {
    const begin = 'interface org.example.x\n';
    for (const [text, message] of [
      ['', '1:1: the end, where `interface` is expected'],
      ['type A ()', '1:1: `type`, where `interface` is expected'],
      ['interface x', '1:11: `x`, where an interface name such as org.example.thing is expected'],
      ['interface -a.b', '1:11: unexpected "-"'],
      ['interface a..b', '1:11: `a..b`, where an interface name such as org.example.thing is expected'],
      ['interface a.b-\n', '1:14: unexpected "-"'],
      [`${begin}\n  typ A ()`, '3:3: `typ`, where `type`, `method` or `error` is expected'],
      [`${begin}type a ()`, '2:6: `a`, where the name of a type, in CamelCase is expected'],
      [`${begin}type A_B ()`, '2:6: `A_B`, where the name of a type, in CamelCase is expected'],
      [`${begin}type A string`, '2:8: `string`, where `(` is expected'],
      [`${begin}type A (a: B)`, '2:12: there is no type B'],
      [`${begin}type A (a: string`, '2:18: the end, where `,` is expected'],
      [`${begin}type A (a: string,)`, '2:19: `)`, where a field after the comma is expected'],
      [`${begin}type A (a, b: int)`, '2:13: `:`, where `,` is expected'],
      [`${begin}type A (a: int, b)`, '2:18: `)`, where `:` is expected'],
      [`${begin}type A (a: int, a: int)`, '2:17: a second a'],
      [`${begin}type A (a, a)`, '2:12: a second a'],
      [`${begin}type A (_a: int)`, '2:9: `_a`, where the name of a field is expected'],
      [`${begin}type A (a__b: int)`, '2:9: `a__b`, where the name of a field is expected'],
      [`${begin}type A (a_: int)`, '2:9: `a_`, where the name of a field is expected'],
      [`${begin}type A (9: int)`, '2:9: `9`, where the name of a field is expected'],
      [`${begin}type A (a: ??int)`, '2:13: `?`, where a type that is not optional itself is expected'],
      [`${begin}type A (a: [int]string)`, '2:13: `int`, where `]` or `string]` is expected'],
      [`${begin}type A (a: [string)`, '2:19: `)`, where `]` is expected'],
      [`${begin}type A (a: number)`, '2:12: `number`, where a type is expected'],
      [`${begin}type A ()\ntype A ()`, '3:6: a second type A'],
      [`${begin}method A () ()`, '2:13: `(`, where `->` is expected'],
      [`${begin}method A (a, b) -> ()`, '2:10: names without types, where fields are expected'],
      [`${begin}method A () -> (a)`, '2:16: names without types, where fields are expected'],
      [`${begin}error A`, '2:8: the end, where `(` is expected'],
      [`${begin}error A (a: "x")`, '2:13: unexpected "\\""'],
      [`${begin}type A (a: ${'[]'.repeat(100_000)}int)`, '2:138: types nested deeper than 64'],
      [`${begin}type A ${'(a:'.repeat(100_000)}`, '2:200: types nested deeper than 64'],
      ['\r\n# x\r\n\u2028  interface 😀', '4:13: unexpected "😀"'],
    ] as const) {
      assert.throws(
        () => parseInterface(text),
        (error) => {
          assert.ok(error instanceof IdlSyntaxError, String(error));
          assert.equal(error.message, message);
          assert.equal(`${error.line}:${error.column}`, message.split(': ')[0]);
          return true;
        },
      );
    }
  });

  test('a type may be named like a method or an error, and like nothing of Object.prototype by accident', () => {
    const parsed = parseInterface(
      'interface a.b\ntype X (constructor: int)\nmethod X () -> (x: X)\nerror X ()',
    );
    assert.equal(parsed.members.length, 3);
    assert.throws(
      () => parseInterface('interface a.b\ntype A (toString: Constructor)'),
      /no type Constructor/,
    );
  });

  test('any text is parsed or refused with a place in it, in short time', () => {
    const word = fc.constantFrom(
      ...'interface type method error org.example.x A B a_b ( ( ) ) , : -> ? [] [string] int string any # \n'.split(
        ' ',
      ),
      '\n',
      '- - -',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word, { maxLength: 60 }).map((words) => words.join(' ')),
        ),
        (text) => {
          try {
            parseInterface(text);
          } catch (error) {
            assert.ok(error instanceof IdlSyntaxError, String(error));
            assert.ok(error.line <= text.split(/[\r\n\u2028\u2029]/).length);
          }
        },
      ),
      { numRuns: 2000 },
    );
    for (const text of [
      'a-'.repeat(200_000),
      'a.'.repeat(200_000),
      ' '.repeat(400_000),
      '#'.repeat(400_000),
      '--'.repeat(200_000),
    ]) {
      assert.throws(() => parseInterface(text), IdlSyntaxError);
      assert.throws(() => parseInterface(`interface ${text}`), IdlSyntaxError);
    }
  });
});

describe('describing', () => {
  test('the text of a parsed interface parses to the same', () => {
    for (const text of [everything, lampDescription, serviceDescription]) {
      const parsed = parseInterface(text);
      const described = describeInterface(parsed);
      assert.deepEqual(parseInterface(described), parsed);
      assert.equal(describeInterface(parseInterface(described)), described);
    }
    assert.equal(
      describeInterface(parseInterface('interface a.b type A(a:(x,y),b:?[][string]int) method M()->(a: A)')),
      'interface a.b\n\ntype A (\n\ta: (\n\t\tx,\n\t\ty\n\t),\n\tb: ?[][string]int\n)\n\nmethod M () -> (\n\ta: A\n)\n'.replace(
        /(A|M) \(/g,
        '$1(',
      ),
    );
  });

  test('any interface does', () => {
    const plainObject = { noNullPrototype: true } as const;
    const field = fc.stringMatching(/^[A-Za-z](_?[A-Za-z0-9]){0,5}$/);
    const plain = fc
      .constantFrom('bool', 'int', 'float', 'string', 'object', 'any')
      .map((kind) => ({ kind }) as IdlType);
    const comment = fc.constantFrom('', 'one', 'one\ntwo', 'one\n\n  three');
    const { type } = fc.letrec<{ type: IdlType }>((tie) => ({
      type: fc.oneof(
        { depthSize: 'small' },
        plain,
        fc.record(
          { kind: fc.constantFrom('array', 'map'), of: tie('type') },
          plainObject,
        ) as fc.Arbitrary<IdlType>,
        fc.record({ kind: fc.constant('nullable'), of: plain }, plainObject) as fc.Arbitrary<IdlType>,
        fc
          .uniqueArray(fc.record({ name: field, comment, type: tie('type') }, plainObject), {
            selector: ({ name }) => name,
            maxLength: 4,
          })
          .map((fields) => ({ kind: 'struct', fields }) as IdlType),
        fc
          .uniqueArray(fc.record({ name: field, comment }, plainObject), {
            selector: ({ name }) => name,
            minLength: 1,
            maxLength: 4,
          })
          .map((values) => ({ kind: 'enum', values }) as IdlType),
      ),
    }));
    fc.assert(
      fc.property(type, comment, (one, words) => {
        const parameters = { kind: 'struct', fields: [{ name: 'x', comment: words, type: one }] } as const;
        const error = { member: 'error', name: 'E', comment: words, parameters } as const;
        const made: IdlInterface = {
          name: 'a.b',
          comment: words,
          members: [error],
          types: new Map(),
          methods: new Map(),
          errors: new Map([['E', error]]),
        };
        assert.deepEqual(parseInterface(describeInterface(made)), made);
      }),
    );
  });
});

describe('validating', () => {
  const parsed = parseInterface(`interface a.b
    type Colour (red, green)
    type Tree (name: string, children: ?[]Tree)
    method M(b: ?bool, i: ?int, f: ?float, s: ?string, o: ?object, a: ?any, c: ?Colour, t: ?Tree,
      l: ?[]int, m: ?[string]int, n: ?[]?int, set: ?[string]()) -> (x: int)`);
  const method = parsed.methods.get('M');
  assert.ok(method);
  const check = (value: unknown) => {
    try {
      validate(parsed, method.input, value);
      return null;
    } catch (error) {
      assert.ok(error instanceof VarlinkError);
      assert.equal(error.error, 'org.varlink.service.InvalidParameter');
      return error.parameters['parameter'];
    }
  };

  test('takes what fits', () => {
    for (const value of [
      {},
      { b: null, i: null, c: null, l: null },
      { b: false, i: -5, f: 1.5, s: '', o: {}, a: 0, c: 'red', l: [], m: {} },
      {
        i: 2 ** 53 - 1,
        f: 1,
        a: [null],
        l: [1, 2],
        m: { constructor: 1, '': 2 },
        n: [null, 1],
        set: { a: {} },
      },
      { t: { name: 'a', children: [{ name: 'b', children: [] }, { name: 'c' }] } },
    ]) {
      assert.equal(check(value), null, JSON.stringify(value));
    }
  });

  test('names what does not', () => {
    for (const [value, path] of [
      [{ b: 0 }, 'b'],
      [{ i: 1.5 }, 'i'],
      [{ i: '1' }, 'i'],
      [{ i: 2 ** 53 }, 'i'],
      [{ f: Infinity }, 'f'],
      [{ f: '1' }, 'f'],
      [{ s: 1 }, 's'],
      [{ o: [] }, 'o'],
      [{ o: 'x' }, 'o'],
      [{ c: 'blue' }, 'c'],
      [{ c: 0 }, 'c'],
      [{ l: {} }, 'l'],
      [{ l: [1, null] }, 'l[1]'],
      [{ m: [] }, 'm'],
      [{ m: { x: 'y' } }, 'm.x'],
      [{ set: { x: { y: 1 } } }, 'set.x.y'],
      [{ t: {} }, 't.name'],
      [{ t: { name: 'a', children: [{ name: 'b', children: [{}] }] } }, 't.children[0].children[0].name'],
      [{ t: { name: 'a', childs: 1 } }, 't.childs'],
      [{ unknown: null }, 'unknown'],
      [JSON.parse('{"__proto__":{"s":1}}'), '__proto__'],
      [[], ''],
      [null, ''],
    ] as const) {
      assert.equal(check(value), path, JSON.stringify(value));
    }
  });

  test('an any is not null, a required field is not left out, and replies may have more than is known', () => {
    const other = parseInterface('interface a.b method M() -> (a: any, s: string)').methods.get('M');
    assert.ok(other);
    const output = (value: unknown) => () =>
      validate({ types: new Map() }, other.output, value, { allowUnknown: true });
    assert.throws(output({ a: null, s: '' }), /"a"/);
    assert.throws(output({ a: 1 }), /"s"/);
    assert.throws(output(Object.create({ a: 1, s: '' })), /"a"/);
    assert.doesNotThrow(output({ a: 1, s: '', more: 1 }));
  });
});

function around(kinds: readonly ('array' | 'map' | 'nullable')[], inner: IdlType): IdlType {
  return kinds.reduceRight<IdlType>((of, kind) => ({ kind, of }), inner);
}

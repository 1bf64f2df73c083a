/** A type of the interface definition language. */
export type IdlType =
  | { readonly kind: 'bool' | 'int' | 'float' | 'string' | 'object' | 'any' }
  | { readonly kind: 'array' | 'map' | 'nullable'; readonly of: IdlType }
  | { readonly kind: 'named'; readonly name: string }
  | IdlStruct
  | IdlEnum;

export interface IdlStruct {
  readonly kind: 'struct';
  readonly fields: readonly IdlField[];
}

export interface IdlEnum {
  readonly kind: 'enum';
  readonly values: readonly IdlSymbol[];
}

/** Something with a name; `comment` is the text of the comment lines right above it, without `# `. */
export interface IdlSymbol {
  readonly name: string;
  readonly comment: string;
}

export interface IdlField extends IdlSymbol {
  readonly type: IdlType;
}

export interface IdlTypeDefinition extends IdlSymbol {
  readonly member: 'type';
  readonly type: IdlStruct | IdlEnum;
}

export interface IdlMethod extends IdlSymbol {
  readonly member: 'method';
  readonly input: IdlStruct;
  readonly output: IdlStruct;
}

export interface IdlError extends IdlSymbol {
  readonly member: 'error';
  readonly parameters: IdlStruct;
}

export interface IdlInterface extends IdlSymbol {
  /** In the order of the text. */
  readonly members: readonly (IdlTypeDefinition | IdlMethod | IdlError)[];
  readonly types: ReadonlyMap<string, IdlTypeDefinition>;
  readonly methods: ReadonlyMap<string, IdlMethod>;
  readonly errors: ReadonlyMap<string, IdlError>;
}

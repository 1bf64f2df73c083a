/** Why the header of an image cannot be used, as a sentence part that goes after the file's name. */
export class HeaderError extends Error {
  readonly hint: string | undefined;

  constructor(reason: string, hint?: string) {
    super(reason);
    this.name = new.target.name;
    this.hint = hint;
  }
}

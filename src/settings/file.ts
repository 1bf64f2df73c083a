import { isUtf8 } from 'node:buffer';
import { printable, UsageError } from '../errors.ts';

/** One `KEY=VALUE` of a settings file. */
export interface Assignment {
  /** Where it begins, from 1 on. */
  readonly line: number;
  /** Without brackets. */
  readonly section: string;
  readonly key: string;
  readonly value: string;
}

/** The most bytes of a settings file. */
export const settingsFileLimit = 1024 ** 2;

/** A UsageError that begins with the place in the file. `predicate` completes the sentence. */
export function refuseLine(path: string, line: number, predicate: string, hint?: string): UsageError {
  return new UsageError(`${printable(path)}:${line}: ${predicate}.`, hint === undefined ? {} : { hint });
}

/**
 * The assignments of a file in the grammar of systemd.syntax(7), in their order: sections in brackets, comments that
 * begin with # or ;, and lines that a backslash at their end joins to the next one that is no comment, with a blank in
 * its place. Blanks around keys and values do not count; quotes are a part of the value. What begins with `X-` is for
 * others and left out. Whether sections and keys exist is not looked at. Throws UsageError with `path` and the line.
 */
export function parseSettingsFile(content: Buffer, path: string): Assignment[] {
  const assignments: Assignment[] = [];
  let section: string | null = null;
  for (const { line, text } of logicalLines(content, path)) {
    if (text.startsWith('[')) {
      const [, name] = /^\[([^[\]]+)\]$/.exec(text) ?? [];
      if (name === undefined) throw refuseLine(path, line, `${shown(text)} is no section in brackets`);
      section = name;
      continue;
    }
    const equals = text.indexOf('=');
    const key = text.slice(0, equals).trimEnd();
    if (equals === -1 || key === '') {
      throw refuseLine(path, line, `${shown(text)} is no assignment`, 'Write KEY=VALUE.');
    }
    if (section === null) {
      throw refuseLine(path, line, `${shown(key)}= stands before any section`);
    }
    if (section.startsWith('X-') || key.startsWith('X-')) continue;
    assignments.push({ line, section, key, value: text.slice(equals + 1).trim() });
  }
  return assignments;
}

/** Text of a file for a message: one line, not too long. */
function shown(text: string): string {
  return printable(text.length <= 60 ? text : `${text.slice(0, 57)}...`);
}

/** Lines that say something, without blanks at both ends, joined where they are continued. */
function* logicalLines(content: Buffer, path: string): Iterable<{ line: number; text: string }> {
  let begun: { line: number; text: string } | null = null;
  for (const [index, raw] of textLines(content, path).entries()) {
    const text = raw.trimStart();
    if (/^[#;]/.test(text)) continue;
    const current: { line: number; text: string } =
      begun === null ? { line: index + 1, text } : { line: begun.line, text: begun.text + text };
    const [backslashes = ''] = /\\*$/.exec(current.text) ?? [];
    if (backslashes.length % 2 === 1) {
      begun = { line: current.line, text: `${current.text.slice(0, -1)} ` };
      continue;
    }
    begun = null;
    const whole = current.text.trim();
    if (whole !== '') yield { line: current.line, text: whole };
  }
  if (begun !== null && begun.text.trim() !== '') yield { line: begun.line, text: begun.text.trim() };
}

function textLines(content: Buffer, path: string): string[] {
  if (content.length > settingsFileLimit) {
    throw new UsageError(`${printable(path)} is larger than 1 MiB, which no settings file is`);
  }
  const lines: string[] = [];
  for (let start = 0; start <= content.length; ) {
    const feed = content.indexOf(0x0a, start);
    const end = feed === -1 ? content.length : feed;
    const bytes = content.subarray(start, end);
    if (bytes.includes(0)) throw refuseLine(path, lines.length + 1, 'There is a NUL character');
    if (!isUtf8(bytes)) throw refuseLine(path, lines.length + 1, 'The text is not UTF-8');
    const text = bytes.toString('utf8').replace(/\r$/, '');
    lines.push(lines.length === 0 ? text.replace(/^\ufeff/, '') : text);
    start = end + 1;
  }
  return lines;
}

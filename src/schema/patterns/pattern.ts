import { RE2JS } from 're2js';
import { translate } from './pattern-syntax.js';
import { spend } from '../work.js';

// Regular expressions of authors and callers: written in the syntax of ECMA-262 (flag `u`), and matched by RE2 in time linear in
// the text.

export interface Pattern {
  test(text: string): boolean;
  toString(): string;
}

export type CompiledPattern =
  /** `cost`: about the microseconds that compiling it takes; counted and not timed, so that it is the same everywhere. */
  | { readonly status: 'ok'; readonly pattern: Pattern; readonly cost: number }
  | { readonly status: 'invalid'; readonly message: string };

const longest = 4_000;
/** Instructions of the matcher; a counted repetition of a class makes about two for each repetition. */
const largest = 3_000;
/** Instructions times characters that cost about as much as a unit of work. */
const perUnit = 200;

export function compilePattern(text: string): CompiledPattern {
  if (text.length > longest)
    return invalid(text, `is longer than ${longest} characters: split it, or use \`enum\``);
  try {
    new RegExp(text, 'u');
  } catch (error) {
    const message = error instanceof Error ? error.message.replace(/^.*: /s, '') : 'it does not compile';
    return invalid(text, `is no regular expression: ${message.toLowerCase()}`);
  }
  const translated = translate(text);
  if (translated.status === 'refused') return invalid(text, translated.message);
  let compiled: RE2JS;
  try {
    compiled = RE2JS.compile(translated.text);
  } catch {
    return invalid(
      text,
      'repeats more than 1000 times: bound the length with `maxLength`, or the number with `maxItems`',
    );
  }
  const size = compiled.programSize();
  if (size > largest)
    return invalid(text, 'is too large to match: use smaller counts, or bound the length with `maxLength`');
  return { status: 'ok', pattern: makeMatcher(text, compiled, size), cost: costOf(translated.text, size) };
}

/** The cost of compiling: by program, text and named classes, since a Unicode property has hundreds of ranges. */
function costOf(text: string, size: number): number {
  const classes = text.match(/\\[pP]/g)?.length ?? 0;
  return 3 * size + 0.5 * text.length + 120 * classes;
}

function makeMatcher(text: string, compiled: RE2JS, size: number): Pattern {
  return {
    test: (value) => {
      spend(10 + (value.length * (size + 20)) / perUnit);
      return compiled.test(value);
    },
    toString: () => text,
  };
}

function invalid(text: string, why: string): CompiledPattern {
  const shown = text.length > 80 ? `${text.slice(0, 77).toWellFormed()}...` : text;
  return { status: 'invalid', message: `the pattern \`${shown}\` ${why}` };
}

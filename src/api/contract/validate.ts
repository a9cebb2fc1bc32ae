import type { z } from 'zod';
import { ignoredQuery } from '../../model/contract/api.js';
import { truncate } from '../../model/values/text.js';
import { escapePointer, type FieldError } from '../../model/values/json.js';
import { firstTwice, invalid, notFound, type Problem } from './problem.js';

export type Valid = { readonly kind: 'valid'; readonly value: unknown };

/** Path parameters that do not fit can name nothing, so they are answered with NOT_FOUND. */
export function validateParams(
  schema: z.ZodType,
  params: Readonly<Record<string, unknown>>,
): Valid | Problem {
  const parsed = schema.safeParse(params);
  return parsed.success
    ? valid(parsed.data)
    : notFound('resource', truncate(Object.values(params).join('/'), 200));
}

const maxParameters = 100;

export function validateQuery(schema: z.ZodType, search: URLSearchParams): Valid | Problem {
  if (schema === ignoredQuery) return valid({});
  const given: [string, string][] = [...search];
  if (given.length > maxParameters)
    return invalid(`the query has more than ${maxParameters} parameters`, [
      { pointer: '/query', message: `must have ${maxParameters} parameters at most` },
    ]);
  const twice = firstTwice(given);
  if (twice !== null) {
    const pointer = `/query/${escapePointer(twice)}`;
    return invalid(`query parameter \`${twice}\` stands twice`, [{ pointer, message: 'must stand once' }]);
  }
  const badPair = given.find(
    ([name, value]) => !`${name}${value}`.isWellFormed() || `${name}${value}`.includes('\u0000'),
  );
  if (badPair !== undefined)
    return invalid('the query holds a character that is not accepted', [
      { pointer: '/query', message: 'holds U+0000' },
    ]);
  const parsed = schema.safeParse(Object.fromEntries(given));
  return parsed.success
    ? valid(parsed.data)
    : refuse(parsed.error, '/query', 'the query does not fit the contract');
}

export function validateBody(schema: z.ZodType, body: unknown): Valid | Problem {
  const parsed = schema.safeParse(body);
  return parsed.success ? valid(parsed.data) : refuse(parsed.error, '', 'the body does not fit the contract');
}

function valid(value: unknown): Valid {
  return { kind: 'valid', value };
}

const maxErrors = 20;

function refuse(error: z.ZodError, base: string, detail: string): Problem {
  const errors = error.issues.flatMap((issue) => fieldErrors(issue, base)).slice(0, maxErrors);
  const first = errors[0];
  return invalid(first === undefined ? detail : `${detail}: \`${first.pointer}\` ${first.message}`, errors);
}

function fieldErrors(issue: z.core.$ZodIssue, base: string): FieldError[] {
  const pointer = base + issue.path.map((part) => `/${escapePointer(String(part))}`).join('');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, maxErrors).map((key) => ({
      pointer: `${pointer}/${escapePointer(key)}`,
      message: 'is not known here: leave it out',
    }));
  }
  return [{ pointer, message: sentence(issue) }];
}

/** zod's sentence, in lower case as ours are. */
function sentence(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type' && issue.input === undefined && issue.message.includes('undefined'))
    return 'is required';
  return issue.message.charAt(0).toLowerCase() + issue.message.slice(1);
}

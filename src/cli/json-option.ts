import { existsSync, readFileSync } from 'node:fs';
import { isObject } from '../model/values/json.js';
import { truncate } from '../model/values/text.js';
import { jsonTrouble } from '../policy/text/json-text.js';
import { CliError } from './rest.js';

/**
 * The text of the option, or of the file that `@file` names, checked to be a JSON object. It is given as it was written: parsing it
 * would round its numbers and drop duplicate names, while the service refuses what two parsers could read differently.
 */
export function readJsonOption(name: string, given: string): string {
  const text = given.startsWith('@') ? fileText(name, given.slice(1)) : given.replace(/^\ufeff/, '');
  const trouble = jsonTrouble(text);
  if (trouble !== null)
    throw new CliError(`--${name}: ${trouble.message} ${placeOf(text, trouble.offset)}`, 2);
  if (!isObject(JSON.parse(text)))
    throw new CliError(`--${name} must be a JSON object, not \`${truncate(given, 60)}\``, 2);
  return text;
}

/** A bare word, or quotes of another kind. */
const lacksQuotes = /^[\p{L}_'\p{Pi}\p{Pf}]/u;

function placeOf(text: string, offset: number): string {
  const rest = truncate(text.slice(offset), 40);
  const at = rest === '' ? 'at its end' : `at \`${rest}\``;
  const quotes = lacksQuotes.test(rest)
    ? `: names and texts stand in double quotes, as in '{"name": "text"}'`
    : '';
  return `(line ${text.slice(0, offset).split('\n').length}, ${at})${quotes}; \`@file\` takes it from a file`;
}

/** Throws where the file is not UTF-8: with replacement characters, people would approve another text. */
function fileText(name: string, file: string): string {
  if (!existsSync(file)) throw new CliError(`--${name}: there is no file \`${file}\``, 2);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError(`--${name}: \`${file}\` cannot be read as UTF-8 text: ${why}`, 2);
  }
}

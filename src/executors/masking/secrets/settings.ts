import type { Steps } from '../find.js';
import type { Leaf } from './json-leaves.js';
import { itemsOf, pairsOf, type Pairs } from './quoted.js';

// Lists of settings: connection strings, files of variables, headers.

/** The settings of a text, once for each way of reading it in which it is a list of settings and nothing else. */
export function* settingLists(text: string): Steps<Leaf[][]> {
  const items = (yield* itemsOf(text)).map((list) => list.map(itemSetting));
  const readings = [
    ...items,
    linesOf(text),
    netrcOf(text),
    ...(yield* pairsOf(text)).map((found) => wordsOf(text, found)),
  ];
  return readings.filter((list) => list !== null).filter((list) => list.every((setting) => setting !== null));
}

/** An item between `;`, whose name may contain blanks; null: it is no setting, as base64 that ends with `=`. */
function itemSetting(text: string): Leaf | null {
  if (/^\s*[a-z][a-z0-9+.:-]*:\/\/[^\s=]*$/i.test(text)) return { name: 'address', value: text.trim() };
  const [, name, value = ''] = /^\s*([A-Za-z][\w .-]*)=(.*)$/s.exec(text) ?? [];
  return name === undefined || !saysMore.test(value) ? null : { name, value: value.trim() };
}

/** More than the `=` with which base64 ends. */
const saysMore = /[^=\s]/;

/** The settings of a file of variables, INI or plain YAML; null: the text has only one line. */
function linesOf(text: string): (Leaf | null)[] | null {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const written = lines.filter((line) => line !== '' && line !== '---');
  // Below a line that ends with `:`, what looks like a section of INI is a list in YAML.
  const isSection = (line: string, at: number): boolean =>
    /^\[[A-Za-z _.-]*\]$/.test(line) && written[at - 1]?.endsWith(':') !== true;
  return lines.length < 2 ? null : written.filter((line, at) => !isSection(line, at)).map(lineSetting);
}

/** The setting of a line. The text of a comment or of a list in YAML may be a secret too, under the name `#`. */
function lineSetting(line: string): Leaf | null {
  const [, name, mark, value = ''] =
    /^(?:(?:-\s|export\s)\s*)*["']?([A-Za-z][\w.-]*)["']?\s*(=|:(?=\s|$))(.*)$/s.exec(line) ?? [];
  if (name === undefined)
    return /^(?:#|\[.*\]$)/.test(line) ? { name: '#', value: line.replace(/^[#[]|\]$/g, '').trim() } : null;
  if (saysMore.test(value)) return { name, value: value.trim() };
  // A line of base64 may end with `=` too.
  return mark === '=' ? { name: '', value: line } : { name, value: '' };
}

/** The settings of a `.netrc`, whose words are names and values by turns, in one line or many; null: it is none. */
function netrcOf(text: string): Leaf[] | null {
  const named = /(?:^|\s+)(?:(machine|login|account|password|port)\s+(\S+)|default)(?!\S)/y;
  const found: Leaf[] = [];
  for (let at = 0; at < text.trimEnd().length; at = named.lastIndex) {
    const [whole, name, value = ''] = named.exec(text) ?? [];
    if (whole === undefined) return null;
    if (name !== undefined) found.push({ name, value });
  }
  return found;
}

/** The settings of libpq, and of headers, which begin with a word without a name. */
function wordsOf(text: string, { pairs, rest }: Pairs): Leaf[] | null {
  const [head = '', ...others] = rest.split(/[\s,]+/).filter((word) => word !== '');
  if (others.length > 0 || head.includes(';') || !text.trimStart().startsWith(head)) return null;
  const settings = pairs.map(([name, value]) => ({ name, value }));
  return /^[A-Za-z-]*$/.test(head) ? settings : [{ name: '', value: head }, ...settings];
}

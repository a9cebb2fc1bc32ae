import type { Steps } from './find.js';
import type { Leaf } from './json-leaves.js';
import { itemsOf, pairsOf, type Pairs } from './quoted.js';

// Lists of settings, as connection strings, files of variables and headers are.

/** The settings of the text in each way to read it in which it is a list of them and nothing else. */
export function* settingLists(text: string): Steps<Leaf[][]> {
  const items = (yield* itemsOf(text)).map((one) => one.map(itemSetting));
  const readings = [
    ...items,
    linesOf(text),
    netrcOf(text),
    ...(yield* pairsOf(text)).map((one) => wordsOf(text, one)),
  ];
  return readings.filter((list) => list !== null).filter((list) => list.every((one) => one !== null));
}

/** Between `;`, names may have blanks in them. Null: it is none, as base64 that ends with `=` is none. */
function itemSetting(text: string): Leaf | null {
  if (/^\s*[a-z][a-z0-9+.:-]*:\/\/[^\s=]*$/i.test(text)) return { name: 'address', value: text.trim() };
  const [, name, value = ''] = /^\s*([A-Za-z][\w .-]*)=(.*)$/s.exec(text) ?? [];
  return name === undefined || !saysMore.test(value) ? null : { name, value: value.trim() };
}

/** Than where base64 ends. */
const saysMore = /[^=\s]/;

/** Of a file of variables, of INI, of plain YAML. Null: it is one line. */
function linesOf(text: string): (Leaf | null)[] | null {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const written = lines.filter((line) => line !== '' && line !== '---');
  // Below a name that ends with a `:`, what looks like a section is a list in YAML.
  const isSection = (line: string, at: number): boolean =>
    /^\[[A-Za-z _.-]*\]$/.test(line) && written[at - 1]?.endsWith(':') !== true;
  return lines.length < 2 ? null : written.filter((line, at) => !isSection(line, at)).map(lineSetting);
}

/** What a comment says may be a secret, too, as what a list in YAML does, whatever they begin with. */
function lineSetting(line: string): Leaf | null {
  const [, name, mark, value = ''] =
    /^(?:(?:-\s|export\s)\s*)*["']?([A-Za-z][\w.-]*)["']?\s*(=|:(?=\s|$))(.*)$/s.exec(line) ?? [];
  if (name === undefined)
    return /^(?:#|\[.*\]$)/.test(line) ? { name: '#', value: line.replace(/^[#[]|\]$/g, '').trim() } : null;
  if (saysMore.test(value)) return { name, value: value.trim() };
  // A line of base64 may end with one, too.
  return mark === '=' ? { name: '', value: line } : { name, value: '' };
}

/** Of a `.netrc`, whose words are names and values by turns, in one line or many. Null: it is none. */
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

/** Of libpq, and of headers, which begin with a word of their own. */
function wordsOf(text: string, { pairs, rest }: Pairs): Leaf[] | null {
  const [head = '', ...others] = rest.split(/[\s,]+/).filter((word) => word !== '');
  if (others.length > 0 || head.includes(';') || !text.trimStart().startsWith(head)) return null;
  const settings = pairs.map(([name, value]) => ({ name, value }));
  return /^[A-Za-z-]*$/.test(head) ? settings : [{ name: '', value: head }, ...settings];
}

// How a text was masked at first: every order of undoing its escapes, three deep, each with a copy of its own. Far too slow for
// what a target may answer, and what is quick must find whatever this finds.
import { formsOf, partsOf } from '../../src/executors/forms.js';

export function standsSlowly(secrets: readonly string[], text: string): boolean {
  const parts = [...new Set(secrets.flatMap(partsOf))].filter((part) => part.length >= 6);
  const forms = [...new Set(parts.flatMap(formsOf))].filter((form) => form.length >= 6);
  const any = new RegExp(forms.map((form) => form.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')).join('|'), 'i');
  return [text, ...decodings(text)].some((one) => any.test(one));
}

function decodings(text: string): string[] {
  const found = new Set([text]);
  let fresh = [text];
  for (let round = 0; round < 3 && fresh.length > 0; round += 1) {
    fresh = [...new Set(fresh.flatMap(decodedOnce))].filter((one) => !found.has(one));
    for (const one of fresh) found.add(one);
  }
  return [...found];
}

function decodedOnce(text: string): string[] {
  const found: string[] = [];
  if (text.includes('%')) found.push(percentDecoded(text), percentDecoded(text.replaceAll('+', ' ')));
  if (text.includes('\\')) found.push(text.replace(/\\u([0-9a-fA-F]{4})|\\(.)/gs, unescaped));
  if (/[\r\n\0]/.test(text)) found.push(text.replace(/[\r\n\0]+[ \t]*/g, ''));
  return found;
}

function unescaped(_whole: string, hex: string | undefined, one = ''): string {
  if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
  return { n: '\n', r: '\r' }[one] ?? one;
}

function percentDecoded(text: string): string {
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
  );
}

// What asks a GraphQL server for more than a read, under the address and method of one.

/** `mutation` or `subscription` where a text is a document with such an operation, or has one in quotes or as a form's value. */
export function operationIn(texts: readonly string[]): string | null {
  for (const text of texts) {
    const whole = operationOf(text);
    if (whole !== null) return whole;
    for (const one of [...quotedIn(text), ...new URLSearchParams(text).values()]) {
      const found = operationOf(one) ?? operationInJson(one, mostTexts);
      if (found !== null) return found;
    }
  }
  return null;
}

/** JSON in a text of JSON, so deep: a service hands a request on in it. */
const mostTexts = 2;

/** No document begins as JSON does, and what stands in its quotes is none. */
const json = /^\s*(?:\[|\{\s*")/;

function operationInJson(text: string, left: number): string | null {
  if (left === 0 || !json.test(text)) return null;
  for (const one of quotedIn(text)) {
    const found = operationOf(one) ?? operationInJson(one, left - 1);
    if (found !== null) return found;
  }
  return null;
}

const word = /\w*/y;
const comment = /[^\n\r]*/y;

/** A definition of types may have no braces: any word in it may begin the next one. */
const typeDefinition = /^(?:extend|schema|scalar|type|interface|union|enum|input|directive)$/;

/** A definition begins where the document does and where the one before it ends; its first word says what it is. */
function operationOf(document: string): string | null {
  if (!/mutation|subscription/.test(document)) return null;
  let depth = 0;
  let first = '';
  for (let at = 0; at < document.length; at += 1) {
    const char = document.charAt(at);
    if (char === '#') at += runOf(comment, document, at).length - 1;
    else if (char === '"') at = endOf(document, at, document.startsWith('"""', at) ? '"""' : '"') - 1;
    else if ('({['.includes(char)) {
      if (depth === 0 && char === '{' && isChange(first)) return first;
      depth += 1;
    } else if (')}]'.includes(char)) {
      depth -= 1;
      if (depth === 0 && char === '}') first = '';
    } else if (depth === 0) {
      const next = runOf(word, document, at);
      if (first === '' || (typeDefinition.test(first) && isChange(next))) first = next;
      at += Math.max(next.length - 1, 0);
    }
  }
  return null;
}

function isChange(first: string): boolean {
  return first === 'mutation' || first === 'subscription';
}

function runOf(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? '';
}

/** Where a string ends that begins here, or the text does. */
function endOf(text: string, at: number, mark: '"' | '"""'): number {
  let end = at + mark.length;
  while (end < text.length && !text.startsWith(mark, end)) {
    if (text[end] !== '\\') end += 1;
    else if (mark === '"') end += 2;
    else end += text.startsWith(mark, end + 1) ? 4 : 1;
  }
  return end + mark.length;
}

/** What stands in quotes in JSON and its kin, where it may be of this. */
function quotedIn(text: string): readonly string[] {
  const found: string[] = [];
  for (let at = text.indexOf('"'), end = 0; at >= 0; at = text.indexOf('"', end)) {
    end = endOf(text, at, '"');
    const one = text.slice(at + 1, end - 1);
    if (/mutation|subscription|\\u/i.test(one)) found.push(unescaped(one));
  }
  return found;
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: ' ', f: ' ' };

const hex = /^[\da-f]{4}$/i;

/** By a loop: a megabyte may be escapes throughout. */
function unescaped(text: string): string {
  let read = '';
  let from = 0;
  for (let at = text.indexOf('\\'); at >= 0; at = text.indexOf('\\', from)) {
    const code = text[at + 1] === 'u' ? text.slice(at + 2, at + 6) : '';
    const isCode = hex.test(code);
    const char = text.charAt(at + 1);
    read +=
      text.slice(from, at) + (isCode ? String.fromCharCode(parseInt(code, 16)) : (escapes[char] ?? char));
    from = at + (isCode ? 6 : 2);
  }
  return read + text.slice(from);
}

// Finds GraphQL operations that change something in a request that looks like a read.

/** `mutation` or `subscription` where a text is a GraphQL document with such an operation, or holds such a document in quotes or as a form's value; else null. */
export function operationIn(texts: readonly string[]): string | null {
  for (const text of texts) {
    const whole = operationOf(text);
    if (whole !== null) return whole;
    for (const inner of [...quotedIn(text), ...new URLSearchParams(text).values()]) {
      const found = operationOf(inner) ?? operationInJson(inner, mostTexts);
      if (found !== null) return found;
    }
  }
  return null;
}

/** How many times JSON may be nested in a text of JSON, as where a service hands a request on in another. */
const mostTexts = 2;

/** A text of JSON: no GraphQL document begins like this. */
const json = /^\s*(?:\[|\{\s*")/;

function operationInJson(text: string, left: number): string | null {
  if (left === 0 || !json.test(text)) return null;
  for (const inner of quotedIn(text)) {
    const found = operationOf(inner) ?? operationInJson(inner, left - 1);
    if (found !== null) return found;
  }
  return null;
}

const word = /\w*/y;
const comment = /[^\n\r]*/y;

/** A type definition may have no braces: any word in it may begin the next definition. */
const typeDefinition = /^(?:extend|schema|scalar|type|interface|union|enum|input|directive)$/;

/** A definition begins at the start of the document and where the definition before it ends; its first word says what it is. */
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

/** The index behind the string that begins here, or behind the text where the string does not end. */
function endOf(text: string, at: number, mark: '"' | '"""'): number {
  let end = at + mark.length;
  while (end < text.length && !text.startsWith(mark, end)) {
    if (text[end] !== '\\') end += 1;
    else if (mark === '"') end += 2;
    else end += text.startsWith(mark, end + 1) ? 4 : 1;
  }
  return end + mark.length;
}

/** The strings of JSON and the like that may hold a `mutation` or a `subscription`, with their escapes undone. */
function quotedIn(text: string): readonly string[] {
  const found: string[] = [];
  for (let at = text.indexOf('"'), end = 0; at >= 0; at = text.indexOf('"', end)) {
    end = endOf(text, at, '"');
    const quoted = text.slice(at + 1, end - 1);
    if (/mutation|subscription|\\u/i.test(quoted)) found.push(undoEscapes(quoted));
  }
  return found;
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: ' ', f: ' ' };

const hex = /^[\da-f]{4}$/i;

/** A loop, since a megabyte of text may be nothing but escapes. */
function undoEscapes(text: string): string {
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

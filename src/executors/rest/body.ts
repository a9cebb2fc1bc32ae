import { mediaType, writingOf } from '../../model/http.js';
import { isObject, type Json } from '../../model/values/json.js';

// A body, written as its content type says: a target that reads forms gets a form. Under a type that is neither JSON nor a form
// an object is sent as JSON: a flow that says so is not loaded any more, and a flow that was published before keeps working.

export type Written =
  | { readonly status: 'written'; readonly text: string }
  /** `name`: the value that does not fit; null: the body as a whole. `why` is the rest of a sentence that begins with its name. */
  | { readonly status: 'unfit'; readonly name: string | null; readonly why: string };

/**
 * A text is sent as it is, unless the content type is JSON, where it is a value of JSON. Null is sent as `null` in JSON and lines of
 * JSON, else as an empty text.
 */
export function writeBody(body: Json, contentType: string): Written {
  if (typeof body === 'string' && !isJsonType(contentType)) return { status: 'written', text: body };
  const writing = writingOf(contentType);
  if (writing === 'json') return { status: 'written', text: JSON.stringify(body) };
  if (writing === 'lines') return writeLines(Array.isArray(body) ? (body as readonly Json[]) : [body]);
  if (writing === 'form' && isObject(body)) return writeForm(body);
  if (typeof body !== 'object') return { status: 'written', text: String(body) };
  if (body === null) return { status: 'written', text: '' };
  if (writing === 'text') return { status: 'written', text: JSON.stringify(body) };
  return {
    status: 'unfit',
    name: null,
    why: `is a list, which \`${contentType}\` cannot carry: name its values`,
  };
}

/** The last line has a line end too: targets read a value when its line has ended. */
function writeLines(values: readonly Json[]): Written {
  return { status: 'written', text: values.map((value) => `${JSON.stringify(value)}\n`).join('') };
}

/** Names and plain values. A null is left out, as in query parameters. */
function writeForm(body: { readonly [name: string]: Json }): Written {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(body)) {
    if (value === null) continue;
    if (typeof value === 'object')
      return {
        status: 'unfit',
        name,
        why: `is ${Array.isArray(value) ? 'a list' : 'an object'}, and a form has plain values: give each a name of its own, as its target writes them`,
      };
    form.append(name, String(value));
  }
  return { status: 'written', text: form.toString() };
}

export function isJsonType(contentType: string | undefined): boolean {
  const type = mediaType(contentType);
  return ['application/json', 'text/json'].includes(type) || type.endsWith('+json');
}

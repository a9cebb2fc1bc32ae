/**
 * The address of a connection. Null: it is no http or https URL, or it has a fragment, a query where none is allowed, or credentials,
 * which belong in headers, as references.
 */
export function parseBase(text: string, query: 'query' | 'no query' = 'no query'): URL | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  const plain =
    url.username === '' && url.password === '' && url.hash === '' && (query === 'query' || url.search === '');
  return plain && (url.protocol === 'http:' || url.protocol === 'https:') ? url : null;
}

// What HTTP can carry. The check of a policy and the call use the same rules.

export const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Headers that only the service may set, because they say where a request goes and where it ends. */
export const reservedHeaders: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The media type alone: `application/json` of `Application/JSON; charset=utf-8`. The first of two, which a repeated header gives with a comma between. */
export function mediaType(contentType: string | undefined): string {
  return (contentType ?? '').split(/[;,]/)[0]?.trim().toLowerCase() ?? '';
}

/** Media types in which each line is a JSON value: `application/x-ndjson`, `application/jsonl`, `application/json-lines`. */
const jsonLines = /ndjson|jsonl|json-?(?:lines|stream)/;

/**
 * How a body that is no text is written for its content type: as JSON (also for types such as `application/x-amz-json-1.1`), as lines
 * of JSON, or as a form. For any other type only the author knows, so that the body must be a text.
 */
export function writingOf(contentType: string): 'json' | 'lines' | 'form' | 'text' {
  const type = mediaType(contentType);
  if (jsonLines.test(type)) return 'lines';
  if (/json(?!-seq)/.test(type)) return 'json';
  return type === 'application/x-www-form-urlencoded' ? 'form' : 'text';
}

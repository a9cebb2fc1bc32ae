// What HTTP can carry: the same for the check of a policy and for the call.

export const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** They say where a request goes and where it ends: the service's own, whoever writes the others. */
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

/** `application/json` of `Application/JSON; charset=utf-8`. A proxy that repeats the header makes one of two, with a comma between. */
export function mediaType(contentType: string | undefined): string {
  return (contentType ?? '').split(/[;,]/)[0]?.trim().toLowerCase() ?? '';
}

/** Names that say a line of JSON for each value: `application/x-ndjson`, `application/jsonl`, `application/json-lines`. */
const jsonLines = /ndjson|jsonl|json-?(?:lines|stream)/;

/**
 * How a body that is no text is written under its content type: as JSON, also where the type is of somebody's own
 * (`application/x-amz-json-1.1`), as lines of JSON, or as a form. Under any other, the author alone knows.
 */
export function writingOf(contentType: string): 'json' | 'lines' | 'form' | 'text' {
  const type = mediaType(contentType);
  if (jsonLines.test(type)) return 'lines';
  if (/json(?!-seq)/.test(type)) return 'json';
  return type === 'application/x-www-form-urlencoded' ? 'form' : 'text';
}

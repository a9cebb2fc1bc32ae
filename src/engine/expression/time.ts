// Times that others have written. Nothing is guessed from a text that is no time.

const rfc3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

/** Epoch milliseconds of an RFC 3339 time with a zone; null for anything else, also for a day that no calendar has. */
export function readTime(value: unknown): number | null {
  if (typeof value !== 'string' || !rfc3339.test(value) || value.slice(11, 13) === '24') return null;
  const time = Date.parse(value);
  if (Number.isNaN(time)) return null;
  const date = value.slice(0, 10);
  return new Date(`${date}T00:00:00Z`).toISOString().startsWith(date) ? time : null;
}

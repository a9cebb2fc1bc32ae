/** Node's error codes when a connection could not be made or was lost. */
const lostCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
]);

/**
 * Postgres's codes: 08 connection; 57P01 to 57P05 shutting down, starting or dropped; 57014 statement time-out; 25P03 and 25P04 a
 * transaction that was idle or open for too long (its process had been stopped); 53 out of disk, memory or connections; 25006 a
 * standby; 55P03 a lock that could not be had in time; 58030 input or output failed.
 */
const awayCodes = /^(08...|57P0[1-5]|57014|25P0[34]|53...|25006|55P03|58030)$/;

/** PgBouncer says nearly all that it says under 08P01. These of it are refusals: the same connection is refused later too. */
const poolerRefusals =
  /^(unsupported startup parameter|no such (user|database)|SSL required|login rejected|certificate authentication failed)/i;

/** Messages of errors that node-postgres raises without a code. */
const sentences = [
  /^connection terminated/i,
  /^timeout exceeded when trying to connect/i,
  /^client (was closed and|has encountered a connection error and) is not queryable/i,
  /^query read timeout/i,
  /^timeout expired/i,
  /^connection timed? ?out/i,
];

/** Whether the error means that the store is away: nothing was decided, and the same call can succeed later. */
export function isUnavailable(error: unknown): boolean {
  // Temporal's client raises such errors about its own server.
  if (!(error instanceof Error) || error.name === 'ServiceError') return false;
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.every(isUnavailable);
  const code: unknown = 'code' in error ? error.code : undefined;
  if (code === '08P01' && poolerRefusals.test(error.message)) return false;
  if (typeof code === 'string' && (lostCodes.has(code) || awayCodes.test(code)))
    return isSocketOrDatabase(error, code);
  return sentences.some((sentence) => sentence.test(error.message)) || isUnavailable(error.cause);
}

/** `ENOENT` of a socket means that the store is away; that of a file does not. */
function isSocketOrDatabase(error: Error, code: string): boolean {
  return code !== 'ENOENT' || ('syscall' in error && error.syscall === 'connect');
}

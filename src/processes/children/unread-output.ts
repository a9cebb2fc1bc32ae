/**
 * Has a process go on that serves or changes a store, where nobody reads its output any more (`… | head -1`) or the output cannot
 * be written (a full disk). Its exit code says what came of it.
 */
export function goOnUnread(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
}

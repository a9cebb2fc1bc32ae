/**
 * For a process that serves or changes a store: where nobody reads what it says any more (`… | head -1`), or that cannot
 * be written (a full disk), it goes on, and its exit code says what came of it.
 */
export function goOnUnread(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
}

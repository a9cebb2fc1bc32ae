/**
 * Postgres has no NUL in text and raises an error for one. No id and no name of ours has one, so what
 * a caller asks for with it is simply not found.
 */
export function findable(text: string): string {
  return text.replaceAll('\0', '\uFFFD');
}

export function findableOrNull(text: string | undefined): string | null {
  return text === undefined ? null : findable(text);
}

/** Opaque ids: a prefix that says what they name, and 128 random bits. Derived ids are in derived-ids.ts. */
export type IdPrefix =
  'run' | 'act' | 'apr' | 'dec' | 'evd' | 'msg' | 'key' | 'rec' | 'trc' | 'pay' | 'svc' | 'lnk' | 'ntf';

/** Is it an id of that kind, as `newId` and the functions of derived-ids.ts make them? */
export function isId(prefix: IdPrefix, value: unknown): value is string {
  return typeof value === 'string' && new RegExp(`^${prefix}_[0-9a-f]{32}$`).test(value);
}

export function newId(prefix: IdPrefix): string {
  return `${prefix}_${globalThis.crypto.randomUUID().replaceAll('-', '')}`;
}

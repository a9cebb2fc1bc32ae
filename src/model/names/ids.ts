/** Opaque ids: a prefix that says what they name, and 128 random bits. Derived ids are in derived-ids.ts. */
export type IdPrefix =
  'run' | 'act' | 'apr' | 'dec' | 'evd' | 'msg' | 'key' | 'rec' | 'trc' | 'pay' | 'svc' | 'lnk' | 'ntf';

export function newId(prefix: IdPrefix): string {
  return `${prefix}_${globalThis.crypto.randomUUID().replaceAll('-', '')}`;
}

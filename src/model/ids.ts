/** Opaque ids: a prefix that says what they name, and 128 random bits. */
export type IdPrefix =
  'run' | 'act' | 'apr' | 'dec' | 'msg' | 'key' | 'rec' | 'trc' | 'pay' | 'svc' | 'lnk' | 'ntf';

export function newId(prefix: IdPrefix): string {
  return `${prefix}_${globalThis.crypto.randomUUID().replaceAll('-', '')}`;
}

/** Deterministic: a start that is repeated is the same message. */
export function startMessageId(run: string): string {
  return `msg_${run.slice('run_'.length)}`;
}

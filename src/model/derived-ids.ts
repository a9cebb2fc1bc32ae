import type { IdPrefix } from './ids.js';

// Ids that follow from others or from what they name, so that what is done again has the same: pure.

const digitsOf = (id: string): string => id.slice('run_'.length);

/** A start that is repeated is the same message. */
export function startMessageId(run: string): string {
  return `msg_${digitsOf(run)}`;
}

/** Of the action that a submit asks for: it can be asked about before the run has taken the message. */
export function actionIdOf(message: string): string {
  return `act_${digitsOf(message)}`;
}

export function messageIdOf(action: string): string {
  return `msg_${digitsOf(action)}`;
}

/** `digest`: a SHA-256, as hex or as `sha256:<hex>`. */
export function idFromDigest(prefix: IdPrefix, digest: string): string {
  return `${prefix}_${digest.slice(-64).slice(0, 32)}`;
}

/** Another one for the same kind of thing. */
export function siblingId(id: string, digest: string): string {
  return idFromDigest(id.slice(0, 3) as IdPrefix, digest);
}

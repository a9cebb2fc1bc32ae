import type { IdPrefix } from './ids.js';

// Ids that are derived from other ids or from content, so that a repetition gets the same id. Pure.

const digitsOf = (id: string): string => id.slice('run_'.length);

/** The id of the message of a run's start: a repeated start is the same message. */
export function startMessageId(run: string): string {
  return `msg_${digitsOf(run)}`;
}

/** The id of the action that a submit asks for, so that a caller can ask for it before the run has taken the message. */
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

/** Another id for the same kind of thing. */
export function siblingId(id: string, digest: string): string {
  return idFromDigest(id.slice(0, 3) as IdPrefix, digest);
}

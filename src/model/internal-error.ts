/** Called when the service's own code fails and goes on; `InternalErrors.note` logs and counts it. */
export type OnInternalError = (what: string, error: unknown) => void;

/** Told of what failed in our own code and was survived: `InternalErrors.note` logs it and counts it. */
export type OnInternalError = (what: string, error: unknown) => void;

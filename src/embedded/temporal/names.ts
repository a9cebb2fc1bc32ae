/** Search attributes that every namespace of ours has, all of type Keyword. */
export const searchAttributes = ['CountersignFlow', 'CountersignMode'] as const;

export const namespaceOf = (environment: string): string => `countersign-${environment}`;

/** Closed histories are kept this long: the auditor replays them. */
export const retentionDays = 90;

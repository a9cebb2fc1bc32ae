// What is ours in Temporal, by name.

/** Each environment is a namespace of its own. */
export function namespaceOf(environment: string): string {
  return `countersign-${environment}`;
}

/** Search attributes that every namespace of ours has, all of type Keyword. */
export const searchAttributes = ['CountersignFlow', 'CountersignMode'] as const;

// The names that this product uses in Temporal.

/** The namespace of an environment. */
export function namespaceOf(environment: string): string {
  return `countersign-${environment}`;
}

/** Search attributes of every such namespace, all of type Keyword. */
export const searchAttributes = ['CountersignFlow', 'CountersignMode'] as const;

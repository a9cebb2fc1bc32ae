import { z } from 'zod';

// What answers say of a decision, beside the approval that it is about or within an action.

const text = z.string();

export const who = z.strictObject({ id: text, kind: text });

/** Which of its own values there are, or were, and cannot be read; absent: none. They are null, or empty. */
export const unreadable = <const Part extends string>(...parts: readonly [Part, ...Part[]]) =>
  z.array(z.enum(parts)).optional();

export const decisionFields = {
  decision: z.enum(['approve', 'deny']),
  by: who,
  reason: text.nullable(),
  unreadable: unreadable('reason'),
  at: text,
};

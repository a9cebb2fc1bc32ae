import { z } from 'zod';
import { actionIds, longestReason, reasonInput } from '../../notify/channels/slack/blocks.js';
import { invalid, type Problem } from '../contract/problem.js';
import { readFields } from '../http/bodies/body.js';

// What Slack sends, as far as it is read here. Slack may add fields, so unknown fields are ignored. What we have put into a
// button or a window must come back exactly as it was.

const id = z.string().regex(/^[A-Za-z0-9_.-]{1,200}$/);
const about = { approval: z.string().min(1).max(200), digest: z.string().min(1).max(200) } as const;

const pressed = z.object({
  type: z.literal('block_actions'),
  user: z.object({ id }),
  trigger_id: z.string().min(1).max(500),
  container: z.object({ channel_id: id.optional(), message_ts: id.optional() }).optional(),
  actions: z
    .array(z.object({ action_id: z.string().max(255), value: z.string().max(2_000).optional() }))
    .length(1),
});
const submitted = z.object({
  type: z.literal('view_submission'),
  user: z.object({ id }),
  view: z.object({
    id,
    callback_id: z.string().max(255),
    private_metadata: z.string().max(3_000),
    state: z.object({
      values: z.object({
        [reasonInput.block]: z.object({
          [reasonInput.action]: z.object({
            value: z
              .string()
              .max(longestReason)
              .refine((text) => text.isWellFormed() && !text.includes('\u0000'))
              .nullable()
              .optional(),
          }),
        }),
      }),
    }),
  }),
});
const other = z.object({ type: z.enum(['view_closed', 'message_action', 'shortcut']) });
const payload = z.discriminatedUnion('type', [pressed, submitted, other]);

export type Payload = z.output<typeof payload>;
export type Pressed = z.output<typeof pressed>;
export type Submitted = z.output<typeof submitted>;

/** The value of a button. */
export const buttonValue = z.strictObject(about);
/** What the window hands on from the button that opened it to its submission. */
export const windowMetadata = z.strictObject({ ...about, decision: z.enum(['approve', 'deny']) });
export type WindowMetadata = z.output<typeof windowMetadata>;

export const decisionOf: Readonly<Record<string, 'approve' | 'deny'>> = {
  [actionIds.approve]: 'approve',
  [actionIds.deny]: 'deny',
};

type Read<T> = { readonly kind: 'read'; readonly value: T } | Problem;

export function readPayload(form: Buffer): Read<Payload> {
  const fields = (readFields(form) ?? []).filter(([name]) => name === 'payload');
  return fields.length === 1 ? parseJson(payload, fields[0]?.[1] ?? '', '/payload') : unreadable('/payload');
}

export function parseJson<S extends z.ZodType>(schema: S, text: string, pointer: string): Read<z.output<S>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return unreadable(pointer);
  }
  const parsed = schema.safeParse(value);
  return parsed.success ? { kind: 'read', value: parsed.data } : unreadable(pointer);
}

export function unreadable(pointer: string): Problem {
  return invalid('this is not an interaction with a message of this service', [
    { pointer, message: 'is not what its buttons and windows send' },
  ]);
}

import { z } from 'zod';
import { readTime } from '../../engine/index.js';
import { guardShape } from './actions.js';
import { mostSlots } from '../../model/limits.js';
import { approvalRole, duration, identifier, roleNames, tier } from './basics.js';

// Gates, floors and business hours.

const noTime = 'is no time: write it as `2026-12-24T18:00:00+01:00`';

/** An RFC 3339 time, whose seconds may be left out. A day that is in no calendar is refused. */
const dateTime = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?(?:Z|[+-]\d{2}:\d{2})$/, { error: noTime })
  .refine((text) => readTime(text[16] === ':' ? text : withSeconds(text)) !== null, {
    error: noTime,
  });

function withSeconds(text: string): string {
  return `${text.slice(0, 16)}:00${text.slice(16)}`;
}

/** A stage of a gate's time-out, and the stage that follows it. */
const timeout = z.strictObject({
  after: duration.optional(),
  at: dateTime.optional(),
  hours: z.enum(['all', 'business']).optional(),
  action: z.enum(['deny', 'escalate', 'approve']).optional(),
  to: roleNames.optional(),
  get then() {
    return timeout.optional();
  },
});
export type TimeoutShape = z.infer<typeof timeout>;

const fraction = z
  .number()
  .gt(0, 'is a fraction of the time: between 0 and 1')
  .lt(1, 'is a fraction of the time: between 0 and 1');

const common = {
  roles: roleNames.optional(),
  queue: identifier.optional(),
  quorum: z
    .strictObject({
      count: z.int().min(1).optional(),
      perRole: z
        .record(approvalRole, z.int().min(1).max(100))
        .refine((counts) => Object.values(counts).reduce((sum, count) => sum + count, 0) <= mostSlots, {
          error: `asks for more than ${mostSlots} people together`,
        })
        .optional(),
    })
    .optional(),
  separation: z
    .strictObject({
      requester: z.boolean().optional(),
      author: z.boolean().optional(),
      promoter: z.boolean().optional(),
      approvers: z.boolean().optional(),
    })
    .optional(),
  reason: z.enum(['required', 'optional']).optional(),
  direct: z.enum(['required', 'optional']).optional(),
  timeout: timeout.optional(),
  reminders: z.array(fraction).min(1).max(10).optional(),
};

/** What a gate that asks each time, or never, is given for its condition. */
const condition = z
  .string()
  .min(1)
  .refine((text) => !/^(?:true|always|yes)$/i.test(text), {
    error: 'is no condition: leave `on` out, and the gate asks each time',
  })
  .refine((text) => !/^(?:false|never|no)$/i.test(text), {
    error: 'is no condition: a gate that never asks is left out',
  });

export const gateShape = z.strictObject({
  on: z.union([condition, guardShape]).optional(),
  approver_role: approvalRole.optional(),
  ...common,
  expiresWith: z.string().min(1).optional(),
});
export type GateShape = z.infer<typeof gateShape>;

/** A gate that an environment puts before every effect of these tiers. */
export const floorShape = z.strictObject({
  tiers: z
    .array(z.union([tier, z.literal('none')]))
    .min(1)
    .optional(),
  ...common,
});
export type FloorShape = z.infer<typeof floorShape>;

const clock = /^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/;
const clockTime = z
  .string()
  .regex(clock, { error: 'is no time of day: write `09:00`, or `24:00` for the end of the day' })
  .transform((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)));
export const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

export const hoursShape = z
  .strictObject({
    zone: z.string().refine(isZone, { error: 'is no time zone: write an IANA name such as `Europe/Berlin`' }),
    days: z.array(z.enum(weekdays)).min(1).optional(),
    from: clockTime,
    to: clockTime,
  })
  // An invalid time of day is reported already, and no comparison with it is true.
  .refine((hours) => !(hours.from >= hours.to), {
    error: 'ends before it begins: `from` is earlier than `to`',
  });
export type HoursShape = z.infer<typeof hoursShape>;

function isZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

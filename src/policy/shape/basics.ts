import { z } from 'zod';
import { utf8Length, type Json, type JsonObject } from '../../model/values/json.js';
import { longestName, longestRoleBytes, mostRoles } from '../../model/limits.js';
import { longestPrincipalId } from '../../model/principal.js';
import { isBlank, nameTrouble } from '../../model/values/text.js';

// Shapes of values that occur in all policy files.

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** 366 days. */
const longestMs = 366 * 86_400_000;

/** `200ms`, `30s`, `5m`, `2h`, `3d` to milliseconds. */
function durationMs(text: string): number | null {
  const found = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  if (found === null) return null;
  const ms = Number(found[1]) * units[found[2] as keyof typeof units];
  return ms >= 1 && ms <= longestMs ? ms : null;
}

export const duration = z
  .string()
  .refine((text) => durationMs(text) !== null, {
    error: 'is no duration: write `200ms`, `30s`, `5m`, `2h` or `3d`, 366 days at most',
  })
  .transform((text) => durationMs(text) ?? 0);
export const wholeMs = z.int().min(0).max(longestMs);
export const positiveMs = z.int().min(1).max(longestMs);

let anyLength = false;

/** Runs `fit` without a longest length of names: for flows that were published before there was a longest length. */
export function withNamesOfAnyLength<T>(fit: () => T): T {
  anyLength = true;
  try {
    return fit();
  } finally {
    anyLength = false;
  }
}

const longestRule = (longest: number) => ({
  error: `is longer than ${longest} characters, which are the most here: give a shorter name`,
  when: ({ value }: z.core.ParsePayload) => !anyLength && typeof value === 'string',
});

const nameOf = (longest: number) =>
  z
    .string()
    .min(1)
    .max(longest, longestRule(longest))
    .refine((name) => nameTrouble(name) === null, {
      error: ({ input }) => nameTrouble(String(input)) ?? 'is no name',
      params: { finding: 'NAME_INVALID' },
    })
    .refine((name) => !name.includes('{$.'), {
      error: 'is no name: nothing is filled in here, so write the name itself',
      params: { finding: 'NAME_INVALID' },
    });
/** A name: of roles, queues, permissions, kinds of evidence. Names are compared character by character, and read by eye. */
export const identifier = nameOf(longestName);
/** A role that an approval may name. Bounded in bytes, because it is in an index of the database. */
export const approvalRole = identifier.refine((name) => !anyLength || utf8Length(name) <= longestRoleBytes, {
  error: `is longer than ${longestRoleBytes} bytes, which are the most for a role of an approval: give a shorter name`,
});
export const principalId = nameOf(longestPrincipalId);
/** States and transitions: what a person can read and an address can carry. */
export const labelShape = identifier.regex(/^(?!\s|\.{1,2}$)[^\p{Cc}\p{Cf}\p{Cs}]{1,128}(?<!\s)$/u, {
  error: 'is no name: 128 characters at most, no control characters, no space at either end, not `.` or `..`',
});
export const text = z.string().max(20_000);
/** A text that people read in one line. Trimmed, because YAML's `>` and `|` end it with a line break that nobody meant. */
export const line = z.string().trim();
export const nameShape = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, {
  error: 'is no name: letters, digits, `.`, `_` and `-`, 128 at most',
});
/** The roles that may decide. Their number is bounded, because every decision looks through them. */
export const roleNames = z
  .array(approvalRole)
  .min(1)
  .max(mostRoles, { error: `names more than ${mostRoles} roles: give those people one role together` });
export const json: z.ZodType<Json> = z.json() as z.ZodType<Json>;
export const schema = z.record(z.string(), json) as unknown as z.ZodType<JsonObject>;
export const tier = z.enum(['read_only', 'reversible', 'irreversible']);

/** A reason that people read, so it is not blank. */
export const reason = line
  .max(500)
  .refine((given) => !isBlank(given), { error: 'holds nothing that can be read: say why' });

export const texts = z.record(z.string(), z.string());
export const values = z.record(z.string(), json) as unknown as z.ZodType<JsonObject>;

/** The code of a warning. Unknown codes are reported later, with the nearest code. */
export const warningCode = z.string().min(1);

/** Warnings that the author has read and accepted. `at`: a pointer from where `acknowledge` stands to what the warning is about. */
export const acknowledge = z.array(
  z.strictObject({
    code: warningCode,
    reason: line
      .min(1)
      .max(1_000)
      .refine((given) => !isBlank(given), { error: 'holds nothing that can be read: say why' }),
    at: z
      .string()
      .regex(/^\//, { error: 'starts with `/`: the way from here to what the warning is about' })
      .optional(),
  }),
);

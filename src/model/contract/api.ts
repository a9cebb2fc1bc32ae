import { z } from 'zod';
import { approvalStatuses } from '../approval-status.js';
import { isObject, type Json, type JsonObject } from '../values/json.js';
import { longestName } from '../limits.js';
import { isReservedId, longestPrincipalId, principalKinds } from '../principal.js';
import { recordTypes } from '../records.js';
import { isBlank, nameTrouble } from '../values/text.js';

// The requests of the REST contract. The same schemas validate requests and make the OpenAPI document.

/** Schemas with a name of their own in OpenAPI's components. */
export const apiSchemas = z.registry<{ id: string }>();

export function nameSchema<S extends z.ZodType>(id: string, schema: S): S {
  apiSchemas.add(schema, { id });
  return schema;
}

/** What OpenAPI says of schemas whose JSON Schema zod cannot derive. */
export const described = new Map<z.core.$ZodType, JsonObject>();

function describedAs<S extends z.ZodType>(schema: S, json: JsonObject): S {
  described.set(schema, json);
  return schema;
}

/** zod's own records drop `__proto__`; here every own name stays. */
export const jsonObject = describedAs(z.custom<JsonObject>(isObject, 'must be an object'), {
  type: 'object',
  additionalProperties: true,
});
export const json = describedAs(
  z.custom<Json>((value) => value !== undefined, 'must be a JSON value'),
  {},
);

const printable = /^[^\u0000-\u001f\u007f]*$/;
const printableText = (longest: number) =>
  z.string().min(1).max(longest).regex(printable, 'must not contain control characters');
export const shortText = printableText(longestName);
/** The longest reason of a decision, by whatever door it comes. */
export const mostReasonLength = 4_000;
export const longText = z.string().max(mostReasonLength);
const name = shortText;
/** For a name that a caller makes up, with which others are later compared, by eye and by character. */
const asNewName = (text: z.ZodString) =>
  text.refine((given) => nameTrouble(given) === null, {
    error: ({ input }) => nameTrouble(String(input)) ?? 'is no name',
  });
const newName = asNewName(shortText);
/** A principal's id, as long as a token's subject may be. */
const principalId = printableText(longestPrincipalId);

const isWhole = (text: string): boolean => /^\d{1,15}$/.test(text);
const wholeNumber = z.string().refine(isWhole, 'must be a whole number').transform(Number);
export const indexText = describedAs(wholeNumber, { type: 'integer', minimum: 0 });

/** A text that stands for a number from `least` to `most`; `sentence` is the error for any other text. */
const numberText = (
  sentence: string,
  form: RegExp,
  numberOf: (text: string) => number,
  [least, most]: readonly [number, number],
) =>
  z
    .string()
    .refine((text) => form.test(text) && numberOf(text) >= least && numberOf(text) <= most, sentence)
    .transform(numberOf);

const oneToMost = numberText('must be a whole number, 1 to 500', /^\d{1,15}$/, Number, [1, 500]);
const limit = describedAs(oneToMost.default(50), {
  type: 'integer',
  minimum: 1,
  maximum: 500,
  default: 50,
});
const cursor = z.string().min(1).max(500).optional();
const instant = z.iso.datetime({
  offset: true,
  error: ({ input }) =>
    input === undefined
      ? undefined
      : 'must be a time with its zone, as `2026-12-30T18:00:00Z` or `2026-12-30T18:00:00+01:00` (`+` is `%2B` in an address)',
});
const waitSeconds = describedAs(
  numberText('must be seconds, 0 to 30', /^\d{1,2}(\.\d{1,3})?$/, Number, [0, 30]).default(10),
  { type: 'number', minimum: 0, maximum: 30, default: 10 },
);
const longPollSeconds = describedAs(
  numberText('must be seconds, 0 to 25', /^\d{1,2}(\.\d{1,3})?s?$/, parseFloat, [0, 25]),
  { type: 'string', description: 'how long to wait for an answer: seconds, `25` or `25s`, 25 at most' },
);
const trueOrFalse = describedAs(
  z.enum(['true', 'false']).transform((text) => text === 'true'),
  { type: 'boolean' },
);
/** A record type, or several with commas between. */
const types = describedAs(
  z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(recordTypes))),
  { type: 'string', description: 'record types with commas between' },
);

const durationForm = /^\d{1,4}[smh]$/;
const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };
function durationMs(text: string): number {
  return Number(text.slice(0, -1)) * (unitMs[text.slice(-1)] ?? 0);
}

export const noQuery = z.strictObject({});
/** For pages: mail programs and chats add parameters of their own to an address. */
export const ignoredQuery = z.object({});
export const pageQuery = z.strictObject({ limit, cursor });
export const waitQuery = z.strictObject({ wait: waitSeconds });

// --- flows -------------------------------------------------------------------------------------

export const diffQuery = z.strictObject({ from: indexText, to: indexText });

// --- runs --------------------------------------------------------------------------------------

/** The agent's reasoning, stored verbatim under the run's trace id. */
const trace = nameSchema(
  'Trace',
  z.strictObject({
    prompt: z.string().optional(),
    response: z.string().optional(),
    model: z.string().optional(),
    parameters: json.optional(),
    messages: json.optional(),
  }),
);

/** The submit that comes with a start, in one call. */
export const firstSubmit = nameSchema(
  'FirstSubmit',
  z.strictObject({ transition: name, arguments: jsonObject.optional(), trace: trace.optional() }),
);

/** A name from `removed`. Its length is bounded only by the size of the body, since the name of a floor lists all who decide there. */
const removedName = z.string().min(1).regex(printable, 'must not contain control characters');

export const reloadBody = nameSchema(
  'Reload',
  z.strictObject({ confirm: z.array(removedName).max(10_000).optional() }),
);

export const startBody = nameSchema(
  'StartRun',
  z.strictObject({
    input: jsonObject.optional(),
    environment: name.optional(),
    version: z.int().positive().max(2_147_483_647).optional(),
    mode: z.enum(['live', 'shadow']).optional(),
    trace: trace.optional(),
    submit: firstSubmit.optional(),
  }),
);

export const runsQuery = z.strictObject({
  flow: name.optional(),
  state: name.optional(),
  status: z.enum(['running', 'waiting', 'stuck', 'completed', 'cancelled', 'failed', 'timed_out']).optional(),
  environment: name.optional(),
  startedBy: principalId.optional(),
  limit,
  cursor,
});

export const submitBody = nameSchema(
  'SubmitTransition',
  z.strictObject({
    arguments: jsonObject.optional(),
    expectedVersion: z.int().nonnegative().optional(),
    trace: trace.optional(),
  }),
);

/** A reason that somebody can read. */
const reason = longText.min(1).refine((given) => !isBlank(given), {
  error: 'holds nothing that can be read: say why',
});

export const reasonBody = nameSchema('Operate', z.strictObject({ reason }));

// --- approvals ---------------------------------------------------------------------------------

const inboxFields = {
  status: z.enum(approvalStatuses).optional(),
  role: name.optional(),
  flow: name.optional(),
  environment: name.optional(),
  tool: name.optional(),
  tier: z.enum(['read_only', 'reversible', 'irreversible', 'none']).optional(),
  transition: name.optional(),
  requestedBy: principalId.optional(),
  expiringBefore: instant.optional(),
  text: shortText.optional(),
  order: z.enum(['risk', 'age']).optional(),
};

export const approvalsQuery = z.strictObject({
  ...inboxFields,
  mine: trueOrFalse.optional(),
  claimed: trueOrFalse.optional(),
  delegated: trueOrFalse.optional(),
  view: name.optional(),
  limit,
  cursor,
});

/** A saved inbox: its filters and its order. */
export const viewBody = nameSchema(
  'SaveView',
  z.strictObject({
    ...inboxFields,
    mine: z.boolean().optional(),
    claimed: z.boolean().optional(),
    delegated: z.boolean().optional(),
  }),
);

export const longPollQuery = z.strictObject({ wait: longPollSeconds.optional() });

const shortDuration = numberText(
  'must be a duration as `30s`, `15m` or `2h`, 1 second to 8 hours',
  durationForm,
  durationMs,
  [1_000, 28_800_000],
);
export const claimBody = nameSchema(
  'Claim',
  z.strictObject({
    for: describedAs(shortDuration.optional(), {
      type: 'string',
      description: '`15m` unless said, `8h` at most',
    }),
  }),
);
export const delegateBody = nameSchema(
  'Delegate',
  z.strictObject({ to: principalId, note: longText.optional() }),
);
export const absenceBody = nameSchema(
  'SetAbsence',
  z.strictObject({ from: instant, until: instant, delegate: principalId }),
);

export const batchBody = nameSchema(
  'Batch',
  z.strictObject({
    decisions: z
      .array(
        z.strictObject({
          approval: name,
          decision: z.enum(['approve', 'deny']),
          digest: z.string().max(200).optional(),
          reason: longText.optional(),
        }),
      )
      .min(1)
      .max(100),
    mode: z.enum(['all', 'each']).default('all'),
    /** True by default, so that leaving it out decides nothing. */
    dryRun: z.boolean().default(true),
    /** The token of a dry run of exactly these decisions. */
    token: z.string().max(500).optional(),
  }),
);

export const statsQuery = z.strictObject({
  from: instant.optional(),
  to: instant.optional(),
  flow: name.optional(),
  role: name.optional(),
});

export const decisionBody = nameSchema(
  'Decide',
  z.strictObject({
    decision: z.enum(['approve', 'deny']),
    reason: longText.optional(),
    /** The digest of the approval that was shown; without it 428 `DIGEST_REQUIRED`. */
    digest: z.string().max(200).optional(),
  }),
);

export const linkBody = nameSchema(
  'MakeLink',
  z.strictObject({ minutes: z.int().min(1).max(1_440).default(60) }),
);

// --- audit -------------------------------------------------------------------------------------

const auditFields = {
  actor: principalId.optional(),
  type: types.optional(),
  verdict: name.optional(),
  from: instant.optional(),
  to: instant.optional(),
  asOf: indexText.optional(),
  limit,
  cursor,
};
export const runAuditQuery = z.strictObject(auditFields);
export const auditQuery = z.strictObject({ run: name.optional(), flow: name.optional(), ...auditFields });
export const eventsQuery = z.strictObject({ run: name.optional(), type: types.optional() });

// --- principals --------------------------------------------------------------------------------

export const keyBody = nameSchema(
  'CreateKey',
  z.strictObject({
    id: asNewName(principalId).refine((id) => !isReservedId(id), {
      error: 'is what records call the service itself, or nobody known: give another one',
    }),
    kind: z.enum(principalKinds),
    roles: z.array(newName).max(100).optional(),
    permissions: z.array(newName).max(100).optional(),
    expiresAt: instant.optional(),
  }),
);

/** `window`: how long messages that are under way are still accepted with the retired key. */
export const retireBody = nameSchema(
  'RetireSigningKey',
  z.strictObject({
    window: describedAs(
      numberText(
        'must be a duration as `0s`, `15m` or `2h`, 24 hours at most',
        durationForm,
        durationMs,
        [0, 86_400_000],
      ).default(600_000),
      { type: 'string', description: '`10m` unless said; `0s` where the key may be in other hands' },
    ),
  }),
);

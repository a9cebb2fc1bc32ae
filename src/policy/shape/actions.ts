import { z } from 'zod';
import { kinds } from '../../executors/find-kind.js';
import { mostFallbacks } from '../../model/limits.js';
import { duration, identifier, json, positiveMs, roleNames, wholeMs } from './basics.js';

// Guards, executors, gates and mappings.

export type GuardShape =
  | { kind: 'permission'; permission: string }
  | { kind: 'role'; role: string }
  | { kind: 'expr'; expr: string }
  | {
      kind: 'evidence';
      requires: (string | { kind: string; count?: number | undefined; distinct?: boolean | undefined })[];
    }
  | { kind: 'allOf' | 'all_of' | 'anyOf' | 'any_of'; guards: GuardShape[] }
  | { kind: 'not'; guard: GuardShape };

const requirement = z.union([
  identifier,
  z.strictObject({
    kind: identifier,
    count: z.int().min(1).optional(),
    distinct: z.boolean().optional(),
  }),
]);
export const guardShape: z.ZodType<GuardShape> = z.lazy(() =>
  z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('permission'), permission: identifier }),
    z.strictObject({ kind: z.literal('role'), role: identifier }),
    z.strictObject({ kind: z.literal('expr'), expr: z.string().min(1) }),
    z.strictObject({
      kind: z.literal('evidence'),
      requires: z
        .array(requirement)
        .min(1, { error: 'requires nothing: name at least one kind of evidence' }),
    }),
    z.strictObject({
      kind: z.enum(['allOf', 'all_of', 'anyOf', 'any_of']),
      guards: z.array(guardShape).min(1, { error: 'is empty: name at least one guard' }),
    }),
    z.strictObject({ kind: z.literal('not'), guard: guardShape }),
  ]),
);

export const guards = z.array(guardShape);

const retry = z.strictObject({
  maxAttempts: z.int().min(1).max(100).optional(),
  backoff: z.enum(['none', 'fixed', 'exponential']).optional(),
  initialDelayMs: wholeMs.optional(),
  maxDelayMs: wholeMs.optional(),
  retryOn: z.array(z.enum(['timeout', 'connection', 'rate_limited', 'transient'])).optional(),
});

export interface ReliabilityShape {
  timeout?: number | undefined;
  timeoutMs?: number | undefined;
  retry?: z.infer<typeof retry> | undefined;
  fallback?: { strategy: 'first_success'; executors: ExecutorShape[] } | undefined;
}

export const reliability: z.ZodType<ReliabilityShape> = z.lazy(() =>
  z.strictObject({
    timeout: duration.optional(),
    timeoutMs: positiveMs.optional(),
    retry: retry.optional(),
    fallback: z
      .strictObject({
        strategy: z.literal('first_success'),
        executors: z
          .array(executorShape)
          .min(1)
          .max(mostFallbacks, { error: `are more than ${mostFallbacks}, the most that a step may have` }),
      })
      .optional(),
  }),
);

/** `human_request` is counted by who approved, so nothing but approvals may record it. */
export const evidenceKind = identifier.max(128).refine((kind) => kind !== 'human_request', {
  error: 'is recorded by approvals alone: choose another name',
});

const common = { reliability: reliability.optional(), evidence: evidenceKind.optional() };

const humanShape = z.strictObject({
  kind: z.literal('human'),
  queue: identifier.optional(),
  roles: roleNames.optional(),
  ...common,
});
type HumanShape = z.infer<typeof humanShape>;

/** The keys that all kinds of calls share. Each kind's own keys are in its folder (`src/executors`). */
interface CallShape {
  readonly kind: string;
  readonly connection?: string | undefined;
  readonly idempotencyKey?: boolean | undefined;
  readonly reliability?: ReliabilityShape | undefined;
  readonly evidence?: string | undefined;
}
export type ExecutorShape = HumanShape | CallShape;

export function isHumanShape(shape: ExecutorShape): shape is HumanShape {
  return shape.kind === 'human';
}

const calls = kinds
  .filter(({ connection }) => connection !== null)
  .map(({ kind: name, shape }) =>
    z.strictObject({
      kind: z.literal(name),
      connection: identifier,
      ...shape,
      idempotencyKey: z.boolean().optional(),
      ...common,
    }),
  );
const others = kinds
  .filter(({ connection }) => connection === null)
  .map(({ kind: name, shape }) => z.strictObject({ kind: z.literal(name), ...shape, ...common }));

type AnyShape = (typeof calls)[number] | (typeof others)[number] | typeof humanShape;
export const executorShape = z.discriminatedUnion('kind', [...calls, humanShape, ...others] as unknown as [
  AnyShape,
  ...AnyShape[],
]) as unknown as z.ZodType<ExecutorShape>;

const operation = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const pair = z.array(operation).length(2);
const mappingSpec = z.union([
  z.string(),
  z.number(),
  z.boolean(),
  z.null(),
  z.strictObject({ set: json }),
  z.strictObject({ add: pair }),
  z.strictObject({ subtract: pair }),
  z.strictObject({ multiply: pair }),
  z.strictObject({ divide: pair }),
  z.strictObject({ concat: z.array(operation).min(1) }),
]);
export const mappingShape = z.record(identifier, mappingSpec);
export type MappingShape = z.infer<typeof mappingShape>;

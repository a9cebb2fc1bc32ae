import { z } from 'zod';
import { kinds } from '../../executors/find-kind.js';
import { acknowledge, duration, identifier, nameShape, roleNames } from './basics.js';
import { floorShape, hoursShape } from './gates.js';

// The top-level keys of a policy file, and what it declares besides flows and tools.

/** The keys of a connection that checks look into. Other keys depend on its kind. */
export interface TargetShape {
  readonly kind: string;
  readonly allowPrivate?: boolean;
  readonly command?: string;
  readonly workingDirectory?: string;
  readonly args?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

const targets = kinds.flatMap(({ kind: name, connection }) =>
  connection === null ? [] : [z.strictObject({ kind: z.literal(name), ...connection.shape })],
);
const targetShape = z.discriminatedUnion(
  'kind',
  targets as [(typeof targets)[number], ...typeof targets],
) as unknown as z.ZodType<TargetShape>;
export const connectionShape = z.union([
  targetShape,
  z.strictObject({
    environments: z
      .record(z.string(), targetShape)
      .refine((byEnvironment) => Object.keys(byEnvironment).length > 0, {
        error: 'is empty: name at least one environment',
      }),
  }),
]);

const environmentShape = z.strictObject({
  requireTiers: z.boolean().optional(),
  refuseWarnings: z.boolean().optional(),
  gateTimeout: duration.optional(),
  batchIrreversible: z.boolean().optional(),
  gates: z.array(floorShape).min(1).max(20).optional(),
});

export const fileShape = z.strictObject({
  version: z.literal(1).optional(),
  connections: z.record(nameShape, z.unknown()).optional(),
  environments: z.record(nameShape, z.union([environmentShape, z.null()])).optional(),
  roles: z
    .record(
      identifier,
      z.union([
        z.strictObject({ permissions: z.array(identifier).optional(), hours: hoursShape.optional() }),
        z.null(),
      ]),
    )
    .optional(),
  queues: z.record(identifier, z.strictObject({ roles: roleNames })).optional(),
  tools: z.array(z.unknown()).optional(),
  proxy: z.strictObject({ expose: z.array(z.unknown()) }).optional(),
  workflows: z.record(nameShape, z.unknown()).optional(),
  acknowledge: acknowledge.optional(),
});

export type FileShape = z.infer<typeof fileShape>;

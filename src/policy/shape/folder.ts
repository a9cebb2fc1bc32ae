import { z } from 'zod';
import { acknowledge, duration, identifier, nameShape, roleNames } from './basics.js';
import { floorShape, hoursShape } from './gates.js';

// What a policy file holds at its top, and what it declares besides flows and tools.

const strings = z.record(z.string(), z.string());
const restConnection = z.strictObject({
  kind: z.literal('rest'),
  baseUrl: z.string().min(1),
  allowPrivate: z.boolean().optional(),
  headers: strings.optional(),
});
const mcpConnection = z.strictObject({
  kind: z.literal('mcp'),
  command: z.string().min(1).optional(),
  args: z.array(z.string()).optional(),
  env: strings.optional(),
  workingDirectory: z.string().optional(),
  url: z.string().min(1).optional(),
  allowPrivate: z.boolean().optional(),
  headers: strings.optional(),
});
const cliConnection = z.strictObject({
  kind: z.literal('cli'),
  command: z.string().min(1),
  args: z.array(z.string()).optional(),
  env: strings.optional(),
  workingDirectory: z.string().optional(),
});
export const targetShape = z.discriminatedUnion('kind', [restConnection, mcpConnection, cliConnection]);
export type TargetShape = z.infer<typeof targetShape>;
export const connectionShape = z.union([
  targetShape,
  z.strictObject({
    environments: z.record(z.string(), targetShape).refine((one) => Object.keys(one).length > 0, {
      error: 'is empty: name at least one environment',
    }),
  }),
]);

export const environmentShape = z.strictObject({
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

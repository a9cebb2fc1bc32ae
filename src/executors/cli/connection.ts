import { z } from 'zod';
import { texts } from '../../policy/shape/basics.js';
import type { ConnectionKind } from '../kind.js';
import type { CliConnection } from './types.js';

const shape = {
  command: z.string().min(1),
  args: z.array(z.string()).optional(),
  env: texts.optional(),
  workingDirectory: z.string().optional(),
};

export const cliConnection: ConnectionKind<z.infer<z.ZodObject<typeof shape>>, CliConnection> = {
  shape,
  address: null,
  compile: ({ command, args = [], env = {}, workingDirectory = null }) => ({
    status: 'made',
    connection: { kind: 'cli', command, args, env, workingDirectory },
  }),
  texts: ({ env }) => ({ address: null, headers: {}, env }),
  withTexts: (connection, { env }) => ({ ...connection, env }),
};

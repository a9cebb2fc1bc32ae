import { z } from 'zod';
import { templatePaths } from '../../policy/compile/values.js';
import { json } from '../../policy/shape/basics.js';
import type { Kind } from '../kind.js';
import { buildCliCall } from './call.js';
import { compileCli } from './compile.js';
import { cliConnection } from './connection.js';
import type { CliCall, CliExecutor } from './types.js';

const shape = {
  args: z.array(z.union([z.string(), z.number(), z.boolean()])).optional(),
  stdin: json.optional(),
  allowDashes: z.boolean().optional(),
};
export type CliShape = z.infer<z.ZodObject<typeof shape>>;

const what = 'a command';

export const evidence = 'cli_output';

/** A command, run to its end. */
export const cli: Kind<CliShape, CliExecutor, CliCall> = {
  kind: 'cli',
  connection: cliConnection,
  shape,
  evidence,
  readByWord: what,
  compile: compileCli,
  paths: ({ args, stdin }) => [...args, ...(stdin === null ? [] : [stdin])].flatMap(templatePaths),
  reading: () => ({ writes: null, unproven: { what, isRefused: false } }),
  build: (executor, scopes, _at, room) => buildCliCall(executor, scopes, room),
  preview: ({ connection, args, stdin }) => ({ kind: 'cli', connection, args, stdin }),
  words: ({ connection }) => `calls the command \`${connection}\``,
  outline: (_executor, call) => ({ call: 'the command', sends: call?.args ?? null }),
};

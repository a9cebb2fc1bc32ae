import { z } from 'zod';
import { invalidAddress, isAddress, type CompiledConnection } from '../../policy/check/addresses.js';
import { texts } from '../../policy/shape/basics.js';
import type { ConnectionKind } from '../kind.js';
import type { McpConnection } from './types.js';

const shape = {
  command: z.string().min(1).optional(),
  args: z.array(z.string()).optional(),
  env: texts.optional(),
  workingDirectory: z.string().optional(),
  url: z.string().min(1).optional(),
  allowPrivate: z.boolean().optional(),
  headers: texts.optional(),
};
type McpConnectionShape = z.infer<z.ZodObject<typeof shape>>;

export const mcpConnection: ConnectionKind<McpConnectionShape, McpConnection> = {
  shape,
  address: 'url',
  compile,
  texts: ({ transport }) =>
    transport.kind === 'stdio'
      ? { address: null, headers: {}, env: transport.env }
      : { address: transport.url, headers: transport.headers, env: {} },
  withTexts: ({ transport }, { address, headers, env }) => ({
    kind: 'mcp',
    transport:
      transport.kind === 'stdio'
        ? { ...transport, env }
        : { ...transport, url: address ?? transport.url, headers },
  }),
};

const stdioKeys = ['args', 'env', 'workingDirectory'] as const;
const httpKeys = ['allowPrivate', 'headers'] as const;

function compile(shape: McpConnectionShape): CompiledConnection<McpConnection> {
  const { command, url } = shape;
  if ((command === undefined) === (url === undefined))
    return {
      status: 'invalid',
      key: 'kind',
      message: 'an mcp connection has a `command` or a `url`, one of the two',
    };
  const other = (url === undefined ? httpKeys : stdioKeys).find((key) => shape[key] !== undefined);
  if (other !== undefined)
    return {
      status: 'invalid',
      key: other,
      message: `\`${other}\` means nothing to an mcp connection with a \`${url === undefined ? 'command' : 'url'}\`: remove it`,
    };
  if (command !== undefined) {
    const { args = [], env = {}, workingDirectory = null } = shape;
    const transport = { kind: 'stdio', command, args, env, workingDirectory } as const;
    return { status: 'made', connection: { kind: 'mcp', transport } };
  }
  if (url === undefined || !isAddress(url, 'query')) return invalidAddress('url', url ?? '', 'query');
  const { allowPrivate = false, headers = {} } = shape;
  return {
    status: 'made',
    connection: { kind: 'mcp', transport: { kind: 'http', url, allowPrivate, headers } },
  };
}

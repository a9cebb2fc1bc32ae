import { z } from 'zod';
import { lineTrouble } from '../../model/values/text.js';
import { refuseHoles } from '../../policy/check/holes.js';
import { warnRewritten } from '../../policy/check/rewritten-values.js';
import { errorUnlessPublished } from '../../policy/compile/context.js';
import { compileTemplate, templatePaths } from '../../policy/compile/values.js';
import { values } from '../../policy/shape/basics.js';
import type { Kind } from '../kind.js';
import { buildMcpCall } from './call.js';
import { mcpConnection } from './connection.js';
import type { McpCall, McpExecutor } from './types.js';

const shape = { tool: z.string().min(1), map: values.optional() };
const what = 'an MCP tool';

export const evidence = 'mcp_tool_result';

/** A tool of an MCP server. */
export const mcp: Kind<z.infer<z.ZodObject<typeof shape>>, McpExecutor, McpCall> = {
  kind: 'mcp',
  connection: mcpConnection,
  shape,
  evidence,
  readByWord: what,
  compile: (to, { tool, map }, path) => {
    warnRewritten(to, map ?? null, [...path, 'map']);
    refuseHoles(to, tool, [...path, 'tool'], 'nothing');
    const trouble = lineTrouble(tool);
    if (trouble !== null) errorUnlessPublished(to, 'WRONG_VALUE', [...path, 'tool'], `the name ${trouble}`);
    return { tool, map: map === undefined ? null : compileTemplate(to, map, [...path, 'map']) };
  },
  paths: ({ map }) => (map === null ? [] : templatePaths(map)),
  reading: () => ({ writes: null, unproven: { what, isRefused: false } }),
  build: buildMcpCall,
  preview: ({ connection, tool, arguments: args }) => ({ kind: 'mcp', connection, tool, arguments: args }),
  words: ({ tool, connection }) => `calls \`${tool}\` of \`${connection}\``,
  outline: ({ tool }, call) => ({ call: tool, sends: call?.arguments ?? null }),
};

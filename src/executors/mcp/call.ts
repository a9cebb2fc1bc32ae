import type { Room } from '../../engine/effects/room.js';
import { resolveTemplate } from '../../engine/expression/template.js';
import { isObject, type JsonObject } from '../../model/values/json.js';
import type { At, Built, Scopes } from '../types.js';
import type { McpCall, McpExecutor } from './types.js';
import { pathText, unresolved, unusable } from '../values.js';

// An mcp executor's templates become the arguments of one tool. The connection is not known here.

export function buildMcpCall(executor: McpExecutor, scopes: Scopes, at: At, room: Room): Built<McpCall> {
  const call = (args: JsonObject): Built<McpCall> => ({
    status: 'built',
    call: { kind: 'mcp', connection: executor.connection, tool: executor.tool, arguments: args },
  });
  if (executor.map === null) return call(at === 'onEnter' ? scopes.input : scopes.arguments);
  const resolved = resolveTemplate(executor.map, scopes, room);
  if (resolved.status !== 'resolved') return unresolved(resolved, `\`map\` for tool \`${executor.tool}\``);
  if (!isObject(resolved.value))
    return unusable(pathText(executor.map), '`map`', 'is no object, and a tool takes named arguments');
  return call(resolved.value);
}

import type { JsonObject } from '../model/json.js';
import type { Call } from './types.js';

/** What the approver sees: the call as it will be sent, but for the connection's own headers and environment. */
export function describeCall(call: Call): JsonObject {
  switch (call.kind) {
    case 'rest':
      return {
        kind: 'rest',
        connection: call.connection,
        method: call.method,
        path: call.path,
        query: call.query.map(([name, value]) => ({ name, value })),
        headers: call.headers.map(([name, value]) => ({ name, value })),
        body: call.body ?? null,
      };
    case 'mcp':
      return { kind: 'mcp', connection: call.connection, tool: call.tool, arguments: call.arguments };
    case 'cli':
      return { kind: 'cli', connection: call.connection, args: call.args, stdin: call.stdin };
    case 'noop':
      return { kind: 'noop', output: call.output };
  }
}

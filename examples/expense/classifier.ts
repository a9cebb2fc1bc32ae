// An MCP server over stdio that looks at an expense and says what the policy makes of it.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { z } from 'zod';

const forbidden = new Set(['alcohol', 'gambling', 'fines', 'gifts']);
/** What it cannot classify, it does not guess: the answer is empty, and the run says that it waits. */
const unclassified = new Set(['unknown', 'unclassified']);
const financeAbove = 1_000;

const server = new McpServer({ name: 'classifier', version: '1.0.0' });

server.registerTool(
  'classify_expense',
  {
    title: 'Classify an expense',
    description: 'Says whether an expense fits the policy, and whether finance has to see it.',
    inputSchema: { employee: z.string(), amount: z.number().nonnegative(), category: z.string() },
    outputSchema: { policyOk: z.boolean().optional(), requiresFinance: z.boolean().optional() },
    annotations: { readOnlyHint: true },
  },
  ({ amount, category }) => {
    const verdict = classify(amount, category.trim().toLowerCase());
    return { structuredContent: { ...verdict }, content: [{ type: 'text', text: JSON.stringify(verdict) }] };
  },
);

function classify(amount: number, category: string): { policyOk?: boolean; requiresFinance?: boolean } {
  if (unclassified.has(category)) return {};
  return { policyOk: !forbidden.has(category), requiresFinance: amount > financeAbove };
}

// Its client's end is its own.
process.stdin.on('end', () => process.exit(0));
await server.connect(new StdioServerTransport());

// Flows whose targets fail in every way; `{world}` is the address of the server that does.

const call = (name: string, path: string, more = ''): string =>
  `          ${name}: { target: a, tier: reversible, executor: { kind: rest, connection: world, method: POST, path: ${path}, idempotencyKey: true }${more} }\n`;

export const runPolicies = (world: string): Readonly<Record<string, string>> => ({
  'roles.yaml': 'roles: { finance.controller: { permissions: [] } }\n',
  'connections.yaml': `
connections:
  world: { kind: rest, baseUrl: '${world}', allowPrivate: true }
  closed: { kind: rest, baseUrl: '${world}' }
  unset: { kind: rest, baseUrl: 'env://COUNTERSIGN_TEST_NOT_SET' }
  tool: { kind: mcp, url: '${world}/status/500', allowPrivate: true }
  command: { kind: cli, command: /bin/sh, args: ['-c'] }
`,
  'flows/calls.yaml': `
workflows:
  calls:
    owner: team
    initialState: a
    initialContext: { seen: null }
    states:
      a:
        transitions:
${call('fine', '/echo')}${call('fails', '/status/500')}${call('forbids', '/status/401')}${call('moves', '/status/302')}${call('limits', '/status/429')}${call('garbles', '/malformed')}${call('nests', '/nested')}${call('drops', '/drop')}${call('hangs', '/hang', ', reliability: { timeout: 300ms }')}${call('speaks', '/text', ', output: { seen: $.output.n }')}${call('lacks', '/echo', ', outputSchema: { type: object, required: [n] }')}${call('unfit', '/text', ', outputSchema: { type: object }')}${call('silent', '/echo', ', outputSchema: { type: object }').replace('POST', 'HEAD')}
${call('loses', '/echo', ', outputSchema: { type: object, required: [n] }').replace(', idempotencyKey: true', '')}
          private: { target: a, tier: reversible, executor: { kind: rest, connection: closed, method: POST, path: /echo } }
          unset: { target: a, tier: reversible, executor: { kind: rest, connection: unset, method: POST, path: /echo } }
          tool: { target: a, tier: reversible, executor: { kind: mcp, connection: tool, tool: t, idempotencyKey: true } }
          command: { target: a, tier: reversible, executor: { kind: cli, connection: command, args: ['exit 3'] } }
          pay:
            target: done
            tier: reversible
            executor: { kind: rest, connection: world, method: POST, path: /echo, idempotencyKey: true }
            gate: { roles: [finance.controller] }
      done: { terminal: true }
`,
  'flows/needs.yaml': `
workflows:
  needs:
    owner: team
    initialState: a
    initialContext: { seen: null }
    inputSchema: { type: object, required: [amount], properties: { amount: { type: number } } }
    states:
      a:
        onEnter:
          executor: { kind: noop }
          output: { seen: $.workflow.input.amount }
        transitions:
          end: { target: done }
      done: { terminal: true }
`,
});

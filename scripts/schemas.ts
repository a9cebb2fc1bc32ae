// `npm run schemas` writes a JSON Schema for every kind of policy file from the shapes by which the loader reads these files, so
// that an editor completes and complains as `countersign check` does. `npm run schemas:check` fails if a schema is stale.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { z } from 'zod';
import {
  evidenceKind,
  executorShape,
  guardShape,
  mappingShape,
  reliability,
} from '../src/policy/shape/actions.js';
import { warningCodes } from '../src/policy/text/findings.js';
import { duration, json, nameShape, warningCode } from '../src/policy/shape/basics.js';
import { gateShape } from '../src/policy/shape/gates.js';
import { agentShape, toolShape, workflowShape } from '../src/policy/shape/flows.js';
import { connectionShape, fileShape } from '../src/policy/shape/folder.js';
import { channelShape, notificationsShape, routeShape } from '../src/policy/shape/notifications.js';
import {
  answerShape,
  expectShape,
  principalShape,
  stepShape,
  testsShape,
} from '../src/policy/shape/tests.js';

type JsonSchema = z.core.JSONSchema.JSONSchema;

/** The loader checks the entries of these sections one by one; an editor needs one shape for the whole file. */
const wholeFile = fileShape.extend({
  connections: z.record(nameShape, connectionShape).optional(),
  tools: z.array(toolShape).optional(),
  proxy: z.strictObject({ expose: z.array(toolShape) }).optional(),
  workflows: z.record(nameShape, workflowShape).optional(),
});

const kinds: readonly { readonly name: string; readonly title: string; readonly shape: z.ZodType }[] = [
  {
    name: 'connections',
    title: 'Countersign connections (connections.yaml)',
    shape: wholeFile.pick({ version: true, acknowledge: true, connections: true }),
  },
  {
    name: 'environments',
    title: 'Countersign environments (environments.yaml)',
    shape: wholeFile.pick({ version: true, acknowledge: true, environments: true }),
  },
  {
    name: 'roles',
    title: 'Countersign roles and queues (roles.yaml)',
    shape: wholeFile.pick({ version: true, acknowledge: true, roles: true, queues: true }),
  },
  {
    name: 'tools',
    title: 'Countersign tools (tools/*.yaml)',
    shape: wholeFile.pick({ version: true, acknowledge: true, tools: true, proxy: true }),
  },
  {
    name: 'flows',
    title: 'Countersign flows: state machines, or one declared agent (flows/*.yaml)',
    shape: z.union([wholeFile.pick({ version: true, acknowledge: true, workflows: true }), agentShape]),
  },
  {
    name: 'notifications',
    title: 'Countersign notifications (notifications.yaml)',
    shape: notificationsShape,
  },
  { name: 'tests', title: 'Countersign policy cases (tests/*.test.yaml)', shape: testsShape },
  {
    name: 'mixed',
    title: 'A Countersign policy file of any kind but cases',
    shape: z.union([wholeFile, agentShape]),
  },
];

/** Shapes that each schema file has only once, under a name that a person can read. */
const named = z.registry<{ readonly id: string }>();
for (const [id, shape] of Object.entries({
  guard: guardShape,
  executor: executorShape,
  gate: gateShape,
  mapping: mappingShape,
  reliability,
  tool: toolShape,
  workflow: workflowShape,
  agent: agentShape,
  connection: connectionShape,
  channel: channelShape,
  route: routeShape,
  principal: principalShape,
  answer: answerShape,
  expectation: expectShape,
  step: stepShape,
  json,
}))
  named.add(shape, { id });

const actions = ['submit', 'approve', 'deny', 'answered', 'failed', 'passes', 'cancel', 'retry'];

/** Writes what zod cannot express as JSON Schema, as exactly as JSON Schema can. */
function refine(shape: z.core.$ZodType, schema: JsonSchema): void {
  if (shape === duration) Object.assign(schema, { type: 'string', pattern: '^[0-9]{1,9}(ms|s|m|h|d)$' });
  if (shape === warningCode) Object.assign(schema, { enum: warningCodes });
  if (shape === evidenceKind) Object.assign(schema, { not: { const: 'human_request' } });
  if (shape === stepShape) Object.assign(schema, { oneOf: actions.map((name) => ({ required: [name] })) });
  if (shape === json) for (const key of Object.keys(schema)) Reflect.deleteProperty(schema, key);
  // Every property name is text: the schema need not say so.
  if (JSON.stringify(schema.propertyNames) === '{"type":"string"}') delete schema.propertyNames;
}

/** The schemas by file name. */
export function schemas(): ReadonlyMap<string, JsonSchema> {
  return new Map(
    kinds.map(({ name, title, shape }) => {
      const made = z.toJSONSchema(shape, {
        target: 'draft-2020-12',
        io: 'input',
        unrepresentable: 'any',
        metadata: named,
        override: ({ zodSchema, jsonSchema }) => refine(zodSchema, jsonSchema as JsonSchema),
      });
      const { $schema, ...rest } = made as JsonSchema;
      return [`${name}.schema.json`, { $schema, title, ...rest } as JsonSchema];
    }),
  );
}

const folder = fileURLToPath(new URL('../schemas/', import.meta.url));

async function renderSchemas(): Promise<ReadonlyMap<string, string>> {
  const options = { ...(await resolveConfig(join(folder, 'x.json'))), parser: 'json' };
  const made = new Map<string, string>();
  for (const [name, schema] of schemas()) made.set(name, await format(JSON.stringify(schema), options));
  return made;
}

async function main(check: boolean): Promise<number> {
  const made = await renderSchemas();
  mkdirSync(folder, { recursive: true });
  const present = readdirSync(folder).filter((name) => name.endsWith('.schema.json'));
  const stale = [...made].filter(
    ([name, text]) => !present.includes(name) || readFileSync(join(folder, name), 'utf8') !== text,
  );
  const left = present.filter((name) => !made.has(name));
  if (!check) {
    for (const [name, text] of stale) writeFileSync(join(folder, name), text);
    for (const name of left) rmSync(join(folder, name));
    return 0;
  }
  const names = [...stale.map(([name]) => name), ...left];
  for (const name of names)
    process.stderr.write(`schemas/${name} is not what the shapes say: run \`npm run schemas\`\n`);
  return names.length === 0 ? 0 : 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  process.exitCode = await main(process.argv.includes('--check'));

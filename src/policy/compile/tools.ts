import type { Json, JsonObject } from '../../model/values/json.js';
import { compileSchema } from '../../schema/index.js';
import { beginAnalysis } from '../reachability/analysis.js';
import { argumentsDomain, checkGuards } from '../reachability/comparisons.js';
import {
  error,
  errorUnlessPublished,
  warn,
  type CompiledTool,
  type Compiling,
  type Path,
} from './context.js';
import { compileExecutor } from './executors.js';
import { compileGate } from './gates.js';
import { checkReadOnly } from '../check/read-only.js';
import { checkReads } from '../reachability/reads.js';
import type { ToolShape } from '../shape/shapes.js';
import { compileGuards, compileMapping, compileSentences } from './values.js';

const acceptsObjects = (type: Json): boolean =>
  type === 'object' || (Array.isArray(type) && type.includes('object'));

export function checkSchema(
  to: Compiling,
  schema: JsonObject | undefined,
  path: Path,
  at: 'input' | 'output' = 'input',
): JsonObject | null {
  if (schema === undefined) return null;
  const compiled = compileSchema(schema);
  if (compiled.status === 'invalid')
    error(to, 'SCHEMA_INVALID', path, `the schema does not compile: ${compiled.message}`, 'key');
  else if (at === 'input' && schema['type'] !== undefined && !acceptsObjects(schema['type']))
    error(to, 'SCHEMA_INVALID', [...path, 'type'], 'input is always an object: no input fits this schema');
  const misreading = compiled.status === 'ok' ? compiled.misreading : null;
  if (misreading !== null)
    errorUnlessPublished(
      to,
      'SCHEMA_INVALID',
      path,
      `the schema would not be read as written: ${misreading}`,
      'key',
    );
  if (compiled.status === 'ok')
    for (const unfilled of compiled.unfilled)
      warn(to, 'DEFAULT_NOT_FILLED', [...path, ...unfilled.path], unfilled.message);
  return schema;
}

/** Only what was written: the plan of a flow without sentences stays byte for byte what it was before there were any. */
export function sentencesOf(
  tool: CompiledTool | null,
): Pick<CompiledTool, 'summary' | 'consequence' | 'readOnlyBecause'> {
  return {
    ...(tool?.summary === undefined ? {} : { summary: tool.summary }),
    ...(tool?.consequence === undefined ? {} : { consequence: tool.consequence }),
    ...(tool?.readOnlyBecause === undefined ? {} : { readOnlyBecause: tool.readOnlyBecause }),
  };
}

export function compileTool(to: Compiling, shape: ToolShape, path: Path): CompiledTool {
  beginAnalysis();
  const { executor, reliability, evidence } = compileExecutor(
    to,
    shape.executor,
    shape,
    [...path, 'executor'],
    shape.tier,
  );
  const tool: CompiledTool = {
    name: shape.name,
    title: shape.title ?? shape.name,
    description: shape.description ?? null,
    tier: shape.tier ?? null,
    inputSchema: checkSchema(to, shape.inputSchema, [...path, 'inputSchema']),
    outputSchema: checkSchema(to, shape.outputSchema, [...path, 'outputSchema'], 'output'),
    guards: compileGuards(to, shape.guards, [...path, 'guards']),
    gate: compileGate(to, shape.gate, [...path, 'gate'], {
      source: 'tool',
      name: shape.name,
      bareNames: true,
      tier: shape.tier ?? null,
    }),
    executor,
    output: compileMapping(to, shape.output, [...path, 'output']),
    evidence,
    reliability,
    ...compileSentences(to, shape, path),
    ...(shape.readOnlyBecause === undefined ? {} : { readOnlyBecause: shape.readOnlyBecause }),
  };
  checkReadOnly(to, { ...tool, because: tool.readOnlyBecause }, path);
  checkReads(to, tool, path);
  const domainOf = argumentsDomain(tool.inputSchema);
  checkGuards(
    to,
    tool.guards.map((guard, index) => ({ guard, path: [...path, 'guards', index] })),
    domainOf,
  );
  if (tool.gate?.on) checkGuards(to, [{ guard: tool.gate.on, path: [...path, 'gate', 'on'] }], domainOf);
  return tool;
}

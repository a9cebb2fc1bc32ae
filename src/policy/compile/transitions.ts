import type { JsonObject } from '../../model/values/json.js';
import {
  defaultReliability,
  type Charter,
  type Gate,
  type Tier,
  type Transition,
} from '../../engine/plan.js';
import { callsOf, type Calling } from '../../engine/effects/effects.js';
import { gatesBefore, isGated } from '../../engine/gates/gates.js';
import { compileSchema, tooMuchTogether } from '../../schema/index.js';
import { compileCharterGates, type CharterGates } from './charter.js';
import { argumentsDomain, checkGuards } from '../reachability/comparisons.js';
import { assertKnown, error, warn, type CompiledTool, type Compiling, type Path } from './context.js';
import { compileExecutor } from './executors.js';
import { compileGate, warnUngated, withPeople } from './gates.js';
import { checkReadOnly } from '../check/read-only.js';
import { checkReads, declaresArgument, isClosed } from '../reachability/reads.js';
import type { TransitionShape } from '../shape/shapes.js';
import { checkSchema, sentencesOf } from './tools.js';
import { compileEntries, compileGuard, compileGuards, compileMapping, compileSentences } from './values.js';
import { warnRewritten } from '../check/rewritten-values.js';

function toolOf(to: Compiling, shape: TransitionShape, path: Path): CompiledTool | null {
  if (shape.tool === undefined) return null;
  if (shape.executor !== undefined)
    error(
      to,
      'BOTH_PLACES',
      [...path, 'executor'],
      'a transition has a `tool` or an `executor`, not both',
      'key',
    );
  const isKnown = assertKnown(
    to,
    'UNKNOWN_TOOL',
    'tool',
    shape.tool,
    to.catalog.tools.map((tool) => tool.name),
    [...path, 'tool'],
  );
  return isKnown ? (to.catalog.tools.find((tool) => tool.name === shape.tool) ?? null) : null;
}

/** The transition's own input schema, else its tool's. A submit is checked by both, so they must go together. */
function schemaOf(
  to: Compiling,
  own: JsonObject | null,
  tool: CompiledTool | null,
  path: Path,
): JsonObject | null {
  const ofTool = tool?.inputSchema ?? null;
  const why = own === null || ofTool === null ? null : tooMuchTogether(own, ofTool);
  const untaken = own === null || ofTool === null ? undefined : undeclaredDefault(own, ofTool);
  const trouble =
    untaken === undefined
      ? why
      : `the tool fills in \`${untaken}\`, which this schema does not take, so every call is refused: declare \`${untaken}\``;
  const message = `the schema does not go with that of its tool \`${String(tool?.name)}\`: ${String(trouble)}`;
  if (trouble !== null) error(to, 'SCHEMA_INVALID', [...path, 'inputSchema'], message, 'key');
  return own ?? ofTool;
}

/** The name of an argument that the tool's schema fills in and the transition's own schema never takes; undefined: none. */
function undeclaredDefault(own: JsonObject, ofTool: JsonObject): string | undefined {
  const compiled = compileSchema(ofTool);
  if (!isClosed(own) || compiled.status === 'invalid') return undefined;
  return compiled.filling.names.find((name) => !declaresArgument(own, name));
}

/** The input schema that stands for a tool without a schema. */
const noArguments: JsonObject = { type: 'object', additionalProperties: false };

const noCall: Calling = { executor: null, reliability: defaultReliability };

const ownGate = { source: 'transition', bareNames: true } as const;

export function compileTransition(
  to: Compiling,
  name: string,
  shape: TransitionShape,
  path: Path,
  charter: Charter | null,
  gates: CharterGates,
): Transition {
  const tool = toolOf(to, shape, path);
  const ownExecutor =
    shape.executor === undefined
      ? null
      : compileExecutor(to, shape.executor, shape, [...path, 'executor'], shape.tier);
  if (shape.executor === undefined) refuseWithoutExecutor(to, shape, path);
  const tier = tierOf(to, shape, tool, path);
  const { executor, reliability } = ownExecutor ?? tool ?? noCall;
  checkTier(to, { executor, reliability, tier, charter, path });
  const gate = compileGate(to, shape.gate, [...path, 'gate'], { ...ownGate, name, tier });
  const ownSchema = checkSchema(to, shape.inputSchema, [...path, 'inputSchema']);
  const inputSchema = schemaOf(to, ownSchema, tool, path);
  const isUnderCharter = isGated(charter, { tool: tool?.name ?? null, executor, reliability, tier });
  const fromCharter = isUnderCharter ? compileCharterGates(to, gates, { name, tier, inputSchema }) : [];
  if (charter !== null && tool !== null) warnBlocked(to, charter, tool.name, path);
  const compiled: Transition = {
    name,
    title: shape.title ?? tool?.title ?? name,
    description: shape.description ?? tool?.description ?? null,
    target: shape.target,
    onDeny: shape.onDeny ?? null,
    actor: shape.actor ?? 'agent',
    tier,
    tool: tool?.name ?? null,
    inputSchema,
    ...(ownSchema === null || tool === null ? {} : { toolSchema: tool.inputSchema ?? noArguments }),
    outputSchema:
      checkSchema(to, shape.outputSchema, [...path, 'outputSchema'], 'output') ?? tool?.outputSchema ?? null,
    prefill: compilePrefill(to, shape, [...path, 'prefill']),
    guards: [...(tool?.guards ?? []), ...compileGuards(to, shape.guards, [...path, 'guards'])],
    gates: gatesBefore([withPeople(gate, executor), tool?.gate ?? null, ...fromCharter], tier),
    executor,
    output:
      shape.output === undefined
        ? (tool?.output ?? [])
        : compileMapping(to, shape.output, [...path, 'output']),
    branches: (shape.branches ?? []).map((branch, index) => ({
      when: compileGuard(to, branch.when, [...path, 'branches', index, 'when']),
      target: branch.target,
    })),
    evidence: ownExecutor?.evidence ?? shape.evidence ?? tool?.evidence ?? null,
    reliability,
    ...sentencesOf(tool),
    ...compileSentences(to, shape, path),
    ...(shape.readOnlyBecause === undefined ? {} : { readOnlyBecause: shape.readOnlyBecause }),
  };
  // A mistake of the tool alone is reported in the tool's file.
  if (shape.executor !== undefined || shape.tier !== tool?.tier || shape.readOnlyBecause !== undefined)
    checkReadOnly(to, { ...compiled, because: compiled.readOnlyBecause }, path);
  checkAllReads(to, compiled, gate, path);
  warnUngated(to, compiled, [gate, tool?.gate ?? null, ...fromCharter], path, name);
  return compiled;
}

function compilePrefill(to: Compiling, { prefill }: TransitionShape, path: Path): Transition['prefill'] {
  warnRewritten(to, prefill ?? null, path);
  return compileEntries(to, prefill, path, ['context', 'input']);
}

/** A warning, not an error: at run time the transition is refused, and the refusal recorded. */
function warnBlocked(to: Compiling, charter: Charter, tool: string, path: Path): void {
  const permitted = charter.read.includes(tool) || charter.execute.includes(tool);
  if (permitted && !charter.deny.includes(tool)) return;
  const why = charter.deny.includes(tool) ? 'denies' : 'does not permit';
  warn(
    to,
    'BLOCKED_BY_CHARTER',
    [...path, 'tool'],
    `the charter ${why} \`${tool}\`: the transition is always refused`,
  );
}

function checkAllReads(to: Compiling, transition: Transition, gate: Gate | null, path: Path): void {
  checkReads(to, { ...transition, gate }, path);
  if (gate?.on)
    checkGuards(
      to,
      [{ guard: gate.on, path: [...path, 'gate', 'on'] }],
      argumentsDomain(transition.inputSchema),
    );
  const { name, inputSchema, branches } = transition;
  for (const [index, { when }] of branches.entries())
    checkReads(to, { name, inputSchema, guards: [when], executor: null, output: [] }, [
      ...path,
      'branches',
      index,
    ]);
}

/** For a transition without an executor of its own: keys of executors apply to nothing, or belong to its tool. */
function refuseWithoutExecutor(to: Compiling, shape: TransitionShape, path: Path): void {
  for (const key of ['reliability', 'idempotencyKey'] as const)
    if (shape[key] !== undefined)
      error(
        to,
        'WRONG_VALUE',
        [...path, key],
        shape.tool === undefined
          ? `there is no \`executor\` that \`${key}\` could apply to`
          : `\`${key}\` belongs to the tool: write it there`,
        'key',
      );
}

function tierOf(to: Compiling, shape: TransitionShape, tool: CompiledTool | null, path: Path): Tier | null {
  const ownTier = shape.tier ?? null;
  const tools = tool?.tier ?? null;
  if (ownTier !== null && tools !== null && ownTier !== tools)
    error(to, 'TIER_MISMATCH', [...path, 'tier'], `tool \`${tool?.name ?? ''}\` is ${tools}`);
  return ownTier ?? tools;
}

interface TierCheck extends Calling {
  readonly tier: Transition['tier'];
  readonly charter: Charter | null;
  readonly path: Path;
}

const writeTier = 'write it beside `executor`, in the transition, the tool or the onEnter';

export function checkTier(to: Compiling, { tier, charter, path, ...calling }: TierCheck): void {
  if (callsOf(calling).length === 0 || tier !== null) return;
  if (charter !== null)
    error(
      to,
      'TIER_REQUIRED',
      path,
      `there is no \`tier\`, and under a charter calls without one are refused as unmapped: ${writeTier}`,
      'key',
    );
  else warn(to, 'TIER_MISSING', path, `there is no \`tier\`: ${writeTier}`);
}

import type { JsonObject } from '../../model/json.js';
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
import { charterGates, type CharterGates } from './charter.js';
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
  const known = assertKnown(
    to,
    'UNKNOWN_TOOL',
    'tool',
    shape.tool,
    to.catalog.tools.map((one) => one.name),
    [...path, 'tool'],
  );
  return known ? (to.catalog.tools.find((one) => one.name === shape.tool) ?? null) : null;
}

/** Its own, or its tool's. One submit is checked by both. */
function schemaOf(
  to: Compiling,
  own: JsonObject | null,
  tool: CompiledTool | null,
  path: Path,
): JsonObject | null {
  const ofTool = tool?.inputSchema ?? null;
  const why = own === null || ofTool === null ? null : tooMuchTogether(own, ofTool);
  const untaken = own === null || ofTool === null ? undefined : filledInBeside(own, ofTool);
  const trouble =
    untaken === undefined
      ? why
      : `the tool fills in \`${untaken}\`, which it does not take, so every call is refused: declare \`${untaken}\``;
  const message = `the schema does not go with that of its tool \`${String(tool?.name)}\`: ${String(trouble)}`;
  if (trouble !== null) error(to, 'SCHEMA_INVALID', [...path, 'inputSchema'], message, 'key');
  return own ?? ofTool;
}

/** A name for which the tool's schema has a default and which the transition's own never takes. */
function filledInBeside(own: JsonObject, ofTool: JsonObject): string | undefined {
  const compiled = compileSchema(ofTool);
  if (!isClosed(own) || compiled.status === 'invalid') return undefined;
  return compiled.filling.names.find((name) => !declaresArgument(own, name));
}

/** What a tool takes that has no schema. */
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
  const own =
    shape.executor === undefined
      ? null
      : compileExecutor(to, shape.executor, shape, [...path, 'executor'], shape.tier);
  if (shape.executor === undefined) refuseIdle(to, shape, path);
  const tier = tierOf(to, shape, tool, path);
  const { executor, reliability } = own ?? tool ?? noCall;
  checkTier(to, { executor, reliability, tier, charter, path });
  const gate = compileGate(to, shape.gate, [...path, 'gate'], { ...ownGate, name, tier });
  const ownSchema = checkSchema(to, shape.inputSchema, [...path, 'inputSchema']);
  const inputSchema = schemaOf(to, ownSchema, tool, path);
  const chartered = isGated(charter, { tool: tool?.name ?? null, executor, reliability, tier });
  const fromCharter = chartered ? charterGates(to, gates, { name, tier, inputSchema }) : [];
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
    branches: (shape.branches ?? []).map((one, index) => ({
      when: compileGuard(to, one.when, [...path, 'branches', index, 'when']),
      target: one.target,
    })),
    evidence: own?.evidence ?? shape.evidence ?? tool?.evidence ?? null,
    reliability,
    ...sentencesOf(tool),
    ...compileSentences(to, shape, path),
    ...(shape.readOnlyBecause === undefined ? {} : { readOnlyBecause: shape.readOnlyBecause }),
  };
  // What is wrong with a tool alone is told where it stands.
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

/** It loads: at run time the transition is refused, and the refusal recorded. */
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

/** What only an executor has means nothing without one, and a tool brings its own. */
function refuseIdle(to: Compiling, shape: TransitionShape, path: Path): void {
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
  const own = shape.tier ?? null;
  const tools = tool?.tier ?? null;
  if (own !== null && tools !== null && own !== tools)
    error(to, 'TIER_MISMATCH', [...path, 'tier'], `tool \`${tool?.name ?? ''}\` is ${tools}`);
  return own ?? tools;
}

interface TierCheck extends Calling {
  readonly tier: Transition['tier'];
  readonly charter: Charter | null;
  readonly path: Path;
}

export function checkTier(to: Compiling, { tier, charter, path, ...calling }: TierCheck): void {
  if (callsOf(calling).length === 0 || tier !== null) return;
  if (charter !== null)
    error(
      to,
      'TIER_REQUIRED',
      path,
      'under a charter an executor has a `tier`: an unmapped one is refused',
      'key',
    );
  else warn(to, 'TIER_MISSING', path, 'the executor has no `tier`');
}

import { defaultReliability, type Charter, type Gate, type OnEnter, type Plan, type State, type Transition } from '../engine/plan.js';
import { isObject, type JsonObject } from '../model/json.js';
import { checkSchema, compileExecutor, compileGate, mergeGates } from './actions.js';
import { checkPlan } from './checks.js';
import { assertKnown, error, warn, type CompiledTool, type Compiling, type Path } from './context.js';
import type { AgentShape, GateShape, OnEnterShape, StateShape, TransitionShape, WorkflowShape } from './shapes.js';
import { compileEntries, compileGuard, compileGuards, compileMapping } from './values.js';

// Both notations, one plan.

const defaultChainDepth = 50;

export function compileWorkflow(to: Compiling, name: string, shape: WorkflowShape, path: Path): Plan {
  const charter = compileCharter(to, shape.charter?.permissions, [...path, 'charter', 'permissions']);
  const gates = gateList(shape.charter?.approval_gate);
  const charterGates: CharterGates = { shapes: gates, path: [...path, 'charter', 'approval_gate'] };
  const states = Object.entries(shape.states).map(([state, one]) => compileState(to, state, one, [...path, 'states', state], shape.charter === undefined ? null : (charter ?? emptyCharter), charterGates));
  const plan: Plan = {
    ...header(to, name, shape, path),
    notation: 'states',
    initialState: shape.initialState,
    initialContext: isObject(shape.initialContext) ? shape.initialContext : {},
    linkFilter: shape.linkFilter ?? 'all',
    onTimeout: shape.onTimeout ?? null,
    maxChainDepth: shape.maxChainDepth ?? defaultChainDepth,
    charter: shape.charter === undefined ? null : (charter ?? emptyCharter),
    states,
  };
  checkPlan(to, plan, path);
  return plan;
}

const emptyCharter: Charter = { read: [], execute: [], deny: [], unmapped: [] };

interface CharterGates {
  readonly shapes: readonly GateShape[];
  readonly path: Path;
}

function gateList(gates: GateShape | readonly GateShape[] | undefined): readonly GateShape[] {
  if (gates === undefined) return [];
  return Array.isArray(gates) ? (gates as readonly GateShape[]) : [gates as GateShape];
}

type Header = Pick<Plan, 'v' | 'name' | 'title' | 'description' | 'owner' | 'tags' | 'environment' | 'inputSchema' | 'timeoutMs'>;

function header(to: Compiling, name: string, shape: WorkflowShape | AgentShape, path: Path): Header {
  if (shape.environment !== undefined) assertKnown(to, 'UNKNOWN_ENVIRONMENT', 'environment', shape.environment, to.catalog.policySet.environments.map((one) => one.name), [...path, 'environment']);
  if (shape.owner === undefined) warn(to, 'NO_OWNER', path, `flow \`${name}\` has no \`owner\``);
  if (shape.timeout !== undefined && shape.timeoutMs !== undefined) error(to, 'BOTH_PLACES', [...path, 'timeoutMs'], '`timeout` and `timeoutMs` say the same: keep one', 'key');
  return {
    v: 1,
    name,
    title: shape.title ?? null,
    description: shape.description ?? null,
    owner: shape.owner ?? null,
    tags: shape.tags ?? [],
    environment: shape.environment ?? null,
    inputSchema: checkSchema(to, shape.inputSchema, [...path, 'inputSchema']),
    timeoutMs: shape.timeout ?? shape.timeoutMs ?? null,
  };
}

function compileCharter(to: Compiling, permissions: AgentShape['permissions'] | undefined, path: Path): Charter | null {
  if (permissions === undefined) return null;
  const deny = permissions.deny ?? [];
  for (const list of ['read', 'execute'] as const) {
    for (const [index, tool] of (permissions[list] ?? []).entries()) {
      const at = [...path, list, index];
      const names = to.catalog.tools.map((one) => one.name);
      if (!assertKnown(to, 'UNKNOWN_TOOL', 'tool', tool, names, at)) continue;
      const tier = to.catalog.tools.find((one) => one.name === tool)?.tier ?? null;
      if (tier === null) error(to, 'TIER_MISSING', at, `tool \`${tool}\` has no tier, so a charter cannot permit it: give it \`tier\``);
      if (list === 'read' && tier !== null && tier !== 'read_only') error(to, 'TIER_MISMATCH', at, `tool \`${tool}\` is ${tier}: permit it under \`execute\``);
    }
  }
  return { read: permissions.read ?? [], execute: permissions.execute ?? [], deny, unmapped: [] };
}

function compileState(to: Compiling, name: string, shape: StateShape, path: Path, charter: Charter | null, gates: CharterGates): State {
  const transitions = Object.entries(shape.transitions ?? {});
  if (shape.terminal === true && transitions.length > 0) error(to, 'TERMINAL_TRANSITIONS', [...path, 'transitions'], `state \`${name}\` is terminal and has transitions: remove one of the two`, 'key');
  if (shape.outcome !== undefined && shape.terminal !== true) error(to, 'WRONG_VALUE', [...path, 'outcome'], 'only a terminal state has an `outcome`', 'key');
  return {
    name,
    description: shape.description ?? null,
    goal: shape.goal ?? null,
    terminal: shape.terminal ?? false,
    outcome: shape.outcome ?? null,
    onEnter: shape.onEnter === undefined ? null : compileOnEnter(to, shape.onEnter, [...path, 'onEnter']),
    linkFilter: shape.linkFilter ?? null,
    transitions: transitions.map(([key, one]) => compileTransition(to, key, one, [...path, 'transitions', key], charter, gates)),
  };
}

function compileOnEnter(to: Compiling, shape: OnEnterShape, path: Path): OnEnter {
  if (shape.executor.kind === 'human') error(to, 'WRONG_VALUE', [...path, 'executor', 'kind'], 'entering a state cannot wait for a human: put the executor on a transition');
  const compiled = compileExecutor(to, shape.executor, shape, [...path, 'executor']);
  return { ...compiled, output: compileMapping(to, shape.output, [...path, 'output']) };
}

function toolOf(to: Compiling, shape: TransitionShape, path: Path): CompiledTool | null {
  if (shape.tool === undefined) return null;
  if (shape.executor !== undefined) error(to, 'BOTH_PLACES', [...path, 'executor'], 'a transition has a `tool` or an `executor`, not both', 'key');
  const known = assertKnown(to, 'UNKNOWN_TOOL', 'tool', shape.tool, to.catalog.tools.map((one) => one.name), [...path, 'tool']);
  return known ? (to.catalog.tools.find((one) => one.name === shape.tool) ?? null) : null;
}

function compileTransition(to: Compiling, name: string, shape: TransitionShape, path: Path, charter: Charter | null, gates: CharterGates): Transition {
  const tool = toolOf(to, shape, path);
  const own = shape.executor === undefined ? null : compileExecutor(to, shape.executor, shape, [...path, 'executor']);
  const executor = own?.executor ?? tool?.executor ?? null;
  const tier = shape.tier ?? tool?.tier ?? null;
  if (tool?.tier !== null && tool !== null && shape.tier !== undefined && shape.tier !== tool.tier) error(to, 'TIER_MISMATCH', [...path, 'tier'], `tool \`${tool.name}\` is ${tool.tier}`);
  checkTier(to, { executor: executor?.kind ?? null, tier, charter, path });
  const gate = compileGate(to, shape.gate, [...path, 'gate'], { what: `transition ${name}`, bareNames: true, tier });
  const fromCharter = charter !== null && tool !== null && charter.execute.includes(tool.name) ? charterGates(to, gates, tier) : [];
  return {
    name,
    title: shape.title ?? tool?.title ?? name,
    description: shape.description ?? tool?.description ?? null,
    target: shape.target,
    onDeny: shape.onDeny ?? null,
    actor: shape.actor ?? 'agent',
    tier,
    tool: tool?.name ?? null,
    inputSchema: checkSchema(to, shape.inputSchema, [...path, 'inputSchema']) ?? tool?.inputSchema ?? null,
    outputSchema: checkSchema(to, shape.outputSchema, [...path, 'outputSchema']) ?? tool?.outputSchema ?? null,
    prefill: compileEntries(to, shape.prefill, [...path, 'prefill']),
    guards: [...(tool?.guards ?? []), ...compileGuards(to, shape.guards, [...path, 'guards'])],
    gate: mergeGates([gate, tool?.gate ?? null, ...fromCharter], tier),
    executor,
    output: shape.output === undefined ? (tool?.output ?? []) : compileMapping(to, shape.output, [...path, 'output']),
    branches: (shape.branches ?? []).map((one, index) => ({ when: compileGuard(to, one.when, [...path, 'branches', index, 'when']), target: one.target })),
    evidence: own?.evidence ?? shape.evidence ?? tool?.evidence ?? null,
    reliability: own?.reliability ?? tool?.reliability ?? defaultReliability,
  };
}

interface TierCheck {
  readonly executor: string | null;
  readonly tier: Transition['tier'];
  readonly charter: Charter | null;
  readonly path: Path;
}

function checkTier(to: Compiling, { executor, tier, charter, path }: TierCheck): void {
  if (executor === null || executor === 'human' || executor === 'noop' || tier !== null) return;
  if (charter !== null) error(to, 'TIER_MISSING', path, 'under a charter an executor has a `tier`: an unmapped one is refused', 'key');
  else warn(to, 'TIER_MISSING', path, 'the executor has no `tier`');
}

function charterGates(to: Compiling, gates: CharterGates, tier: Transition['tier']): (Gate | null)[] {
  return gates.shapes.map((shape, index) => compileGate(to, shape, gates.shapes.length === 1 ? gates.path : [...gates.path, index], { what: 'charter', bareNames: true, tier }));
}

/** One state `active` whose transitions are the permitted tools, and `complete`, which ends the run. */
export function compileAgent(to: Compiling, shape: AgentShape, path: Path): Plan {
  const charter = compileCharter(to, shape.permissions, [...path, 'permissions']) ?? emptyCharter;
  const gates: CharterGates = { shapes: gateList(shape.approval_gate), path: [...path, 'approval_gate'] };
  const permitted = [...new Set([...charter.read, ...charter.execute])].filter((name) => !charter.deny.includes(name));
  const tools = permitted.flatMap((name) => to.catalog.tools.find((one) => one.name === name) ?? []);
  const transitions = tools.map((tool) => toolTransition(tool, 'active', charter.execute.includes(tool.name) ? charterGates(to, gates, tool.tier) : []));
  to.warnings.splice(0, to.warnings.length, ...dedupe(to.warnings));
  const plan: Plan = {
    ...header(to, shape.name, shape, path),
    notation: 'agent',
    initialState: 'active',
    initialContext: {},
    linkFilter: 'all',
    onTimeout: null,
    maxChainDepth: defaultChainDepth,
    charter,
    states: [
      { ...emptyState, name: 'active', transitions: [...transitions, { ...bareTransition, name: 'complete', title: 'Complete the run', target: 'completed' }] },
      { ...emptyState, name: 'completed', terminal: true, outcome: 'success' },
    ],
  };
  checkPlan(to, plan, path);
  return plan;
}

function dedupe<T>(problems: readonly T[]): T[] {
  return [...new Map(problems.map((one) => [JSON.stringify(one), one])).values()];
}

const emptyState: Omit<State, 'name'> = { description: null, goal: null, terminal: false, outcome: null, onEnter: null, linkFilter: null, transitions: [] };
const bareTransition: Omit<Transition, 'name' | 'title' | 'target'> = {
  description: null,
  onDeny: null,
  actor: 'agent',
  tier: null,
  tool: null,
  inputSchema: null,
  outputSchema: null,
  prefill: [],
  guards: [],
  gate: null,
  executor: null,
  output: [],
  branches: [],
  evidence: null,
  reliability: defaultReliability,
};

function toolTransition(tool: CompiledTool, target: string, gates: readonly (Gate | null)[]): Transition {
  const { name, title, description, tier, inputSchema, outputSchema, guards, executor, output, evidence, reliability } = tool;
  return { ...bareTransition, name, title, description, target, tier, tool: name, inputSchema, outputSchema, guards, gate: mergeGates([tool.gate, ...gates], tier), executor, output, evidence, reliability };
}

/** `proxy.expose`: a flow `proxy` with one state whose self-loops are its tools. */
export function compileProxy(to: Compiling, tools: readonly CompiledTool[], path: Path): Plan {
  const plan: Plan = {
    v: 1,
    name: 'proxy',
    notation: 'proxy',
    title: null,
    description: 'the exposed tools',
    owner: null,
    tags: [],
    environment: null,
    inputSchema: null,
    timeoutMs: null,
    initialState: 'active',
    initialContext: {},
    linkFilter: 'all',
    onTimeout: null,
    maxChainDepth: defaultChainDepth,
    charter: null,
    states: [{ ...emptyState, name: 'active', transitions: tools.map((tool) => toolTransition(tool, 'active', [])) }],
  };
  for (const [index, tool] of tools.entries()) if (tool.tier === null) warn(to, 'TIER_MISSING', [...path, index], `tool \`${tool.name}\` has no \`tier\``);
  return plan;
}

export function asDefinition(value: unknown): JsonObject {
  return isObject(value) ? value : {};
}

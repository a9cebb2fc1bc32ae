import { gatesBefore } from '../../engine/gates/gates.js';
import { defaultReliability, type Gate, type Plan, type State, type Transition } from '../../engine/plan.js';
import {
  compileCharterGates,
  checkCharterGates,
  compileCharter,
  emptyCharter,
  toGateList,
  type CharterGates,
} from './charter.js';
import { checkPlan } from '../check/checks.js';
import { error, type CompiledTool, type Compiling, type Path } from './context.js';
import { warnUngated } from './gates.js';
import { defaultChainDepth, compileHeader } from './header.js';
import { sentencesOf } from './tools.js';
import type { AgentShape } from '../shape/shapes.js';

// The notation of a declared agent, and the flow `proxy` of exposed tools.

/** A plan with a state `active`, whose transitions are the permitted tools and `complete`, which ends the run. */
export function compileAgent(to: Compiling, shape: AgentShape, path: Path): Plan {
  const charter = compileCharter(to, shape.permissions, [...path, 'permissions']) ?? emptyCharter;
  const gates: CharterGates = {
    shapes: toGateList(shape.approval_gate),
    listed: Array.isArray(shape.approval_gate),
    path: [...path, 'approval_gate'],
  };
  const denied = new Set(charter.deny);
  const permitted = [...new Set([...charter.read, ...charter.execute])].filter((name) => !denied.has(name));
  const byName = new Map(to.catalog.tools.map((tool) => [tool.name, tool]));
  const tools = permitted.flatMap((name) => byName.get(name) ?? []);
  if (permitted.includes('complete'))
    error(
      to,
      'NAME_INVALID',
      [...path, 'permissions'],
      'a tool named `complete` hides the transition that ends the run: give it another name',
      'key',
    );
  const executable = new Set(charter.execute);
  const executed = tools.filter((tool) => executable.has(tool.name));
  checkCharterGates(to, gates, executed);
  const transitions = tools.map((tool) => {
    const fromCharter = executable.has(tool.name) ? compileCharterGates(to, gates, tool) : [];
    warnUngated(to, tool, [tool.gate, ...fromCharter], [...path, 'permissions'], tool.name);
    return toolTransition(tool, 'active', fromCharter);
  });
  const plan: Plan = {
    ...compileHeader(to, shape.name, shape, path),
    notation: 'agent',
    initialState: 'active',
    initialContext: {},
    linkFilter: 'all',
    onTimeout: null,
    maxChainDepth: defaultChainDepth,
    charter,
    states: [
      {
        ...emptyState,
        name: 'active',
        transitions: [
          ...transitions,
          { ...bareTransition, name: 'complete', title: 'Complete the run', target: 'completed' },
        ],
      },
      { ...emptyState, name: 'completed', terminal: true, outcome: 'success' },
    ],
  };
  checkPlan(to, plan, path);
  return plan;
}

const emptyState: Omit<State, 'name'> = {
  description: null,
  goal: null,
  terminal: false,
  outcome: null,
  onEnter: null,
  linkFilter: null,
  transitions: [],
};
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
  gates: [],
  executor: null,
  output: [],
  branches: [],
  evidence: null,
  reliability: defaultReliability,
};

function toolTransition(tool: CompiledTool, target: string, gates: readonly (Gate | null)[]): Transition {
  const {
    name,
    title,
    description,
    tier,
    inputSchema,
    outputSchema,
    guards,
    executor,
    output,
    evidence,
    reliability,
  } = tool;
  return {
    ...bareTransition,
    name,
    title,
    description,
    target,
    tier,
    tool: name,
    inputSchema,
    outputSchema,
    guards,
    gates: gatesBefore([tool.gate, ...gates], tier),
    executor,
    output,
    evidence,
    reliability,
    ...sentencesOf(tool),
  };
}

/** The plan of `proxy.expose`: a flow `proxy` with one state, whose transitions are the tools and lead back to it. */
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
    states: [
      { ...emptyState, name: 'active', transitions: tools.map((tool) => toolTransition(tool, 'active', [])) },
    ],
  };
  checkPlan(to, plan, path);
  return plan;
}

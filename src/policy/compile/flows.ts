import { gatesBefore, isGated } from '../../engine/gates/gates.js';
import type { Charter, OnEnter, Plan, State } from '../../engine/plan.js';
import { isObject } from '../../model/values/json.js';
import {
  compileCharterGates,
  checkCharterGates,
  compileCharter,
  emptyCharter,
  toGateList,
  type CharterGates,
} from './charter.js';
import { checkPlan } from '../check/checks.js';
import { error, type Compiling, type Path } from './context.js';
import { compileExecutor } from './executors.js';
import { defaultChainDepth, compileHeader } from './header.js';
import { refuseHoles } from '../check/holes.js';
import { checkReadOnly } from '../check/read-only.js';
import { checkNoArguments, checkReads } from '../reachability/reads.js';
import { isHumanShape, type OnEnterShape, type StateShape, type WorkflowShape } from '../shape/shapes.js';
import { checkTier, compileTransition } from './transitions.js';
import { compileMapping } from './values.js';
import { warnRewritten } from '../check/rewritten-values.js';

// The notation of flows as state machines (`workflows`).

export function compileWorkflow(to: Compiling, name: string, shape: WorkflowShape, path: Path): Plan {
  const declared = compileCharter(to, shape.charter?.permissions, [...path, 'charter', 'permissions']);
  const charter = shape.charter === undefined ? null : (declared ?? emptyCharter);
  const gates = toGateList(shape.charter?.approval_gate);
  const chartered: CharterGates = {
    shapes: gates,
    listed: Array.isArray(shape.charter?.approval_gate),
    path: [...path, 'charter', 'approval_gate'],
  };
  refuseHoles(to, shape.initialContext ?? null, [...path, 'initialContext'], 'nothing');
  warnRewritten(to, shape.initialContext ?? null, [...path, 'initialContext']);
  const states = Object.entries(shape.states).map(([state, stateShape]) =>
    compileState(to, state, stateShape, [...path, 'states', state], charter, chartered),
  );
  const gated = states.flatMap((state) =>
    state.transitions.filter((transition) => isGated(charter, transition)),
  );
  checkCharterGates(to, chartered, gated);
  const plan: Plan = {
    ...compileHeader(to, name, shape, path),
    notation: 'states',
    initialState: shape.initialState,
    initialContext: isObject(shape.initialContext) ? shape.initialContext : {},
    linkFilter: shape.linkFilter ?? 'all',
    onTimeout: shape.onTimeout ?? null,
    maxChainDepth: shape.maxChainDepth ?? defaultChainDepth,
    charter,
    states,
  };
  checkPlan(to, plan, path);
  return plan;
}

function compileState(
  to: Compiling,
  name: string,
  shape: StateShape,
  path: Path,
  charter: Charter | null,
  gates: CharterGates,
): State {
  const transitions = Object.entries(shape.transitions ?? {});
  if (shape.terminal === true && transitions.length > 0)
    error(
      to,
      'TERMINAL_TRANSITIONS',
      [...path, 'transitions'],
      `state \`${name}\` is terminal and has transitions: remove one of the two`,
      'key',
    );
  if (shape.outcome !== undefined && shape.terminal !== true)
    error(to, 'WRONG_VALUE', [...path, 'outcome'], 'only a terminal state has an `outcome`', 'key');
  return {
    name,
    description: shape.description ?? null,
    goal: shape.goal ?? null,
    terminal: shape.terminal ?? false,
    outcome: shape.outcome ?? null,
    onEnter:
      shape.onEnter === undefined
        ? null
        : compileOnEnter(to, name, shape.onEnter, [...path, 'onEnter'], charter, gates),
    linkFilter: shape.linkFilter ?? null,
    transitions: transitions.map(([key, transition]) =>
      compileTransition(to, key, transition, [...path, 'transitions', key], charter, gates),
    ),
  };
}

function compileOnEnter(
  to: Compiling,
  state: string,
  shape: OnEnterShape,
  path: Path,
  charter: Charter | null,
  chartered: CharterGates,
): OnEnter {
  if (isHumanShape(shape.executor))
    error(
      to,
      'WRONG_VALUE',
      [...path, 'executor', 'kind'],
      'entering a state cannot wait for a human: put the executor on a transition',
    );
  const compiled = compileExecutor(to, shape.executor, shape, [...path, 'executor'], shape.tier);
  const { tier = null } = shape;
  const { executor, reliability } = compiled;
  checkTier(to, { executor, reliability, tier, charter, path });
  const action = { name: `onEnter of ${state}`, tier, inputSchema: null };
  const fromCharter = isGated(charter, { tool: null, executor, reliability, tier })
    ? compileCharterGates(to, chartered, action)
    : [];
  const gates = gatesBefore(fromCharter, tier);
  const output = compileMapping(to, shape.output, [...path, 'output']);
  checkReads(to, { name: 'onEnter', inputSchema: null, ...compiled, output }, path);
  checkNoArguments(to, output, path);
  const because = shape.readOnlyBecause;
  checkReadOnly(to, { ...compiled, tier, because }, path);
  return {
    ...compiled,
    output,
    ...(tier === null ? {} : { tier }),
    ...(gates.length === 0 ? {} : { gates }),
    ...(because === undefined ? {} : { readOnlyBecause: because }),
  };
}

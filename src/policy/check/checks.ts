import { guardsIn, leavesOf } from '../../engine/guards.js';
import {
  asksPeople,
  type Executor,
  type Guard,
  type Mapping,
  type Path as PathOperand,
  type Plan,
  type State,
  type Transition,
} from '../../engine/plan.js';
import { callsOf, type Calling } from '../../engine/effects/effects.js';
import { requireKind } from '../../executors/find-kind.js';
import { defaultEnvironment } from '../../model/policy-set.js';
import { error, warn, type Compiling, type Path } from '../compile/context.js';
import { checkArms } from '../reachability/arms.js';
import { checkGuards, flowDomains, type DomainOf, type PlacedGuard } from '../reachability/comparisons.js';
import { checkGates } from './gate-checks.js';
import { checkNamesDifferInCase, checkGraph } from '../reachability/graph.js';
import { checkStateConditionCount, checkConditionCount, checkMappedCount } from './conditions.js';
import { nearest } from '../text/problems.js';
import { declares, executorPaths, gatePaths, guardPaths, mappingPaths } from '../reachability/reads.js';

// What follows from a plan alone: whether its targets exist, evidence can be produced, values are written, connections lead
// somewhere.

export function checkPlan(to: Compiling, plan: Plan, path: Path): void {
  const names = plan.states.map((state) => state.name);
  const all = new Set(names);
  const assertState = (
    name: string,
    at: Path,
    what: string,
    code: 'DANGLING_TARGET' | 'INITIAL_STATE' = 'DANGLING_TARGET',
  ): void => {
    if (!all.has(name))
      error(to, code, at, `${what} \`${name}\` is no state of this flow`, 'value', () =>
        nearest(name, names),
      );
  };
  if (plan.notation === 'states') {
    assertState(plan.initialState, [...path, 'initialState'], 'initial state', 'INITIAL_STATE');
    if (plan.onTimeout !== null)
      assertState(plan.onTimeout.target, [...path, 'onTimeout', 'target'], 'time-out target');
    if (plan.onTimeout !== null && plan.timeoutMs === null)
      error(
        to,
        'WRONG_VALUE',
        [...path, 'onTimeout'],
        '`onTimeout` without a `timeout` never fires: add one',
        'key',
      );
  }
  for (const state of plan.states) {
    for (const transition of state.transitions)
      checkTransition(to, plan, transition, transitionPath(plan, path, state, transition), assertState);
    if (plan.notation !== 'states') continue;
    checkStateConditionCount(to, state, [...path, 'states', state.name]);
    checkMappedCount(to, state.onEnter?.output ?? [], [...path, 'states', state.name, 'onEnter']);
  }
  if (plan.notation === 'states') checkGraph(to, plan, path);
  checkNamesDifferInCase(to, names, [...path, 'states']);
  checkEvidence(to, plan, path);
  checkConnections(to, plan, path);
  checkGates(to, plan, path, transitionPath);
  if (plan.notation !== 'states') return;
  checkArms(to, plan, path);
  checkContext(to, plan, path);
}

function transitionPath(plan: Plan, path: Path, state: State, transition: Transition): Path {
  return plan.notation === 'states' ? [...path, 'states', state.name, 'transitions', transition.name] : path;
}

function checkTransition(
  to: Compiling,
  plan: Plan,
  transition: Transition,
  path: Path,
  assertState: (name: string, at: Path, what: string) => void,
): void {
  assertState(transition.target, [...path, 'target'], 'target');
  checkConditionCount(to, transition, path);
  checkMappedCount(to, transition.output, path);
  if (transition.onDeny !== null) assertState(transition.onDeny, [...path, 'onDeny'], 'onDeny');
  transition.branches.forEach((branch, index) =>
    assertState(branch.target, [...path, 'branches', index, 'target'], 'target'),
  );
  if (transition.actor === 'deterministic' && transition.inputSchema !== null)
    error(
      to,
      'WRONG_VALUE',
      [...path, 'inputSchema'],
      'nobody submits a deterministic transition, so it takes no arguments',
      'key',
    );
  const { gates, executor, inputSchema, summary } = transition;
  const waits = plan.notation !== 'agent' && (gates.length > 0 || asksPeople(executor));
  const acts = callsOf(transition).length > 0;
  if (waits && !acts && inputSchema === null && summary === undefined)
    warn(
      to,
      'GATE_SHOWS_NOTHING',
      path,
      'the gate has neither an action nor arguments to show to an approver',
    );
}

/** The executors that a step may run: its own, and its fallbacks. */
function executorsOf(step: Calling | null): readonly Executor[] {
  return step?.executor ? [step.executor, ...step.reliability.fallback] : [];
}

/** The kind of evidence that an executor records by itself when it has succeeded; an empty list where it records none. */
function evidenceOf(executor: Executor): string | readonly never[] {
  return asksPeople(executor) ? 'human_request' : (requireKind(executor.kind).evidence ?? []);
}

/** A guard that requires a kind of evidence that nothing in the flow produces never passes. */
function checkEvidence(to: Compiling, plan: Plan, path: Path): void {
  const transitions = plan.states.flatMap((state) => state.transitions);
  const steps = [...transitions, ...plan.states.map((state) => state.onEnter)];
  const produced = new Set<string>([
    ...steps.flatMap(executorsOf).flatMap(evidenceOf),
    ...steps.flatMap((step) => step?.evidence ?? []),
    ...(transitions.some((transition) => transition.gates.length > 0) ? ['human_request'] : []),
  ]);
  for (const { state, transition } of transitionsOf(plan)) {
    const at = transitionPath(plan, path, state, transition);
    const guards = [...transition.guards, ...transition.branches.map((branch) => branch.when)];
    for (const kind of new Set(guards.flatMap(requiredEvidence))) {
      if (!produced.has(kind))
        error(
          to,
          'EVIDENCE_NEVER_PRODUCED',
          at,
          `nothing in this flow records evidence \`${kind}\`: name it with \`evidence:\` on the transition that does`,
          'key',
          () => nearest(kind, [...produced]),
        );
    }
  }
}

function transitionsOf(plan: Plan): readonly { readonly state: State; readonly transition: Transition }[] {
  return plan.states.flatMap((state) => state.transitions.map((transition) => ({ state, transition })));
}

/** Each connection that the flow uses must have a target in the flow's environment. */
function checkConnections(to: Compiling, plan: Plan, path: Path): void {
  const environment = plan.environment ?? defaultEnvironment;
  const check = (step: Calling | null, at: Path): void => {
    for (const executor of executorsOf(step)) {
      if (!('connection' in executor)) continue;
      const entry = to.catalog.policySet.connections.find(
        (connection) => connection.name === executor.connection,
      );
      if (entry === undefined || entry.targets.length === 0) continue;
      if (entry.targets.some((target) => target.environment === null || target.environment === environment))
        continue;
      error(
        to,
        'UNKNOWN_CONNECTION',
        at,
        `connection \`${executor.connection}\` serves no \`${environment}\`, where this flow lives: add it to the connection's \`environments\``,
        'key',
      );
    }
  };
  for (const { state, transition } of transitionsOf(plan))
    check(transition, transitionPath(plan, path, state, transition));
  for (const { name, onEnter } of plan.states) check(onEnter, [...path, 'states', name, 'onEnter']);
}

/** Warns of reads of context keys that are neither in `initialContext` nor written by a mapping: they are always null. */
function checkContext(to: Compiling, plan: Plan, path: Path): void {
  const mappings = plan.states.flatMap((state) => [
    ...(state.onEnter?.output ?? []),
    ...state.transitions.flatMap((transition) => transition.output),
  ]);
  const written = new Set([...Object.keys(plan.initialContext), ...mappings.map((mapping) => mapping.key)]);
  checkNamesDifferInCase(to, [...written], [...path, 'initialContext']);
  const guarded = guardedKeys(plan);
  const domains = flowDomains(plan);
  for (const { name, onEnter } of plan.states)
    for (const read of [
      ...executorsOf(onEnter).flatMap(executorPaths),
      ...mappingPaths(onEnter?.output ?? []),
    ])
      warnUnwritten(to, plan, read, written, [...path, 'states', name, 'onEnter']);
  for (const { state, transition } of transitionsOf(plan)) {
    const reads = [
      ...[...transition.guards, ...transition.branches.map((branch) => branch.when)].flatMap(guardPaths),
      ...transition.gates.flatMap(gatePaths),
      ...executorsOf(transition).flatMap(executorPaths),
      ...mappingPaths(transition.output),
    ];
    const at = transitionPath(plan, path, state, transition);
    for (const read of reads) warnUnwritten(to, plan, read, written, at);
    for (const mapping of transition.output) warnGuardedKeyFromArguments(to, mapping, guarded, at);
    checkTransitionGuards(to, transition, domains(transition.inputSchema), at);
  }
}

function guardedKeys(plan: Plan): ReadonlySet<string> {
  const guards = transitionsOf(plan).flatMap(({ transition }) => guardsIn(transition));
  const read = guards.flatMap(guardPaths).filter((operand) => operand.scope === 'context');
  return new Set(read.flatMap(({ segments }) => segments.slice(0, 1)));
}

/** Warns where a key that guards read is written from arguments: then the caller decides what guards see. */
function warnGuardedKeyFromArguments(
  to: Compiling,
  mapping: Mapping,
  guarded: ReadonlySet<string>,
  at: Path,
): void {
  if (!guarded.has(mapping.key)) return;
  const from = mappingPaths([mapping]).find((read) => read.scope === 'arguments');
  if (from === undefined) return;
  warn(
    to,
    'GUARDED_KEY_FROM_ARGUMENTS',
    [...at, 'output', mapping.key],
    `guards read \`$.context.${mapping.key}\`, and here the caller writes it: \`${from.text}\` is what was submitted`,
  );
}

/** A tool's guards stand before the transition's own guards; warnings about them alone belong to the tool. */
function checkTransitionGuards(to: Compiling, transition: Transition, domainOf: DomainOf, at: Path): void {
  const { guards, branches, tool } = transition;
  const tools =
    tool === null ? 0 : (to.catalog.tools.find((entry) => entry.name === tool)?.guards.length ?? 0);
  const placed: readonly PlacedGuard[] = guards.map((guard, index) => ({
    guard,
    path: index < tools ? [...at, 'tool'] : [...at, 'guards', index - tools],
  }));
  checkGuards(to, placed, domainOf, (condition) => placed.indexOf(condition) >= tools);
  for (const [index, { when }] of branches.entries())
    checkGuards(to, [{ guard: when, path: [...at, 'branches', index, 'when'] }], domainOf);
}

function warnUnwritten(
  to: Compiling,
  plan: Plan,
  read: PathOperand,
  written: ReadonlySet<string>,
  at: Path,
): void {
  const [name] = read.segments;
  if (name === undefined) return;
  if (read.scope === 'context' && !written.has(name))
    warn(
      to,
      'NEVER_WRITTEN',
      at,
      `nothing writes what \`${read.text}\` reads: put it into \`initialContext\` or an \`output\``,
    );
  if (read.scope === 'input' && !declares(plan.inputSchema, { ...read, scope: 'arguments' }))
    warn(to, 'NEVER_WRITTEN', at, `the flow's \`inputSchema\` does not declare what \`${read.text}\` reads`);
}

function requiredEvidence(guard: Guard): string[] {
  return leavesOf(guard).flatMap((leaf) =>
    leaf.kind === 'evidence' ? leaf.requires.map(({ kind }) => kind) : [],
  );
}

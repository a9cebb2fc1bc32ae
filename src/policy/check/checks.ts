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
import { kindNamed } from '../../executors/kinds.js';
import { defaultEnvironment } from '../../model/policy-set.js';
import { error, warn, type Compiling, type Path } from '../compile/context.js';
import { checkArms } from '../reachability/arms.js';
import { checkGuards, flowDomains, type DomainOf, type Placed } from '../reachability/comparisons.js';
import { checkGates } from './gate-checks.js';
import { checkCase, checkGraph } from '../reachability/graph.js';
import { checkConditionsIn, checkConditionsOf, checkMapped } from './conditions.js';
import { nearest } from '../text/problems.js';
import { declares, executorPaths, gatePaths, guardPaths, mappingPaths } from '../reachability/reads.js';

// What a plan says of itself: targets, ways to an end, evidence, arguments.

export function checkPlan(to: Compiling, plan: Plan, path: Path): void {
  const names = plan.states.map((one) => one.name);
  const all = new Set(names);
  const known = (
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
    known(plan.initialState, [...path, 'initialState'], 'initial state', 'INITIAL_STATE');
    if (plan.onTimeout !== null)
      known(plan.onTimeout.target, [...path, 'onTimeout', 'target'], 'time-out target');
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
      checkTransition(to, plan, transition, transitionPath(plan, path, state, transition), known);
    if (plan.notation !== 'states') continue;
    checkConditionsIn(to, state, [...path, 'states', state.name]);
    checkMapped(to, state.onEnter?.output ?? [], [...path, 'states', state.name, 'onEnter']);
  }
  if (plan.notation === 'states') checkGraph(to, plan, path);
  checkCase(to, names, [...path, 'states']);
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
  known: (name: string, at: Path, what: string) => void,
): void {
  known(transition.target, [...path, 'target'], 'target');
  checkConditionsOf(to, transition, path);
  checkMapped(to, transition.output, path);
  if (transition.onDeny !== null) known(transition.onDeny, [...path, 'onDeny'], 'onDeny');
  transition.branches.forEach((one, index) =>
    known(one.target, [...path, 'branches', index, 'target'], 'target'),
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

/** What a step may run: its executor, and what is tried in its stead. */
function executorsOf(step: Calling | null): readonly Executor[] {
  return step?.executor ? [step.executor, ...step.reliability.fallback] : [];
}

/** What an executor records by itself when it has succeeded. */
function evidenceOf(executor: Executor): string | readonly never[] {
  return asksPeople(executor) ? 'human_request' : (kindNamed(executor.kind).evidence ?? []);
}

/** A kind of evidence that nothing in the flow can produce leaves its guard closed for ever. */
function checkEvidence(to: Compiling, plan: Plan, path: Path): void {
  const transitions = plan.states.flatMap((one) => one.transitions);
  const steps = [...transitions, ...plan.states.map((one) => one.onEnter)];
  const produced = new Set<string>([
    ...steps.flatMap(executorsOf).flatMap(evidenceOf),
    ...steps.flatMap((one) => one?.evidence ?? []),
    ...(transitions.some((one) => one.gates.length > 0) ? ['human_request'] : []),
  ]);
  for (const { state, transition } of everyTransition(plan)) {
    const at = transitionPath(plan, path, state, transition);
    const guards = [...transition.guards, ...transition.branches.map((one) => one.when)];
    for (const kind of new Set(guards.flatMap(requiredKinds))) {
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

function everyTransition(plan: Plan): readonly { readonly state: State; readonly transition: Transition }[] {
  return plan.states.flatMap((state) => state.transitions.map((transition) => ({ state, transition })));
}

/** Where the flow lives, each of its connections leads somewhere. */
function checkConnections(to: Compiling, plan: Plan, path: Path): void {
  const environment = plan.environment ?? defaultEnvironment;
  const check = (step: Calling | null, at: Path): void => {
    for (const executor of executorsOf(step)) {
      if (!('connection' in executor)) continue;
      const entry = to.catalog.policySet.connections.find((one) => one.name === executor.connection);
      if (entry === undefined || entry.targets.length === 0) continue;
      if (entry.targets.some((one) => one.environment === null || one.environment === environment)) continue;
      error(
        to,
        'UNKNOWN_CONNECTION',
        at,
        `connection \`${executor.connection}\` serves no \`${environment}\`, where this flow lives: add it to the connection's \`environments\``,
        'key',
      );
    }
  };
  for (const { state, transition } of everyTransition(plan))
    check(transition, transitionPath(plan, path, state, transition));
  for (const { name, onEnter } of plan.states) check(onEnter, [...path, 'states', name, 'onEnter']);
}

/** A context value that is neither there at the start nor written by any mapping is null for ever. */
function checkContext(to: Compiling, plan: Plan, path: Path): void {
  const mappings = plan.states.flatMap((one) => [
    ...(one.onEnter?.output ?? []),
    ...one.transitions.flatMap((transition) => transition.output),
  ]);
  const written = new Set([...Object.keys(plan.initialContext), ...mappings.map((one) => one.key)]);
  checkCase(to, [...written], [...path, 'initialContext']);
  const guarded = guardedKeys(plan);
  const domains = flowDomains(plan);
  for (const { name, onEnter } of plan.states)
    for (const one of [
      ...executorsOf(onEnter).flatMap(executorPaths),
      ...mappingPaths(onEnter?.output ?? []),
    ])
      warnUnwritten(to, plan, one, written, [...path, 'states', name, 'onEnter']);
  for (const { state, transition } of everyTransition(plan)) {
    const reads = [
      ...[...transition.guards, ...transition.branches.map((one) => one.when)].flatMap(guardPaths),
      ...transition.gates.flatMap(gatePaths),
      ...executorsOf(transition).flatMap(executorPaths),
      ...mappingPaths(transition.output),
    ];
    const at = transitionPath(plan, path, state, transition);
    for (const one of reads) warnUnwritten(to, plan, one, written, at);
    for (const one of transition.output) warnTakenOver(to, one, guarded, at);
    checkConditions(to, transition, domains(transition.inputSchema), at);
  }
}

function guardedKeys(plan: Plan): ReadonlySet<string> {
  const guards = everyTransition(plan).flatMap(({ transition }) => [
    ...transition.guards,
    ...transition.branches.map((one) => one.when),
    ...transition.gates.flatMap(({ on }) => on ?? []),
  ]);
  const read = guards.flatMap(guardPaths).filter((one) => one.scope === 'context');
  return new Set(read.flatMap(({ segments }) => segments.slice(0, 1)));
}

/** Whoever submits then says what a guard is to believe. */
function warnTakenOver(to: Compiling, mapping: Mapping, guarded: ReadonlySet<string>, at: Path): void {
  if (!guarded.has(mapping.key)) return;
  const from = mappingPaths([mapping]).find((one) => one.scope === 'arguments');
  if (from === undefined) return;
  warn(
    to,
    'GUARDED_KEY_FROM_ARGUMENTS',
    [...at, 'output', mapping.key],
    `guards read \`$.context.${mapping.key}\`, and here the caller writes it: \`${from.text}\` is what was submitted`,
  );
}

/** A tool's own guards stand before the transition's: they are told about where the tool is. */
function checkConditions(to: Compiling, transition: Transition, domainOf: DomainOf, at: Path): void {
  const { guards, branches, tool } = transition;
  const tools = tool === null ? 0 : (to.catalog.tools.find((one) => one.name === tool)?.guards.length ?? 0);
  const placed: readonly Placed[] = guards.map((guard, index) => ({
    guard,
    path: index < tools ? [...at, 'tool'] : [...at, 'guards', index - tools],
  }));
  checkGuards(to, placed, domainOf, (one) => placed.indexOf(one) >= tools);
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

function requiredKinds(guard: Guard): string[] {
  switch (guard.kind) {
    case 'evidence':
      return guard.requires.map((one) => one.kind);
    case 'allOf':
    case 'anyOf':
      return guard.guards.flatMap(requiredKinds);
    case 'not':
      return requiredKinds(guard.guard);
    default:
      return [];
  }
}

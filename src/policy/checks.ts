import type { Executor, Guard, Mapping, Operand, Plan, State, Template, Transition } from '../engine/plan.js';
import { isObject } from '../model/json.js';
import { error, warn, type Compiling, type Path } from './context.js';
import { nearest } from './problems.js';

// What a plan says of itself: targets, ways to an end, evidence, arguments.

export function checkPlan(to: Compiling, plan: Plan, path: Path): void {
  const names = plan.states.map((one) => one.name);
  const known = (name: string, at: Path, what: string): void => {
    if (!names.includes(name))
      error(
        to,
        'UNKNOWN_STATE',
        at,
        `${what} \`${name}\` is no state of this flow`,
        'value',
        nearest(name, names),
      );
  };
  if (plan.notation === 'states') {
    known(plan.initialState, [...path, 'initialState'], 'initial state');
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
  }
  if (plan.notation === 'states') checkGraph(to, plan, path);
  checkCase(to, names, [...path, 'states']);
  checkEvidence(to, plan, path);
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
  const gate = plan.notation === 'agent' ? null : transition.gate;
  const reads = [
    ...transition.guards.flatMap(guardPaths),
    ...guardPaths(gate?.on ?? null),
    ...(transition.executor === null ? [] : executorPaths(transition.executor)),
    ...mappingPaths(transition.output),
  ];
  for (const operand of reads) checkArgument(to, transition, operand, path);
  if (gate !== null && transition.executor === null && transition.inputSchema === null)
    warn(
      to,
      'GATE_SHOWS_NOTHING',
      path,
      'the gate has neither an action nor arguments to show to an approver',
    );
}

/** A read of an argument that no schema declares can never be what its author meant. */
function checkArgument(to: Compiling, transition: Transition, operand: Operand, path: Path): void {
  if (operand.kind !== 'path' || operand.scope !== 'arguments') return;
  const name = operand.segments[0];
  const properties = transition.inputSchema?.['properties'];
  const declared = isObject(properties) ? Object.keys(properties) : [];
  const open =
    transition.inputSchema !== null &&
    (transition.inputSchema['additionalProperties'] === true ||
      '$ref' in transition.inputSchema ||
      'allOf' in transition.inputSchema);
  if (name === undefined || declared.includes(name) || open) return;
  error(
    to,
    'UNDECLARED_ARGUMENT',
    path,
    `\`${operand.text}\` reads an argument that the input schema of \`${transition.name}\` does not declare`,
    'key',
    nearest(name, declared),
  );
}

function guardPaths(guard: Guard | null): Operand[] {
  switch (guard?.kind) {
    case 'expr':
      return [guard.expr.left, guard.expr.right];
    case 'allOf':
    case 'anyOf':
      return guard.guards.flatMap(guardPaths);
    case 'not':
      return guardPaths(guard.guard);
    default:
      return [];
  }
}

function templatePaths(template: Template): Operand[] {
  switch (template.kind) {
    case 'path':
      return template.optional ? [] : [template];
    case 'text':
      return template.parts.flatMap((one) => (typeof one === 'string' || one.optional ? [] : [one]));
    case 'object':
      return template.entries.flatMap((one) => templatePaths(one.value));
    case 'array':
      return template.items.flatMap(templatePaths);
    case 'literal':
      return [];
  }
}

function executorPaths(executor: Executor): Operand[] {
  switch (executor.kind) {
    case 'rest':
      return [
        ...templatePaths(executor.path),
        ...[...executor.query, ...executor.headers].flatMap((one) => templatePaths(one.value)),
        ...(executor.body === null ? [] : templatePaths(executor.body)),
      ];
    case 'mcp':
      return executor.map === null ? [] : templatePaths(executor.map);
    case 'cli':
      return [
        ...executor.args.flatMap(templatePaths),
        ...(executor.stdin === null ? [] : templatePaths(executor.stdin)),
      ];
    default:
      return [];
  }
}

function mappingPaths(mappings: readonly Mapping[]): Operand[] {
  return mappings.flatMap(({ spec }) =>
    spec.kind === 'set' ? (spec.value.kind === 'json' ? [] : [spec.value]) : spec.operands,
  );
}

const isDeterministic = (one: Transition): boolean => one.actor === 'deterministic';
const targetsOf = (state: State): string[] =>
  state.transitions.flatMap((one) => [
    one.target,
    ...one.branches.map((branch) => branch.target),
    ...(one.onDeny === null ? [] : [one.onDeny]),
  ]);

function checkGraph(to: Compiling, plan: Plan, path: Path): void {
  const next = new Map(plan.states.map((state) => [state.name, targetsOf(state)]));
  const reachable = walk(
    [plan.initialState, ...(plan.onTimeout === null ? [] : [plan.onTimeout.target])],
    next,
  );
  const ends = plan.states.filter((one) => one.terminal).map((one) => one.name);
  for (const state of plan.states) {
    const at = [...path, 'states', state.name];
    const mixed = state.transitions.some(isDeterministic) && !state.transitions.every(isDeterministic);
    if (!reachable.has(state.name))
      warn(to, 'UNREACHABLE_STATE', at, `nothing leads to state \`${state.name}\``);
    if (!state.terminal && state.transitions.length === 0)
      warn(
        to,
        'DEAD_END',
        at,
        `state \`${state.name}\` is not terminal and has no transition: a run that enters it is stuck`,
      );
    else if (!state.terminal && !ends.some((end) => walk([state.name], next).has(end)))
      warn(to, 'NO_WAY_TO_END', at, `no terminal state can be reached from \`${state.name}\``);
    if (mixed)
      warn(
        to,
        'MIXED_DETERMINISTIC',
        at,
        `state \`${state.name}\` mixes deterministic and other transitions: the deterministic ones then never run`,
      );
    checkCase(
      to,
      state.transitions.map((one) => one.name),
      [...at, 'transitions'],
    );
  }
  checkDeterministicLoops(to, plan, path);
}

function walk(from: readonly string[], next: ReadonlyMap<string, readonly string[]>): Set<string> {
  const seen = new Set<string>();
  const open = [...from];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    open.push(...(next.get(name) ?? []));
  }
  return seen;
}

/** A circle of states that only the runtime leaves, by transitions without a guard: it never waits for anybody. */
function checkDeterministicLoops(to: Compiling, plan: Plan, path: Path): void {
  const forced = new Map(
    plan.states.map((state) => {
      const only =
        state.transitions.length === 1 &&
        state.transitions.every((one) => isDeterministic(one) && one.guards.length === 0);
      return [state.name, only ? state.transitions.map((one) => one.target) : []] as const;
    }),
  );
  for (const [name, targets] of forced) {
    if (targets.length > 0 && walk(targets, forced).has(name))
      error(
        to,
        'DETERMINISTIC_LOOP',
        [...path, 'states', name],
        `state \`${name}\` leads back to itself by deterministic transitions without a guard: a run would never stop`,
        'key',
      );
  }
}

function checkCase(to: Compiling, names: readonly string[], path: Path): void {
  const seen = new Map<string, string>();
  for (const name of names) {
    const same = seen.get(name.toLowerCase());
    if (same !== undefined && same !== name)
      warn(to, 'NAMES_DIFFER_IN_CASE', [...path, name], `\`${same}\` and \`${name}\` differ in case only`);
    seen.set(name.toLowerCase(), name);
  }
}

const ownEvidence: Readonly<Partial<Record<Executor['kind'], string>>> = {
  rest: 'rest_call',
  mcp: 'mcp_tool_result',
  cli: 'cli_output',
  human: 'human_request',
};

/** A kind of evidence that nothing in the flow can produce leaves its guard closed for ever. */
function checkEvidence(to: Compiling, plan: Plan, path: Path): void {
  const transitions = plan.states.flatMap((one) => one.transitions);
  const executors = [
    ...transitions.map((one) => one.executor),
    ...plan.states.map((one) => one.onEnter?.executor ?? null),
  ].filter((one) => one !== null);
  const produced = new Set<string>([
    ...executors.flatMap((one) => ownEvidence[one.kind] ?? []),
    ...[
      ...transitions.map((one) => one.evidence),
      ...plan.states.map((one) => one.onEnter?.evidence ?? null),
    ].filter((one) => one !== null),
    ...(transitions.some((one) => one.gate !== null) ? ['human_request'] : []),
  ]);
  for (const state of plan.states) {
    for (const transition of state.transitions) {
      for (const guard of [...transition.guards, ...transition.branches.map((one) => one.when)]) {
        for (const kind of requiredKinds(guard)) {
          if (!produced.has(kind))
            error(
              to,
              'EVIDENCE_NEVER_PRODUCED',
              [
                ...transitionPath(plan, path, state, transition),
                ...(plan.notation === 'states' ? ['guards'] : []),
              ],
              `nothing in this flow records evidence \`${kind}\`: name it with \`evidence:\` on the transition that does`,
              'key',
              nearest(kind, [...produced]),
            );
        }
      }
    }
  }
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

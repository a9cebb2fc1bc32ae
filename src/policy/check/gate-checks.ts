import { entryStep, gatesOf } from '../../engine/gates/gates.js';
import type { Gate, GateSource, Plan, State, Transition } from '../../engine/plan.js';
import { defaultEnvironment } from '../../model/policy-set.js';
import { floorsOf } from '../../schema/kit.js';
import { error, warn, type Compiling, type Path } from '../compile/context.js';
import { mayBeDenied } from './deniable.js';

// Gates, those of the environment too, at which a step cannot wait, whose denial leaves no way on, or that nothing waits at.

type PathOf = (plan: Plan, path: Path, state: State, transition: Transition) => Path;

export function checkGates(to: Compiling, plan: Plan, path: Path, pathOf: PathOf): void {
  const environment = plan.environment ?? defaultEnvironment;
  const floors = floorsOf(to.catalog.policySet, environment) ?? [];
  for (const state of plan.states) {
    const { name, onEnter } = state;
    const [first] = onEnter === null ? [] : gatesOf(entryStep(plan, onEnter), { floors });
    if (first !== undefined)
      error(
        to,
        'GATE_IMPOSSIBLE',
        [...path, 'states', name, 'onEnter'],
        `${whoAsks(first, environment)} asks for an approval of this effect, but entering a state cannot wait at a gate: put the effect on a transition`,
        'key',
      );
    for (const transition of state.transitions) {
      const at = pathOf(plan, path, state, transition);
      warnDeterministicGate(to, plan, transition, gatesOf(transition, { floors }), at);
      if (transition.onDeny !== null && !mayBeDenied(to, plan, transition))
        warn(
          to,
          'NOTHING_TO_DENY',
          [...at, 'onDeny'],
          `\`${transition.name}\` waits at no gate in \`${environment}\`, so nothing denies it and \`onDeny\` leads nowhere: give it a \`gate\`, or leave \`onDeny\` out`,
        );
    }
  }
}

function whoAsks({ origin }: Gate, environment: string): string {
  const source: GateSource | undefined = origin?.source;
  if (source === 'charter') return 'the charter';
  return source === 'tier' ? 'the tier `irreversible`' : `\`${environment}\``;
}

/** Nobody submits a deterministic transition again: when its approval is denied or times out, the run is stuck. */
function warnDeterministicGate(
  to: Compiling,
  plan: Plan,
  { name, actor }: Transition,
  gates: readonly Gate[],
  at: Path,
): void {
  if (actor !== 'deterministic' || gates.length === 0 || plan.timeoutMs !== null) return;
  warn(
    to,
    'DETERMINISTIC_GATE',
    at,
    `nobody submits the deterministic \`${name}\`, so when its approval is denied nobody can take it again: let a person or an agent submit it, or give the flow a \`timeout\``,
  );
}

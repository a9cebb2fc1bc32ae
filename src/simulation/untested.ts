import type { Case } from './types.js';

/** Transitions of the flows that have cases, which no case of theirs submits. Those of the runtime are walked, not asked for. */
export function untested(
  cases: readonly Case[],
): readonly { readonly flow: string; readonly transitions: readonly string[] }[] {
  const flows = new Map(cases.map((one) => [one.flow.name, one.flow]));
  return [...flows.values()].flatMap(({ name, plan }) => {
    const submitted = new Set(
      cases
        .filter((one) => one.flow.name === name)
        .flatMap((one) => one.steps.flatMap(({ act }) => (act.kind === 'submit' ? [act.transition] : []))),
    );
    const all = plan.states.flatMap((one) =>
      one.transitions.filter((each) => each.actor !== 'deterministic').map((each) => each.name),
    );
    const transitions = [...new Set(all)].filter((one) => !submitted.has(one));
    return transitions.length === 0 ? [] : [{ flow: name, transitions }];
  });
}

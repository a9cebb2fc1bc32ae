import type { Case } from './types.js';

/** By flow that has cases: the transitions that none of its cases submits, without those that the runtime takes. */
export function untested(
  cases: readonly Case[],
): readonly { readonly flow: string; readonly transitions: readonly string[] }[] {
  const flows = new Map(cases.map((testCase) => [testCase.flow.name, testCase.flow]));
  return [...flows.values()].flatMap(({ name, plan }) => {
    const submitted = new Set(
      cases
        .filter((testCase) => testCase.flow.name === name)
        .flatMap((testCase) =>
          testCase.steps.flatMap(({ act }) => (act.kind === 'submit' ? [act.transition] : [])),
        ),
    );
    const all = plan.states.flatMap((state) =>
      state.transitions.filter((each) => each.actor !== 'deterministic').map((each) => each.name),
    );
    const transitions = [...new Set(all)].filter((transition) => !submitted.has(transition));
    return transitions.length === 0 ? [] : [{ flow: name, transitions }];
  });
}

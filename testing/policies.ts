/** A flow with a reversible effect: `pay` leads from `open` to the final state `paid`. `others`: more transitions out of `open`. */
export function payFlow(pay: object, others: object = {}): object {
  return {
    owner: 'team',
    initialState: 'open',
    states: {
      open: { transitions: { pay: { target: 'paid', tier: 'reversible', ...pay }, ...others } },
      paid: { terminal: true },
    },
  };
}

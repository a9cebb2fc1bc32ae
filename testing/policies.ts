/** A flow with a single reversible effect: `pay` takes it from `open` to `paid`, its end. `others`: further transitions out of `open`. */
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

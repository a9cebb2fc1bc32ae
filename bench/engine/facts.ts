import type { JsonObject } from '../../src/model/values/json.js';

// The facts that the rule is evaluated on, and the questions that compare the engines.

export interface Facts {
  readonly principal: { readonly roles: readonly string[] };
  readonly arguments: JsonObject;
  readonly context: JsonObject;
}

export interface Said {
  readonly verdict: 'pass' | 'fail' | 'error';
  readonly why?: string;
}

const approved: JsonObject = { vendor: { status: 'approved' } };
const clerk = { roles: ['employee', 'finance.clerk'] };

export function payment(amount: number, reference: string): Facts {
  return { principal: clerk, arguments: { amount, currency: 'EUR', reference }, context: approved };
}

const good = payment(12_000, 'INV-2041');
const withArguments = (args: JsonObject): Facts => ({ ...good, arguments: { ...good.arguments, ...args } });
const without = (name: string): Facts => ({
  ...good,
  arguments: Object.fromEntries(Object.entries(good.arguments).filter(([key]) => key !== name)),
});

/** All engines must agree on whether each is permitted. */
export const questions: readonly {
  readonly name: string;
  readonly permitted: boolean;
  readonly facts: Facts;
}[] = [
  { name: 'all five hold', permitted: true, facts: good },
  { name: 'exactly the limit', permitted: true, facts: withArguments({ amount: 50_000 }) },
  { name: 'role not held', permitted: false, facts: { ...good, principal: { roles: ['employee'] } } },
  { name: 'no role at all', permitted: false, facts: { ...good, principal: { roles: [] } } },
  { name: 'amount over the limit', permitted: false, facts: withArguments({ amount: 50_001 }) },
  { name: 'another currency', permitted: false, facts: withArguments({ currency: 'USD' }) },
  {
    name: 'vendor not approved',
    permitted: false,
    facts: { ...good, context: { vendor: { status: 'blocked' } } },
  },
  { name: 'another reference', permitted: false, facts: withArguments({ reference: 'PO-2041' }) },
  { name: 'amount missing', permitted: false, facts: without('amount') },
  { name: 'currency missing', permitted: false, facts: without('currency') },
  { name: 'vendor missing', permitted: false, facts: { ...good, context: {} } },
  { name: 'reference missing', permitted: false, facts: without('reference') },
  { name: 'amount is text', permitted: false, facts: withArguments({ amount: '12000' }) },
  { name: 'currency is a number', permitted: false, facts: withArguments({ currency: 978 }) },
  {
    name: 'amount missing and another currency',
    permitted: false,
    facts: { ...without('amount'), arguments: { currency: 'USD', reference: 'INV-2041' } },
  },
];

/** Amounts under a prohibition. They show what each engine does when the prohibition cannot be evaluated. */
export const prohibited: readonly { readonly name: string; readonly facts: Facts }[] = [
  { name: 'not over the limit', facts: good },
  { name: 'over the limit', facts: withArguments({ amount: 50_001 }) },
  { name: 'amount missing', facts: without('amount') },
  { name: 'amount is text', facts: withArguments({ amount: '99999' }) },
];

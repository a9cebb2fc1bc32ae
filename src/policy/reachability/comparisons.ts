import type { Guard, Path as PathOperand, Plan } from '../../engine/plan.js';
import type { JsonObject } from '../../model/json.js';
import { casesOf, variablesOf, verdictOf } from './cases.js';
import { mayLook } from './analysis.js';
import { warn, type Compiling, type Path } from '../compile/context.js';
import {
  anything,
  isPath,
  leaves,
  pathKey,
  schemaDomain,
  typeOf,
  writtenDomain,
  type Domain,
} from './domains.js';
import type { WarningFinding } from '../text/findings.js';

// What a comparison can never say, and conditions that shut each other out.

export type DomainOf = (path: PathOperand) => Domain;

/** Before there is a flow: what the arguments alone may be. */
export function argumentsDomain(schema: JsonObject | null): DomainOf {
  return ({ scope, segments }) => (scope === 'arguments' ? schemaDomain(schema, segments) : anything);
}

/** A key that more mappings write may hold anything. */
const mostWriters = 50;

/** What stands at a path anywhere in the flow. What nothing writes is told as such. */
export function flowDomains(plan: Plan): (schema: JsonObject | null) => DomainOf {
  const written = new Map<string, Domain[]>();
  const add = (key: string, one: Domain): void => {
    const known = written.get(key);
    if (known === undefined) written.set(key, [one]);
    else known.push(one);
  };
  for (const { onEnter, transitions } of plan.states) {
    for (const one of onEnter?.output ?? []) add(one.key, writtenDomain(one, plan, null));
    for (const { output, inputSchema } of transitions)
      for (const one of output) add(one.key, writtenDomain(one, plan, inputSchema));
  }
  return (schema) => (path) => {
    const { scope, segments } = path;
    if (scope === 'input') return schemaDomain(plan.inputSchema, segments);
    if (scope !== 'context') return argumentsDomain(schema)(path);
    const [key = '', ...deeper] = segments;
    const starts = Object.hasOwn(plan.initialContext, key);
    const domains = written.get(key) ?? [];
    if (deeper.length > 0 || segments.length === 0 || (domains.length === 0 && !starts)) return anything;
    if (domains.length > mostWriters) return anything;
    const first = starts ? plan.initialContext[key] : undefined;
    return {
      admits: (value) =>
        domains.some((one) => one.admits(value)) || JSON.stringify(value) === JSON.stringify(first),
      marks: [...domains.flatMap((one) => one.marks), ...(first === undefined ? [] : [first])],
    };
  };
}

export interface Placed {
  readonly guard: Guard;
  readonly path: Path;
}

/** All of these must pass. A guard that was written elsewhere is told about there: `own` says which are new here. */
export function checkGuards(
  to: Compiling,
  guards: readonly Placed[],
  domainOf: DomainOf,
  own: (one: Placed) => boolean = () => true,
): void {
  for (const { guard, path } of guards.filter(own))
    for (const leaf of leaves(guard)) checkComparison(to, leaf, domainOf, path);
  if (guards.some(own)) checkTogether(to, guards, domainOf);
  for (const { guard, path } of guards.filter(own))
    for (const inner of conjunctions(guard))
      checkTogether(
        to,
        inner.map((one) => ({ guard: one, path })),
        domainOf,
      );
}

function checkComparison(to: Compiling, leaf: Guard, domainOf: DomainOf, path: Path): void {
  if (leaf.kind !== 'expr') return;
  const { left, right, text } = leaf.expr;
  const variables = variablesOf([leaf], domainOf);
  const cases = variables === null || variables.loose ? [] : (casesOf(variables) ?? []);
  const told = cases.map((one) => verdictOf(leaf, one));
  if (told.length === 0) return typesApart(to, leaf, domainOf, path);
  const read = [left, right].find(isPath);
  const key = read === undefined ? '' : pathKey(read);
  const present = cases.flatMap((one, index) => ((one.get(key) ?? null) === null ? [] : (told[index] ?? [])));
  const say = (code: WarningFinding, message: string): void => warn(to, code, path, `\`${text}\` ${message}`);
  const what = read === undefined ? 'it reads nothing' : `whatever may stand at \`${read.text}\``;
  if (present.length > 0 && present.every((one) => one === 'error'))
    say(
      'NEVER_COMPARES',
      `can never be evaluated: ${typesAt(cases.map((one) => one.get(key)))} does not compare so`,
    );
  else if (!told.includes('pass')) say('NEVER_HOLDS', `is never true: ${what}`);
  else if (told.every((one) => one === 'pass')) say('NEVER_FAILS', `is never false: ${what}`);
}

function typesAt(values: readonly unknown[]): string {
  const types = [...new Set(values.map((one) => typeOf(one as never)))].filter((one) => one !== 'missing');
  return types.join(' or ');
}

const scalars = [0, '', true, null, [], {}] as const;

/** Two paths whose schemas have no type in common. */
function typesApart(to: Compiling, leaf: Guard, domainOf: DomainOf, path: Path): void {
  if (leaf.kind !== 'expr' || !isPath(leaf.expr.left) || !isPath(leaf.expr.right)) return;
  const { operator, text } = leaf.expr;
  const [left = [], right = []] = [leaf.expr.left, leaf.expr.right].map((one) => typesIn(domainOf(one)));
  const ordering = ['<', '<=', '>', '>='].includes(operator);
  const wanted = ordering ? ['number'] : operator === 'starts_with' ? ['string'] : null;
  const apart =
    operator !== 'contains' &&
    (wanted === null
      ? !left.some((one) => right.includes(one) || one === 'null') && !right.includes('null')
      : ![left, right].every((types) => types.some((one) => wanted.includes(one))));
  if (apart && left.length > 0 && right.length > 0)
    warn(
      to,
      'NEVER_COMPARES',
      path,
      `\`${text}\` can never be evaluated: it compares ${left.join(' or ')} with ${right.join(' or ')}`,
    );
}

function typesIn({ admits, marks }: Domain): readonly string[] {
  const values = [
    ...scalars,
    1,
    -1,
    0.5,
    ...marks,
    ...marks.flatMap((one) => (typeof one === 'number' ? [one + 1, one - 1] : [])),
  ];
  return [...new Set(values.filter(admits).map((one) => typeOf(one)))];
}

/** The lists under `allOf` that stand inside something else. */
function conjunctions(guard: Guard): readonly (readonly Guard[])[] {
  if (guard.kind === 'not') return [...own(guard.guard), ...conjunctions(guard.guard)];
  if (guard.kind === 'allOf') return guard.guards.flatMap(conjunctions);
  return guard.kind === 'anyOf' ? guard.guards.flatMap((one) => [...own(one), ...conjunctions(one)]) : [];
}

const own = (guard: Guard): readonly (readonly Guard[])[] => (guard.kind === 'allOf' ? [guard.guards] : []);

const flat = ({ guard, path }: Placed): readonly Placed[] =>
  guard.kind === 'allOf' ? guard.guards.flatMap((one) => flat({ guard: one, path })) : [{ guard, path }];

/** Conditions over the same values, none of which is impossible by itself. */
function checkTogether(to: Compiling, guards: readonly Placed[], domainOf: DomainOf): void {
  const open = guards.flatMap(flat).filter(({ guard }) => canPass([guard], domainOf));
  for (const group of groupsOf(open)) {
    if (
      group.length < 2 ||
      canPass(
        group.map((one) => one.guard),
        domainOf,
      )
    )
      continue;
    const last = group.at(-1);
    const texts = group.map((one) => said(one.guard));
    if (last !== undefined)
      warn(
        to,
        'CONTRADICTION',
        last.path,
        `${texts.join(' and ')} cannot hold together: the guard never passes`,
      );
  }
}

/** Those that share a value, directly or by way of others; in the order in which they are written. */
function groupsOf(open: readonly Placed[]): readonly (readonly Placed[])[] {
  const leader = open.map((_one, index) => index);
  const first = (index: number): number => {
    let at = index;
    while (leader[at] !== at) at = leader[at] ?? at;
    leader[index] = at;
    return at;
  };
  const holders = new Map<string, number>();
  for (const [index, { guard }] of open.entries())
    for (const key of keysOf(guard)) {
      const holder = holders.get(key);
      if (holder === undefined) holders.set(key, index);
      else {
        const [one, other] = [first(holder), first(index)];
        leader[Math.max(one, other)] = Math.min(one, other);
      }
    }
  const groups = new Map<number, Placed[]>();
  for (const [index, one] of open.entries()) {
    const at = first(index);
    const known = groups.get(at);
    if (known === undefined) groups.set(at, [one]);
    else known.push(one);
  }
  return [...groups.values()];
}

function keysOf(guard: Guard): readonly string[] {
  return leaves(guard).flatMap((leaf) =>
    leaf.kind === 'expr'
      ? [leaf.expr.left, leaf.expr.right].filter(isPath).map(pathKey)
      : [JSON.stringify(leaf)],
  );
}

/** Certain where it says no. */
function canPass(guards: readonly Guard[], domainOf: DomainOf): boolean {
  const variables = variablesOf(guards, domainOf);
  const cases = variables === null ? null : casesOf(variables);
  if (cases === null || !mayLook(cases.length * guards.length)) return true;
  return cases.some((one) => guards.every((guard) => verdictOf(guard, one) === 'pass'));
}

function said(guard: Guard): string {
  if (guard.kind === 'expr') return `\`${guard.expr.text}\``;
  if (guard.kind === 'not') return `not ${said(guard.guard)}`;
  if (guard.kind === 'permission') return `permission \`${guard.permission}\``;
  return guard.kind === 'role' ? `role \`${guard.role}\`` : `\`${guard.kind}\``;
}

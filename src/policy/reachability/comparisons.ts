import type { Guard, Path as PathOperand, Plan } from '../../engine/plan.js';
import type { JsonObject } from '../../model/values/json.js';
import { casesOf, variablesOf, verdictOf } from './cases.js';
import { takeSteps } from './analysis.js';
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

// Warns of comparisons that always have the same verdict, and of conditions that cannot hold together.

export type DomainOf = (path: PathOperand) => Domain;

/** For a tool or a gate's `on`, outside any flow: arguments are as the schema says, everything else may be anything. */
export function argumentsDomain(schema: JsonObject | null): DomainOf {
  return ({ scope, segments }) => (scope === 'arguments' ? schemaDomain(schema, segments) : anything);
}

/** A context key that more mappings write than this may hold anything. */
const mostWriters = 50;

/** What may stand at a path, anywhere in the flow. A key that nothing writes may be anything here: NEVER_WRITTEN tells of it. */
export function flowDomains(plan: Plan): (schema: JsonObject | null) => DomainOf {
  const written = new Map<string, Domain[]>();
  const add = (key: string, domain: Domain): void => {
    const others = written.get(key);
    if (others === undefined) written.set(key, [domain]);
    else others.push(domain);
  };
  for (const { onEnter, transitions } of plan.states) {
    for (const mapping of onEnter?.output ?? []) add(mapping.key, writtenDomain(mapping, plan, null));
    for (const { output, inputSchema } of transitions)
      for (const mapping of output) add(mapping.key, writtenDomain(mapping, plan, inputSchema));
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
    const initial = starts ? plan.initialContext[key] : undefined;
    return {
      admits: (value) =>
        domains.some((domain) => domain.admits(value)) || JSON.stringify(value) === JSON.stringify(initial),
      marks: [...domains.flatMap((domain) => domain.marks), ...(initial === undefined ? [] : [initial])],
    };
  };
}

export interface PlacedGuard {
  readonly guard: Guard;
  readonly path: Path;
}

/** Warns of guards that must all pass. `isNew`: whether a guard is written here; warnings about another belong where it is written. */
export function checkGuards(
  to: Compiling,
  guards: readonly PlacedGuard[],
  domainOf: DomainOf,
  isNew: (placed: PlacedGuard) => boolean = () => true,
): void {
  for (const { guard, path } of guards.filter(isNew))
    for (const leaf of leaves(guard)) checkComparison(to, leaf, domainOf, path);
  if (guards.some(isNew)) checkTogether(to, guards, domainOf);
  for (const { guard, path } of guards.filter(isNew))
    for (const inner of conjunctions(guard))
      checkTogether(
        to,
        inner.map((part) => ({ guard: part, path })),
        domainOf,
      );
}

function checkComparison(to: Compiling, leaf: Guard, domainOf: DomainOf, path: Path): void {
  if (leaf.kind !== 'expr') return;
  const { left, right, text } = leaf.expr;
  const variables = variablesOf([leaf], domainOf);
  const cases = variables === null || variables.loose ? [] : (casesOf(variables) ?? []);
  const verdicts = cases.map((given) => verdictOf(leaf, given));
  if (verdicts.length === 0) return checkTypes(to, leaf, domainOf, path);
  const read = [left, right].find(isPath);
  const key = read === undefined ? '' : pathKey(read);
  const present = cases.flatMap((given, index) =>
    (given.get(key) ?? null) === null ? [] : (verdicts[index] ?? []),
  );
  const say = (code: WarningFinding, message: string): void => warn(to, code, path, `\`${text}\` ${message}`);
  const where = read === undefined ? 'it reads nothing' : `whatever may stand at \`${read.text}\``;
  if (present.length > 0 && present.every((verdict) => verdict === 'error'))
    say(
      'NEVER_COMPARES',
      `can never be evaluated: ${describeTypes(cases.map((given) => given.get(key)))} cannot be compared in this way`,
    );
  else if (!verdicts.includes('pass')) say('NEVER_HOLDS', `is never true: ${where}`);
  else if (verdicts.every((verdict) => verdict === 'pass')) say('NEVER_FAILS', `is never false: ${where}`);
}

function describeTypes(values: readonly unknown[]): string {
  const types = [...new Set(values.map((value) => typeOf(value as never)))].filter(
    (type) => type !== 'missing',
  );
  return types.join(' or ');
}

const scalars = [0, '', true, null, [], {}] as const;

/** Warns of a comparison of two paths whose possible types never compare. */
function checkTypes(to: Compiling, leaf: Guard, domainOf: DomainOf, path: Path): void {
  if (leaf.kind !== 'expr' || !isPath(leaf.expr.left) || !isPath(leaf.expr.right)) return;
  const { operator, text } = leaf.expr;
  const [left = [], right = []] = [leaf.expr.left, leaf.expr.right].map((read) => typesIn(domainOf(read)));
  const isOrdering = ['<', '<=', '>', '>='].includes(operator);
  const wanted = isOrdering ? ['number'] : operator === 'starts_with' ? ['string'] : null;
  const areApart =
    operator !== 'contains' &&
    (wanted === null
      ? !left.some((type) => right.includes(type) || type === 'null') && !right.includes('null')
      : ![left, right].every((types) => types.some((type) => wanted.includes(type))));
  if (areApart && left.length > 0 && right.length > 0)
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
    ...marks.flatMap((item) => (typeof item === 'number' ? [item + 1, item - 1] : [])),
  ];
  return [...new Set(values.filter(admits).map((value) => typeOf(value)))];
}

/** The guards of each `allOf` under a `not` or an `anyOf`: each list must hold together by itself. */
function conjunctions(guard: Guard): readonly (readonly Guard[])[] {
  if (guard.kind === 'not') return [...partsOfAllOf(guard.guard), ...conjunctions(guard.guard)];
  if (guard.kind === 'allOf') return guard.guards.flatMap(conjunctions);
  return guard.kind === 'anyOf'
    ? guard.guards.flatMap((inner) => [...partsOfAllOf(inner), ...conjunctions(inner)])
    : [];
}

const partsOfAllOf = (guard: Guard): readonly (readonly Guard[])[] =>
  guard.kind === 'allOf' ? [guard.guards] : [];

const flatten = ({ guard, path }: PlacedGuard): readonly PlacedGuard[] =>
  guard.kind === 'allOf'
    ? guard.guards.flatMap((inner) => flatten({ guard: inner, path }))
    : [{ guard, path }];

/** Warns where conditions over the same values cannot all pass, though each alone can. */
function checkTogether(to: Compiling, guards: readonly PlacedGuard[], domainOf: DomainOf): void {
  const possible = guards.flatMap(flatten).filter(({ guard }) => canPass([guard], domainOf));
  for (const group of groupsOf(possible)) {
    if (
      group.length < 2 ||
      canPass(
        group.map((placed) => placed.guard),
        domainOf,
      )
    )
      continue;
    const last = group.at(-1);
    const texts = group.map((placed) => describeGuard(placed.guard));
    if (last !== undefined)
      warn(
        to,
        'CONTRADICTION',
        last.path,
        `${texts.join(' and ')} cannot hold together: the guard never passes`,
      );
  }
}

/** Groups of guards that share a value, directly or by way of others, in the order in which they are written. */
function groupsOf(guards: readonly PlacedGuard[]): readonly (readonly PlacedGuard[])[] {
  const leader = guards.map((_guard, index) => index);
  const leaderOf = (index: number): number => {
    let at = index;
    while (leader[at] !== at) at = leader[at] ?? at;
    leader[index] = at;
    return at;
  };
  const firstByKey = new Map<string, number>();
  for (const [index, { guard }] of guards.entries())
    for (const key of keysOf(guard)) {
      const first = firstByKey.get(key);
      if (first === undefined) firstByKey.set(key, index);
      else {
        const [ofFirst, ofIndex] = [leaderOf(first), leaderOf(index)];
        leader[Math.max(ofFirst, ofIndex)] = Math.min(ofFirst, ofIndex);
      }
    }
  const groups = new Map<number, PlacedGuard[]>();
  for (const [index, placed] of guards.entries()) {
    const leading = leaderOf(index);
    const group = groups.get(leading);
    if (group === undefined) groups.set(leading, [placed]);
    else group.push(placed);
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

/** False only where it is certain that they never all pass. */
function canPass(guards: readonly Guard[], domainOf: DomainOf): boolean {
  const variables = variablesOf(guards, domainOf);
  const cases = variables === null ? null : casesOf(variables);
  if (cases === null || !takeSteps(cases.length * guards.length)) return true;
  return cases.some((given) => guards.every((guard) => verdictOf(guard, given) === 'pass'));
}

function describeGuard(guard: Guard): string {
  if (guard.kind === 'expr') return `\`${guard.expr.text}\``;
  if (guard.kind === 'not') return `not ${describeGuard(guard.guard)}`;
  if (guard.kind === 'permission') return `permission \`${guard.permission}\``;
  return guard.kind === 'role' ? `role \`${guard.role}\`` : `\`${guard.kind}\``;
}

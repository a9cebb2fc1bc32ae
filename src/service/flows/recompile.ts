import type { Json } from '../../model/values/json.js';
import type { PolicySet } from '../../model/policy-set.js';
import type { Pool, Queryable, Tx } from '../../db/index.js';
import type { CompilePublished, ReadyCheck, ReadyFolder } from '../../policy/index.js';
import { putPlan } from '../../store/flows/flows.js';
import {
  keepResult,
  findKeptResult,
  listPublications,
  sourceOf,
  type Publication,
} from '../../store/flows/publications.js';
import type { StoredFlow } from './publish.js';

// Flows that were published by the API, compiled again under other policies. What a text compiles to follows from the text, the
// policies and our code. So each result is kept in the store: nothing is compiled twice, also after a process has died halfway.

/** `valid`: the plan is in the store. */
export type Compiled =
  | { readonly status: 'valid'; readonly flow: StoredFlow }
  | { readonly status: 'invalid'; readonly reason: string };

export interface Recompiled {
  readonly row: Publication;
  readonly compiled: Compiled;
}

/** Compiling `flow` takes longer than it may. */
export interface Late {
  readonly status: 'late';
  readonly flow: string;
}

export interface Compilers {
  readonly pool: Pool;
  readonly transaction: <T>(fn: (tx: Tx) => Promise<T>) => Promise<T>;
  readonly compile: CompilePublished;
  readonly loaded: ReadyFolder;
  /** Called before each flow that nobody has compiled yet. */
  readonly onCompile: (name: string, place: { readonly at: number; readonly of: number }) => void;
  /** True at a start, where nobody can be told to try again: a flow that cannot be compiled is withdrawn. */
  readonly patient: boolean;
}

/**
 * Published flows that are not among `known`. Those of an environment that is not declared are left until it is declared
 * again.
 */
export async function findNotCompiled(
  q: Queryable,
  { environments }: PolicySet,
  known: readonly Recompiled[],
): Promise<readonly Publication[]> {
  const declared = new Set(environments.map(({ name }) => name));
  const versions = new Set(known.map(({ row }) => `${row.name} ${row.version}`));
  const rows = await listPublications(q);
  return rows.filter((row) => declared.has(row.environment) && !versions.has(`${row.name} ${row.version}`));
}

/** Compiles one after the other. Each result is kept at once, whatever becomes of the policies. */
export async function compileAll(
  rows: readonly Publication[],
  compilers: Compilers,
  hasty?: 'hasty',
): Promise<readonly Recompiled[] | Late> {
  const { pool, loaded, onCompile } = compilers;
  const all: Recompiled[] = [];
  for (const [index, row] of rows.entries()) {
    let compiled = (await findKeptResult(pool, row, loaded.basis)) as Compiled | null;
    if (compiled === null) {
      onCompile(row.name, { at: index + 1, of: rows.length });
      compiled = await compileOne(row, compilers, hasty);
    }
    if (compiled === null) return { status: 'late', flow: row.name };
    all.push({ row, compiled });
  }
  return all;
}

async function compileOne(
  row: Publication,
  { pool, transaction, compile, loaded, patient }: Compilers,
  hasty?: 'hasty',
): Promise<Compiled | null> {
  const checked = await compile(await sourceOf(pool, row), hasty);
  if (checked.status === 'late' || checked.status === 'busy') return patient ? tooLarge : null;
  const compiled = compiledOf(checked);
  await transaction(async (tx) => {
    if (checked.status === 'valid') await putPlan(tx, checked.flow.planHash, checked.flow.plan);
    await keepResult(tx, row, loaded.basis, compiled as unknown as Json);
  });
  return compiled;
}

const publishAgain = 'publish it again as the policies have it now';

/** Never kept in the store: the cause may be this machine. */
const tooLarge: Compiled = {
  status: 'invalid',
  reason: `TOO_LARGE: compiling it takes more than it may: ${publishAgain}`,
};

export function compiledOf(checked: ReadyCheck): Compiled {
  if (checked.status === 'invalid') return { status: 'invalid', reason: invalidReason(checked) };
  const { plan: _plan, source: _source, ...flow } = checked.flow;
  return { status: 'valid', flow };
}

const longestReason = 1_000;

/** The first error with its path in the flow, and how many more there are. */
function invalidReason({ errors }: Extract<ReadyCheck, { status: 'invalid' }>): string {
  const [first, ...others] = errors;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  const text = `${first?.code ?? 'INVALID'}: \`${first?.path ?? ''}\` ${first?.message ?? ''}`;
  return `${text.slice(0, longestReason).toWellFormed()}${more}: ${publishAgain}`;
}

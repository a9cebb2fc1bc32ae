import type { Plan } from '../../engine/plan.js';
import { isObject, type Json, type JsonObject } from '../../model/json.js';
import {
  acknowledged,
  acknowledgementsOf,
  idleAcknowledgements,
  wrongAcknowledgements,
} from '../check/acknowledge.js';
import { beginAnalysis } from '../reachability/analysis.js';
import { compileAgent } from '../compile/agent.js';
import { compileWorkflow } from '../compile/flows.js';
import { error, type Catalog, type Compiling, type Path } from '../compile/context.js';
import { defaultEnvironment, type EnvironmentEntry } from '../../model/policy-set.js';
import type { FindingCode } from '../text/findings.js';
import type { Finding } from '../text/problems.js';
import { fit } from '../shape/check.js';
import {
  agentShape,
  nameShape,
  workflowShape,
  type AgentShape,
  type WorkflowShape,
} from '../shape/shapes.js';
import { parseText, problemAt, type Media, type Place, type Source } from '../text/source.js';

/** A flow ready to be published. */
export interface CompiledFlow {
  readonly name: string;
  readonly plan: Plan;
  /** As it was parsed; its canonical form is what the version's hash is of. */
  readonly definition: JsonObject;
  readonly source: string;
  readonly owner: string | null;
  readonly description: string | null;
  /** Where it is published and starts: what it names, else `dev`. */
  readonly environment: string;
  readonly warnings: readonly Finding[];
}

export type FlowCheck =
  | { readonly status: 'valid'; readonly flow: CompiledFlow; readonly warnings: readonly Finding[] }
  | {
      readonly status: 'invalid';
      readonly errors: readonly Finding[];
      readonly warnings: readonly Finding[];
    };

/** Whoever starts, shows or continues a run reads the plan in one piece, and keeps everybody else waiting meanwhile. */
const mostPlanLength = 6_291_456;

/** What a flow is not held to that was taken before anybody was. */
type Taken = Pick<Compiling, 'rewritten'>;

/** Exactly one flow, in either notation, and nothing else (docs/spec/api.md, `POST /v1/flows`). */
export function checkFlowText(
  text: string,
  options: { readonly catalog: Catalog; readonly file?: string; readonly media?: Media } & Taken,
): FlowCheck {
  const parsed = parseText(text, options.file, options.media);
  if (parsed.status === 'invalid') return { status: 'invalid', errors: parsed.problems, warnings: [] };
  const { source } = parsed;
  const fail = (code: FindingCode, path: Path, message: string, at: Place = 'key'): FlowCheck => ({
    status: 'invalid',
    errors: [problemAt(source, code, path, message, at)],
    warnings: [],
  });
  if (!isObject(source.value))
    return fail(
      'WRONG_TYPE',
      [],
      'a flow is a mapping: `workflows: {name: …}`, or a declared agent with `name` and `permissions`',
    );
  if (!Object.hasOwn(source.value, 'workflows'))
    return checkOne(source, options.catalog, 'agent', source.value, [], options);
  const other = Object.keys(source.value).find((key) => key !== 'workflows' && key !== 'version');
  if (other !== undefined)
    return fail(
      'UNKNOWN_KEY',
      [other],
      `\`${other}\` does not belong beside \`workflows\` here: one flow, and nothing else`,
    );
  if (Object.hasOwn(source.value, 'version') && source.value['version'] !== 1)
    return fail('WRONG_VALUE', ['version'], 'the format version is `1`', 'value');
  const flows = source.value['workflows'];
  if (!isObject(flows)) return fail('WRONG_TYPE', ['workflows'], '`workflows` is a mapping: `{name: {…}}`');
  const names = Object.keys(flows);
  const [name] = names;
  if (name === undefined || names.length !== 1)
    return fail(
      'ONE_FLOW',
      ['workflows'],
      `\`workflows\` names ${names.length} flows here: send exactly one`,
    );
  return checkOne(source, options.catalog, 'states', flows[name] ?? null, ['workflows', name], options);
}

export function checkOne(
  source: Source,
  catalog: Catalog,
  notation: 'agent' | 'states',
  value: Json,
  path: Path,
  { rewritten }: Taken = {},
): FlowCheck {
  beginAnalysis();
  const to: Compiling = { source, catalog, errors: [], warnings: [], rewritten };
  const flow = notation === 'agent' ? agentFlow(to, value, path) : workflowFlow(to, value, path);
  if (flow !== null) assertPlanSize(to, flow.plan, path);
  const environment = flow?.environment ?? defaultEnvironment;
  const known = catalog.policySet.environments.find((one) => one.name === environment);
  if (flow !== null && flow.environment === null && known === undefined)
    error(
      to,
      'UNKNOWN_ENVIRONMENT',
      path,
      `no file declares \`${environment}\`: name the flow's \`environment\``,
      'key',
    );
  const accepted = acknowledgementsOf(source, value, path);
  const told = acknowledged(accepted, to.warnings);
  to.errors.push(...wrongAcknowledgements(accepted));
  const idle = flow === null || to.errors.length > 0 ? [] : idleAcknowledgements(accepted);
  const { fatal, warnings } = judgeWarnings([...told, ...idle], known, { rewritten });
  const errors = [...to.errors, ...fatal];
  if (flow === null || errors.length > 0)
    return {
      status: 'invalid',
      errors: inOrder(errors),
      warnings: inOrder(warnings),
    };
  return {
    status: 'valid',
    flow: { ...flow, environment, warnings: inOrder(warnings) },
    warnings: inOrder(warnings),
  };
}

/** Each transition carries its tool, schemas and all: a short text may say the same megabyte a thousand times. */
function assertPlanSize(to: Compiling, { states, ...header }: Plan, path: Path): void {
  let size = JSON.stringify(header).length;
  for (const state of states)
    for (const transition of state.transitions) {
      size += JSON.stringify(transition).length;
      if (size <= mostPlanLength) continue;
      const message = `the flow's plan would be longer than ${mostPlanLength} characters, since each transition carries the schemas of its tool: have fewer transitions, or smaller schemas`;
      return error(to, 'TOO_LARGE', path, message, 'key');
    }
}

type Made = Omit<CompiledFlow, 'environment' | 'warnings'> & { readonly environment: string | null };

function workflowFlow(to: Compiling, value: Json, path: Path): Made | null {
  const name = String(path.at(-1));
  if (!nameShape.safeParse(name).success)
    error(
      to,
      'NAME_INVALID',
      path,
      `\`${name}\` is no name for a flow: letters, digits, \`.\`, \`_\` and \`-\`, 128 at most`,
      'key',
    );
  const shaped = fit<WorkflowShape>(to.source, value, workflowShape, path);
  if (shaped.status === 'invalid') {
    to.errors.push(...shaped.problems);
    return null;
  }
  return made(to, compileWorkflow(to, name, shaped.value, path), {
    workflows: { [name]: value },
  });
}

function agentFlow(to: Compiling, value: Json, path: Path): Made | null {
  const shaped = fit<AgentShape>(to.source, value, agentShape, path);
  if (shaped.status === 'invalid') {
    to.errors.push(...shaped.problems);
    return null;
  }
  return made(to, compileAgent(to, shaped.value, path), isObject(value) ? value : {});
}

/** `version: 1` beside a flow is the format's, not the flow's. */
function made(to: Compiling, plan: Plan, { version: _version, ...definition }: JsonObject): Made {
  return {
    name: plan.name,
    plan,
    definition,
    source: to.source.text,
    owner: plan.owner,
    description: plan.description,
    environment: plan.environment,
  };
}

const saidLater: ReadonlySet<FindingCode> = new Set([
  // Of a warning that is not said of it any more.
  'ACKNOWLEDGED_NOTHING',
  'DEFAULT_NOT_FILLED',
  'NOTHING_TO_DENY',
  'NUMBER_REWRITTEN',
  'SECRET_SUSPECTED',
]);

/** The gate of an environment that keeps the requester out stands for the default one, which is not asked for then. */
const hasOwnGate = ({ floors = [] }: EnvironmentEntry): boolean =>
  floors.some((one) => one.tiers.includes('irreversible') && one.separation.requester);

/**
 * What the environment does not take, and what is only said. What the author has accepted is not refused; a missing
 * tier where tiers are demanded is an error whoever accepts it; what time alone brings about refuses nothing, or a
 * service that stops one day would not start the next; nor does of a published flow what earlier builds said nothing of.
 */
export function judgeWarnings(
  all: readonly Finding[],
  environment: EnvironmentEntry | undefined,
  { rewritten }: Taken = {},
): { readonly fatal: readonly Finding[]; readonly warnings: readonly Finding[] } {
  if (environment === undefined) return { fatal: [], warnings: all };
  const { name, refuseWarnings, requireTiers } = environment;
  const refused = (found: readonly Finding[], why: string): Finding[] =>
    found.map((one) => ({ ...one, message: `${one.message}; environment \`${name}\` ${why}` }));
  const isFatal = ({ code }: Finding): boolean => code === 'TIER_MISSING' && requireTiers;
  const tierless = refused(all.filter(isFatal), 'requires tiers: name it');
  const isIdle = ({ code }: Finding): boolean => code === 'DEFAULT_GATE' && hasOwnGate(environment);
  const others = all.filter((one) => !isFatal(one) && !isIdle(one));
  if (!refuseWarnings) return { fatal: tierless, warnings: others };
  const isTaken = ({ code }: Finding): boolean =>
    code === 'TIME_PASSED' || (saidLater.has(code) && rewritten === 'warned');
  const open = others.filter((one) => one.acknowledged === undefined && !isTaken(one));
  return {
    fatal: [...tierless, ...refused(open, 'refuses warnings: mend it, or acknowledge it')],
    warnings: others.filter((one) => !open.includes(one)),
  };
}

/** As they stand in the text, each once. */
export function inOrder(problems: readonly Finding[]): Finding[] {
  const once = new Map(problems.map((one) => [JSON.stringify(one), one]));
  return [...once.values()].sort((a, b) => a.line - b.line || a.column - b.column);
}

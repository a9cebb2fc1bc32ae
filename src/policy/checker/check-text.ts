import type { z } from 'zod';
import type { Plan } from '../../engine/plan.js';
import { isObject, type Json, type JsonObject } from '../../model/values/json.js';
import {
  markAcknowledged,
  acknowledgementsOf,
  unusedAcknowledgements,
  wrongAcknowledgements,
} from '../check/acknowledge.js';
import { beginAnalysis } from '../reachability/analysis.js';
import { compileAgent } from '../compile/agent.js';
import { compileWorkflow } from '../compile/flows.js';
import { error, type Catalog, type Compiling, type Path } from '../compile/context.js';
import { defaultEnvironment, type EnvironmentEntry } from '../../model/policy-set.js';
import type { FindingCode } from '../text/findings.js';
import type { Finding } from '../text/problems.js';
import { withNamesOfAnyLength } from '../shape/basics.js';
import { floorsOf } from '../../schema/kit.js';
import { fit, type Shaped } from '../shape/check.js';
import {
  agentShape,
  nameShape,
  workflowShape,
  type AgentShape,
  type WorkflowShape,
} from '../shape/shapes.js';
import { parseText, problemAt, type Media, type Place, type Source } from '../text/source.js';

/** A compiled flow, ready to be published. */
export interface CompiledFlow {
  readonly name: string;
  readonly plan: Plan;
  /** The document as it was parsed. The hash of a version is over its canonical form. */
  readonly definition: JsonObject;
  readonly source: string;
  readonly owner: string | null;
  readonly description: string | null;
  /** Where the flow is published and started: the environment that it names, else `dev`. */
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

/** In characters. Whoever starts, shows or continues a run reads the plan in one piece, and everybody else waits meanwhile. */
const mostPlanLength = 6_291_456;

/** Whether a flow is spared what became an error after it was published. */
type Leniency = Pick<Compiling, 'isPublished'>;

/** Checks a text that holds exactly one flow, in either notation, and nothing else (docs/spec/api.md, `POST /v1/flows`). */
export function checkFlowText(
  text: string,
  options: { readonly catalog: Catalog; readonly file?: string; readonly media?: Media } & Leniency,
): FlowCheck {
  const parsed = parseText(text, options.file, options.media, options.isPublished);
  if (parsed.status === 'invalid') {
    // A text without a file was sent as JSON.
    const isYaml =
      options.file === undefined && options.media === 'json' && parseText(text).status === 'parsed';
    const hint = isYaml ? '; if it is YAML, send it as `application/yaml`' : '';
    const errors = parsed.problems.map((found) => ({ ...found, message: `${found.message}${hint}` }));
    return { status: 'invalid', errors, warnings: [] };
  }
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
    return checkFlow(source, options.catalog, 'agent', source.value, [], options);
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
  if (!isObject(flows))
    return fail(
      'WRONG_TYPE',
      ['workflows'],
      '`workflows` is a mapping, each flow under its name: `{name: {…}}`',
    );
  const names = Object.keys(flows);
  const [name] = names;
  if (name === undefined || names.length !== 1)
    return fail(
      'ONE_FLOW',
      ['workflows'],
      `\`workflows\` names ${names.length} flows here: send exactly one`,
    );
  return checkFlow(source, options.catalog, 'states', flows[name] ?? null, ['workflows', name], options);
}

export function checkFlow(
  source: Source,
  catalog: Catalog,
  notation: 'agent' | 'states',
  value: Json,
  path: Path,
  { isPublished }: Leniency = {},
): FlowCheck {
  beginAnalysis();
  const moot: Finding[] = [];
  const to: Compiling = { source, catalog, errors: [], warnings: [], isPublished, moot };
  const flow = notation === 'agent' ? agentFlow(to, value, path) : workflowFlow(to, value, path);
  if (flow !== null) assertPlanSize(to, flow.plan, path);
  const environment = flow?.environment ?? defaultEnvironment;
  const entry = catalog.policySet.environments.find((declared) => declared.name === environment);
  if (flow !== null && flow.environment === null && entry === undefined)
    error(
      to,
      'UNKNOWN_ENVIRONMENT',
      path,
      `no file declares \`${environment}\`: name the flow's \`environment\``,
      'key',
    );
  const accepted = acknowledgementsOf(source, value, path);
  const marked = markAcknowledged(accepted, to.warnings);
  markAcknowledged(accepted, moot);
  to.errors.push(...wrongAcknowledgements(accepted));
  const idle = flow === null || to.errors.length > 0 ? [] : unusedAcknowledgements(accepted);
  const { fatal, warnings } = judgeWarnings([...marked, ...idle], entry, { isPublished });
  const errors = [...to.errors, ...fatal];
  if (flow === null || errors.length > 0)
    return {
      status: 'invalid',
      errors: sortByPosition(errors),
      warnings: sortByPosition(warnings),
    };
  return {
    status: 'valid',
    flow: { ...flow, environment, warnings: sortByPosition(warnings) },
    warnings: sortByPosition(warnings),
  };
}

/** Each transition of a plan carries its tool with all schemas, so a short text may become a plan of a thousand megabytes. */
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

type FlowParts = Omit<CompiledFlow, 'environment' | 'warnings'> & { readonly environment: string | null };

function workflowFlow(to: Compiling, value: Json, path: Path): FlowParts | null {
  const name = String(path.at(-1));
  if (!nameShape.safeParse(name).success)
    error(
      to,
      'NAME_INVALID',
      path,
      `\`${name}\` is no name for a flow: letters, digits, \`.\`, \`_\` and \`-\`, 128 at most`,
      'key',
    );
  const shape = fitOrReport<WorkflowShape>(to, value, workflowShape, path);
  return (
    shape &&
    toFlowParts(to, compileWorkflow(withEnvironmentFloors(to, shape), name, shape, path), {
      workflows: { [name]: value },
    })
  );
}

function agentFlow(to: Compiling, value: Json, path: Path): FlowParts | null {
  const shape = fitOrReport<AgentShape>(to, value, agentShape, path);
  return (
    shape &&
    toFlowParts(to, compileAgent(withEnvironmentFloors(to, shape), shape, path), isObject(value) ? value : {})
  );
}

function withEnvironmentFloors(
  to: Compiling,
  { environment = defaultEnvironment }: AgentShape | WorkflowShape,
): Compiling {
  return { ...to, floors: floorsOf(to.catalog.policySet, environment) };
}

/** Null: the value does not fit the shape, and the errors are reported. */
function fitOrReport<T>(to: Compiling, value: Json, shape: z.ZodType<T>, path: Path): T | null {
  const fitShape = (): Shaped<T> => fit(to.source, value, shape, path);
  const shaped = to.isPublished === true ? withNamesOfAnyLength(fitShape) : fitShape();
  if (shaped.status === 'fits') return shaped.value;
  to.errors.push(...shaped.problems);
  return null;
}

/** Without `version`: it belongs to the format, not to the flow. */
function toFlowParts(to: Compiling, plan: Plan, { version: _version, ...definition }: JsonObject): FlowParts {
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

/** Warnings that earlier builds did not give: they refuse no flow that was published before. */
const newerWarnings: ReadonlySet<FindingCode> = new Set([
  // Of a warning that this build no longer gives.
  'ACKNOWLEDGED_NOTHING',
  'DEFAULT_NOT_FILLED',
  'NOTHING_TO_DENY',
  'NUMBER_REWRITTEN',
  'SECRET_SUSPECTED',
  'TEMPLATE_NOT_FILLED',
]);

/**
 * Divides warnings into those that the environment refuses (`fatal`) and those that are only shown. An acknowledged warning is
 * not refused, except a missing tier where the environment requires tiers. Two kinds never refuse: what time alone brings about,
 * or a service that is stopped could not start again the next day; and, in a flow that was published before, what earlier
 * builds did not warn of.
 */
export function judgeWarnings(
  all: readonly Finding[],
  environment: EnvironmentEntry | undefined,
  { isPublished }: Leniency = {},
): { readonly fatal: readonly Finding[]; readonly warnings: readonly Finding[] } {
  if (environment === undefined) return { fatal: [], warnings: all };
  const { name, refuseWarnings, requireTiers } = environment;
  const refuse = (found: readonly Finding[], why: string): Finding[] =>
    found.map((finding) => ({ ...finding, message: `${finding.message}; environment \`${name}\` ${why}` }));
  const isFatal = ({ code }: Finding): boolean => code === 'TIER_MISSING' && requireTiers;
  const tierless = refuse(all.filter(isFatal), 'requires tiers: name it');
  const others = all.filter((finding) => !isFatal(finding));
  if (!refuseWarnings) return { fatal: tierless, warnings: others };
  const isSpared = ({ code }: Finding): boolean =>
    code === 'TIME_PASSED' || (newerWarnings.has(code) && isPublished === true);
  const refusedWarnings = others.filter(
    (finding) => finding.acknowledged === undefined && !isSpared(finding),
  );
  return {
    fatal: [...tierless, ...refuse(refusedWarnings, 'refuses warnings: mend it, or acknowledge it')],
    warnings: others.filter((finding) => !refusedWarnings.includes(finding)),
  };
}

/** In the order of the text, without duplicates. */
export function sortByPosition(problems: readonly Finding[]): Finding[] {
  const once = new Map(problems.map((finding) => [JSON.stringify(finding), finding]));
  return [...once.values()].sort((a, b) => a.line - b.line || a.column - b.column);
}

import { isUtf8 } from 'node:buffer';
import type { FlowVersionJson } from '../../model/contract/answer-types.js';
import type { Json } from '../../model/values/json.js';
import { valueProblem } from '../../model/values/value-problem.js';
import type { Finding, ReadyCheck } from '../../policy/index.js';
import { getFlowVersion } from '../../store/flows/flows.js';
import { actorOf, type Caller } from '../caller.js';
import { keepInShare } from '../changes.js';
import { makeKeptResult } from '../kept-result.js';
import { refuseCaller } from '../may.js';
import { refusal, type Refusal } from '../refusal.js';
import { publishedFlow, type PublishedFlow } from './publish.js';

// The text of a flow, checked and published.

export interface FlowText {
  readonly media: 'json' | 'yaml';
  readonly bytes: Buffer;
}

interface CheckedFlow {
  readonly kind: 'checked';
  readonly valid: boolean;
  readonly errors: readonly Finding[];
  readonly warnings: readonly Finding[];
}

/** Checks a flow as publishing would, and publishes nothing. */
export async function checkFlow(caller: Caller, text: FlowText): Promise<CheckedFlow | Refusal> {
  const refused = refuseCaller(caller, 'checkFlow');
  if (refused !== null) return refused;
  const found = await checkText(caller, text, 'check');
  if ('kind' in found) return found;
  const errors = found.status === 'invalid' ? found.errors : [];
  const { warnings } = found.status === 'invalid' ? found : found.flow;
  return { kind: 'checked', valid: found.status === 'valid', errors, warnings };
}

export interface Published {
  readonly kind: 'published';
  readonly flow: PublishedFlow;
  readonly warnings: FlowVersionJson['warnings'];
}

/** Publishes a version of exactly one flow, once for each request. */
export async function publishFlow(caller: Caller, text: FlowText): Promise<Published | Refusal> {
  const refused = refuseCaller(caller, 'publishFlow');
  if (refused !== null) return refused;
  const { deps, requestId } = caller;
  const kept = makeKeptResult(caller, publishedFlow);
  const earlier = await kept.earlier(deps.pool);
  // An earlier attempt has published it: that version is the answer, even if it is not the newest, or not valid, any more.
  if (earlier !== null) {
    const row = await getFlowVersion(deps.pool, earlier.name, earlier.version);
    return { kind: 'published', flow: earlier, warnings: row?.warnings ?? [] };
  }
  for (let attempt = 0; attempt < mostChecks; attempt += 1) {
    const checked = await checkText(caller, text, 'publish');
    if ('kind' in checked) return checked;
    if (checked.status === 'invalid') return refuseInvalidFlow('FLOW_INVALID', notPublished, checked);
    const made = await keepInShare(caller, (mayKeep) =>
      deps.policies.publish(checked.flow, actorOf(caller), requestId, mayKeep, kept),
    );
    if (made === null) continue;
    if ('tooMany' in made) return refusal('TOO_LARGE', made.tooMany);
    return { kind: 'published', flow: made, warnings: checked.flow.warnings };
  }
  return refuseBusy('other policies come into force again and again: try again');
}

/** How often a flow is checked, when other policies come into force during the check. */
const mostChecks = 3;

const notPublished = 'the flow is not published';

type Invalid = Extract<ReadyCheck, { status: 'invalid' }>;

export function refuseInvalidFlow(
  code: 'FLOW_INVALID' | 'POLICY_INVALID',
  what: string,
  { errors, warnings }: Invalid,
  retryAfter: number | null = null,
): Refusal {
  const first = errors[0];
  const file = first?.file === null || first?.file === undefined ? '' : `\`${first.file}\`, `;
  const where =
    first === undefined ? '' : `: ${file}line ${first.line}, column ${first.column}: ${first.message}`;
  return refusal(code, `${what}${where}`, { errors, warnings }, retryAfter);
}

async function checkText(
  caller: Caller,
  { bytes, media }: FlowText,
  to: 'check' | 'publish',
): Promise<ReadyCheck | Refusal> {
  const text = isUtf8(bytes) ? new TextDecoder().decode(bytes) : null;
  if (text === null) return refuseText('UNREADABLE', 'the text is not UTF-8');
  if (text.includes('\u0000'))
    return refuseText('MALFORMED', 'the text holds the character U+0000: take it out');
  const checked = await caller.deps.policies.check(text, media, {
    principal: caller.principal.id,
    to,
  });
  if (checked.status === 'late')
    return to === 'check' ? lateResult : refuseInvalidFlow('FLOW_INVALID', notPublished, lateResult, 5);
  if (checked.status === 'busy') return refuseBusy();
  if (checked.status === 'invalid') return checked;
  const badValue = valueProblem(JSON.parse(checked.flow.definition) as Json, '');
  return badValue === null
    ? checked
    : refuseText('MALFORMED', `\`${badValue.pointer}\` ${badValue.message}`, badValue.pointer);
}

export function refuseBusy(
  detail = 'too many checks are waiting, in this process or of one principal: try again',
): Refusal {
  return refusal('RATE_LIMITED', detail, {}, 2);
}

/** Measured by the clock, so it may be no fault of the flow: the process was stopped, or the machine is busy. */
const lateResult = refuseText(
  'TOO_LARGE',
  'the flow took longer to check than is allowed: try again, and if it happens again, split the flow or make it shorter',
);

function refuseText(code: 'MALFORMED' | 'UNREADABLE' | 'TOO_LARGE', message: string, path = ''): Invalid {
  const found: Finding = { code, path, line: 1, column: 1, message };
  return { status: 'invalid', errors: [found], warnings: [] };
}

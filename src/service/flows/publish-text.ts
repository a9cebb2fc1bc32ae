import { isUtf8 } from 'node:buffer';
import type { FlowVersionJson } from '../../model/answer-types.js';
import type { Json } from '../../model/json.js';
import { valueProblem } from '../../model/value-problem.js';
import type { Finding, ReadyCheck } from '../../policy/index.js';
import { getFlowVersion } from '../../store/flows.js';
import { actorOf, type Caller } from '../caller.js';
import { keptEffect } from '../effect.js';
import { refuseCaller } from '../may.js';
import { refusal, type Refusal } from '../refusal.js';
import { publishedFlow, type PublishedFlow } from './publish.js';

// The text of one flow, checked and published.

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

/** The same validation as of a publish. */
export async function checkFlow(caller: Caller, text: FlowText): Promise<CheckedFlow | Refusal> {
  const refused = refuseCaller(caller, 'checkFlow');
  if (refused !== null) return refused;
  const found = await check(caller, text, 'check');
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

/** A version of exactly one flow, once for one request. */
export async function publishFlow(caller: Caller, text: FlowText): Promise<Published | Refusal> {
  const refused = refuseCaller(caller, 'publishFlow');
  if (refused !== null) return refused;
  const { deps, requestId } = caller;
  const effect = keptEffect(caller, publishedFlow);
  const earlier = await effect.earlier(deps.pool);
  // Whatever has come into force since: its version may be neither the newest nor valid by now.
  if (earlier !== null) {
    const row = await getFlowVersion(deps.pool, earlier.name, earlier.version);
    return { kind: 'published', flow: earlier, warnings: row?.warnings ?? [] };
  }
  for (let turn = 0; turn < mostTurns; turn += 1) {
    const checked = await check(caller, text, 'publish');
    if ('kind' in checked) return checked;
    if (checked.status === 'invalid') return flowInvalid('FLOW_INVALID', notPublished, checked);
    const made = await deps.policies.publish(checked.flow, actorOf(caller), requestId, effect);
    if (made === null) continue;
    if ('tooMany' in made) return refusal('TOO_LARGE', made.tooMany);
    return { kind: 'published', flow: made, warnings: checked.flow.warnings };
  }
  return tooMany('other policies come into force again and again: try again');
}

/** A flow is checked again so often where other policies come into force as it is. */
const mostTurns = 3;

const notPublished = 'the flow is not published';

type Invalid = Extract<ReadyCheck, { status: 'invalid' }>;

export function flowInvalid(
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

async function check(
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
    return to === 'check' ? late : flowInvalid('FLOW_INVALID', notPublished, late, 5);
  if (checked.status === 'busy') return tooMany();
  if (checked.status === 'invalid') return checked;
  const odd = valueProblem(JSON.parse(checked.flow.definition) as Json, '');
  return odd === null ? checked : refuseText('MALFORMED', `\`${odd.pointer}\` ${odd.message}`, odd.pointer);
}

export function tooMany(
  detail = 'as many checks are waiting as this process takes, or takes of one principal: try again',
): Refusal {
  return refusal('RATE_LIMITED', detail, {}, 2);
}

/** By the clock: a process that was stopped, or a busy machine, is no mistake in the flow. */
const late = refuseText(
  'TOO_LARGE',
  'the flow took longer to check than a check may take: try again, and where that comes again split it, or say less in one place',
);

function refuseText(code: 'MALFORMED' | 'UNREADABLE' | 'TOO_LARGE', message: string, path = ''): Invalid {
  const found: Finding = { code, path, line: 1, column: 1, message };
  return { status: 'invalid', errors: [found], warnings: [] };
}

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { canonical } from '../../src/model/values/canonical.js';
import type { JsonObject } from '../../src/model/values/json.js';
import type { Message, MessageBody } from '../../src/model/message.js';
import type { Principal } from '../../src/model/principal.js';
import type { Plan } from '../../src/engine/plan.js';
import { decide, initialRun, wakeTime } from '../../src/engine/index.js';
import { isRead } from '../../src/executors/index.js';
import type { EventResult, Event, Kit, RunState } from '../../src/engine/state.js';
import { fay, operator, principal } from './people.js';

// A run, walked through event by event.

/** When everything happens that is given no other time. */
export const time = '2026-01-01T00:00:00.000Z';
export const start = Date.parse(time);
export const hour = 3_600_000;

/** So many milliseconds after `time`. */
export function at(ms: number): string {
  return new Date(start + ms).toISOString();
}

export const kit: Kit = {
  digest: (value) => `sha256:${createHash('sha256').update(canonical(value)).digest('hex')}`,
  validate: (_schema, value) => ({ status: 'valid', value }),
  queueRoles: (queue) => (queue === 'controllers' ? ['finance.controller'] : []),
  gateTimeoutMs: 3_600_000,
  floors: [],
  author: null,
  promoter: null,
  businessEnd: (from, ms) => from + ms,
  connection: (name) => `sha256:${name}`,
  rightsNow: (asked) => asked,
  isRead,
  whyTooLarge: () => null,
  canBeMade: () => true,
  show: ({ title, target }, { arguments: args, denied }) => ({
    summary: title,
    consequence: target,
    preview: { arguments: args, denied: denied?.by ?? null },
  }),
};

/** What an effect that went well hands back to its run. */
export const succeeded = {
  status: 'succeeded',
  output: {},
  response: {},
  evidence: [],
  attempt: 1,
  outputRef: null,
} as const;

let counter = 0;

export function message(by: Principal, body: MessageBody, fields: Partial<Message> = {}): Message {
  counter += 1;
  return {
    v: 1,
    id: `msg_${counter}`,
    run: 'run_1',
    time,
    principal: by,
    body,
    refs: [],
    ...fields,
  };
}

/** A run and everything that happened to it. */
export interface Walk {
  kit: Kit;
  run: RunState;
  last: EventResult;
  readonly history: EventResult[];
  send(event: Event): EventResult;
  submit(by: Principal, name: string, args?: JsonObject, expectedVersion?: number | null): EventResult;
  decide(by: Principal, approval: string, decision: 'approve' | 'deny', digest?: string): EventResult;
  /** The approval's timer goes. */
  fire(approval: string): EventResult;
  outcome(result?: Partial<Extract<Event, { kind: 'outcome' }>['result']> & object, at?: string): EventResult;
}

export function begin(
  of: Plan,
  input: JsonObject = {},
  by: Principal = principal('starter'),
  hands: Kit = kit,
): Walk {
  const start = message(by, {
    kind: 'start',
    flow: of.name,
    flowVersion: 1,
    planHash: 'sha256:p',
    environment: 'dev',
    mode: 'live',
    traceId: 't',
    input,
  });
  const first = initialRun(of, 'sha256:p', start);
  if (first === null) throw new Error('no start');
  let step = 0;
  const walk: Walk = {
    kit: hands,
    run: first,
    last: { state: first, effects: [], trace: [], actions: [] },
    history: [],
    send(event) {
      step += 1;
      const result = decide(of, walk.run, event, walk.kit, `s${step}`);
      walk.run = result.state;
      walk.last = result;
      walk.history.push(result);
      return result;
    },
    submit: (who, name, args = {}, expectedVersion = null) =>
      walk.send({
        kind: 'message',
        time,
        message: message(who, { kind: 'submit', transition: name, arguments: args, expectedVersion }),
      }),
    decide(who, approval, decision, digest) {
      const known = walk.run.approvals.find((candidate) => candidate.id === approval)?.action.digest ?? '';
      return walk.send({
        kind: 'message',
        time,
        message: message(who, {
          kind: 'decide',
          approval,
          decision,
          digest: digest ?? known,
          reasonGiven: false,
        }),
      });
    },
    fire(approval) {
      const at = walk.run.approvals.find((candidate) => candidate.id === approval)?.timer ?? 0;
      return walk.send({ kind: 'deadline', time: new Date(at).toISOString(), approval });
    },
    outcome(result = {}, at = time) {
      const done = { ...succeeded, ...result } as Extract<Event, { kind: 'outcome' }>['result'];
      return walk.send({
        kind: 'outcome',
        time: at,
        action: walk.run.executing?.action.id ?? '',
        result: done,
      });
    },
  };
  walk.send({ kind: 'message', time, message: start });
  return walk;
}

/** Milliseconds from `time` until the run's timer goes; null: it has no timer. */
export function wakesAfter({ run }: Pick<Walk, 'run'>): number | null {
  const at = wakeTime(run);
  return at === null ? null : at - Date.parse(time);
}

export function answerOf(result: EventResult): { status: string; code?: string } | undefined {
  const found = result.effects.find((effect) => effect.kind === 'answer');
  return found?.kind === 'answer' ? found.answer : undefined;
}

/** The types of what it put on record, in order. */
export function types({ trace }: EventResult): string[] {
  return trace.map((fact) => fact.type);
}

/** Does it begin an effect? */
export function begins({ effects }: EventResult): boolean {
  return effects.some((effect) => effect.kind === 'execute');
}

export function statuses({ run }: Walk): string[] {
  return run.approvals.map(({ status }) => status);
}

/** The id of the approval that was asked for last. */
export function lastApproval({ run }: Walk): string {
  return run.approvals.at(-1)?.id ?? assert.fail('nobody was asked');
}

export function approve(walk: Walk, by: Principal = fay): EventResult {
  return walk.decide(by, lastApproval(walk), 'approve');
}

/** An operator retries or cancels the run. */
export function operate(
  walk: Walk,
  kind: 'cancel' | 'retry',
  { by = operator, at = time } = {},
): EventResult {
  return walk.send({ kind: 'message', time: at, message: message(by, { kind }) });
}

/** An outcome that nobody knows. */
export const lost = { status: 'unknown', message: 'the connection was lost' } as object;

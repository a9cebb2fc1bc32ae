import type { ServiceFact } from '../audit/index.js';
import type { Principal } from '../model/principal.js';
import type { RecordActor } from '../model/records.js';
import type { HeldKey } from '../store/idempotency.js';
import type { ListedRun } from '../store/runs.js';
import { viewerOf, type Viewer } from '../store/visibility.js';
import type { ServiceDeps } from './deps.js';

/** Who asks for something, by whichever door. A use case takes one, and plain values. */
export interface Caller {
  readonly deps: ServiceDeps;
  readonly principal: Principal;
  readonly requestId: string;
  /** 32 hex digits from which the ids of what this request makes are derived: the same in a retry of it. */
  readonly effect: string;
  /** The idempotency key that this request holds. */
  readonly held: HeldKey | null;
  readonly trail: Trail;
}

/** What a request is about and leaves on record, noted as it becomes known. Its door writes it down at the end. */
export interface Trail {
  about: Place | null;
  /** The caller may see what it is about, so its trace id may be said. */
  visible: boolean;
  /** The run itself has recorded the refusal. */
  recordedByRun: boolean;
  readonly facts: CallFact[];
}

interface Place {
  readonly run: string;
  readonly flow: string;
  readonly environment: string;
  readonly traceId: string;
}

/** The facts that a request leaves besides that it was made. */
export type CallFact = Pick<ServiceFact, 'type' | 'data'> &
  Partial<Pick<ServiceFact, 'permission' | 'approval' | 'action' | 'refs'>> & {
    /** Where one request is about several runs; else the request's. */
    readonly place?: Place | null;
  };

export function newTrail(): Trail {
  return { about: null, visible: false, recordedByRun: false, facts: [] };
}

export function note({ trail }: Pick<Caller, 'trail'>, fact: CallFact): void {
  trail.facts.push(fact);
}

/** `visible`: to the caller. What is refused is about its run all the same. */
export function noteRun({ trail }: Pick<Caller, 'trail'>, row: ListedRun, visible: boolean): void {
  trail.about = { run: row.id, flow: row.flow, environment: row.environment, traceId: row.traceId };
  trail.visible = visible;
}

export function traceIdOf({ trail, requestId }: Pick<Caller, 'trail' | 'requestId'>): string {
  return trail.about !== null && trail.visible ? trail.about.traceId : requestId;
}

export function actorOf({ principal: { kind, id, roles } }: Pick<Caller, 'principal'>): RecordActor {
  return { kind, id, roles };
}

export function viewer({ principal }: Pick<Caller, 'principal'>): Viewer {
  return viewerOf(principal);
}

/** Ids of what the request makes. */
export function effectId({ effect }: Pick<Caller, 'effect'>, prefix: 'run' | 'msg' | 'dec' | 'key'): string {
  return `${prefix}_${effect}`;
}

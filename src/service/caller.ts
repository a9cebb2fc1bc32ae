import type { ServiceFact } from '../audit/index.js';
import type { Principal } from '../model/principal.js';
import type { Rights } from '../auth/index.js';
import { principalActor, type RecordActor } from '../model/records.js';
import type { HeldKey } from '../store/idempotency.js';
import type { ListedRun } from '../store/runs/runs.js';
import { viewerOf, type Viewer } from '../store/runs/visibility.js';
import type { ServiceDeps } from './deps.js';

/** Who asks, by whichever door. Every use case takes a caller and plain values. */
export interface Caller {
  readonly deps: ServiceDeps;
  readonly principal: Principal;
  readonly requestId: string;
  /** 32 hex digits from which the ids of what this request makes are derived; a retry of the request has the same. */
  readonly idBase: string;
  /** The idempotency key that this request holds; null: it was sent without a key. */
  readonly heldKey: HeldKey | null;
  readonly trail: Trail;
  /** Whether what showed who asks gives these rights still. */
  readonly rights: Rights;
  /** Aborted when the process begins to stop: whoever waits for a turn by then gets none. */
  readonly stopping: AbortSignal;
}

/** What a request is about and what it leaves on record, noted as it becomes known. The door records it at the end. */
export interface Trail {
  about: AboutRun | null;
  /** The caller may see the run that the request is about, so the answer may name the run's trace id. */
  visible: boolean;
  /** The run itself has recorded the refusal: the service need not. */
  recordedByRun: boolean;
  readonly facts: CallFact[];
}

interface AboutRun {
  readonly run: string;
  readonly flow: string;
  readonly environment: string;
  readonly traceId: string;
}

/** A fact that a request leaves on record, besides the fact that it was made. */
export type CallFact = Pick<ServiceFact, 'type' | 'data'> &
  Partial<Pick<ServiceFact, 'permission' | 'approval' | 'action' | 'refs'>> & {
    /** The run of this fact, where a request is about several; absent: the run that the request is about. */
    readonly about?: AboutRun | null;
  };

export function newTrail(): Trail {
  return { about: null, visible: false, recordedByRun: false, facts: [] };
}

export function note({ trail }: Pick<Caller, 'trail'>, fact: CallFact): void {
  trail.facts.push(fact);
}

/** `visible`: the caller may see the run. A refused request is on record as being about its run, too. */
export function noteRun({ trail }: Pick<Caller, 'trail'>, row: ListedRun, visible: boolean): void {
  trail.about = { run: row.id, flow: row.flow, environment: row.environment, traceId: row.traceId };
  trail.visible = visible;
}

export function traceIdOf({ trail, requestId }: Pick<Caller, 'trail' | 'requestId'>): string {
  return trail.about !== null && trail.visible ? trail.about.traceId : requestId;
}

export function actorOf({ principal }: Pick<Caller, 'principal'>): RecordActor {
  return principalActor(principal);
}

export function viewer({ principal }: Pick<Caller, 'principal'>): Viewer {
  return viewerOf(principal);
}

/** The id of what the request makes; a retry of the request gives the same id. */
export function deriveId({ idBase }: Pick<Caller, 'idBase'>, prefix: 'run' | 'msg' | 'dec' | 'key'): string {
  return `${prefix}_${idBase}`;
}

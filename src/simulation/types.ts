import type { JsonObject } from '../model/values/json.js';
import type { Principal } from '../model/principal.js';
import type { Fact } from '../model/records.js';
import type { CompiledFlow, Problem } from '../policy/index.js';
import type { PathSegment } from '../policy/text/problems.js';
import type { Source } from '../policy/text/source.js';
import type { AnswerShape, ExpectShape } from '../policy/shape/tests.js';
import type { Act, Place } from './play.js';

/** A case as it can be run: every name in it is known. */
export interface Case {
  readonly source: Source;
  readonly path: readonly PathSegment[];
  readonly name: string;
  readonly flow: CompiledFlow;
  readonly input: JsonObject;
  readonly startedBy: Principal;
  readonly principals: ReadonlyMap<string, Principal>;
  readonly answers: ReadonlyMap<string, AnswerShape>;
  /** Null: the run is started. */
  readonly place: Place | null;
  readonly steps: readonly Step[];
}

export interface Step {
  readonly path: readonly PathSegment[];
  /** `step 2: submit approve as manager`. */
  readonly title: string;
  readonly act: Act;
  /** Null: the step must not be refused, and the run must not get stuck. */
  readonly expect: Expectation | null;
}

export interface Expectation {
  readonly shape: ExpectShape;
  readonly path: readonly PathSegment[];
  /** The expectation is written as one word: every difference is located there. */
  readonly oneWord: boolean;
}

export type CasesRead =
  | { readonly status: 'read'; readonly cases: readonly Case[] }
  | { readonly status: 'invalid'; readonly problems: readonly Problem[] };

export interface Mismatch {
  readonly line: number;
  readonly column: number;
  /** `code`, `context.policyOk`, `records`. */
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

export interface CaseResult {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly name: string;
  readonly flow: string;
  readonly status: 'passed' | 'failed';
  /** Null: the case passed. */
  readonly failure: Failure | null;
}

export interface Failure {
  readonly step: string;
  readonly mismatches: readonly Mismatch[];
  /** What was answered, in the engine's words. */
  readonly why: string | null;
  readonly run: { readonly state: string; readonly status: string; readonly version: number };
  /** The records that the step wrote. */
  readonly trace: readonly Fact[];
}

import type { z } from 'zod';
import type * as answers from './api-answers.js';
import type * as inbox from './api-inbox-answers.js';
import type { Json, JsonObject } from '../values/json.js';

// The answers of the REST contract as types, derived from the schemas that describe them. Those who make answers and those who read them use the same types.

/** The type of an answer with this schema: JSON that nobody changes. */
export type AnswerOf<S extends z.ZodType> = ReadonlyJson<z.input<S>>;

type Leaf = string | number | boolean | null;
type ReadonlyJson<T> = unknown extends T
  ? Json
  : [Json] extends [T]
    ? Json
    : T extends Leaf
      ? T
      : T extends readonly (infer Item)[]
        ? readonly ReadonlyJson<Item>[]
        : JsonObject extends T
          ? JsonObject
          : { readonly [Name in keyof T]: ReadonlyJson<Exclude<T[Name], undefined>> };

export type ApprovalJson = AnswerOf<typeof inbox.approval>;
export type DecidedJson = AnswerOf<typeof inbox.decided>;
export type DecisionJson = AnswerOf<typeof inbox.decision>;
export type BatchJson = AnswerOf<typeof inbox.batch>;
export type SavedViewJson = AnswerOf<typeof inbox.savedView>;
export type AbsenceJson = AnswerOf<typeof inbox.absence>;
export type ApprovalStatsJson = AnswerOf<typeof inbox.approvalStats>;
export type ApprovalLinkJson = AnswerOf<typeof inbox.approvalLinks>['data'][number];
export type RunJson = AnswerOf<typeof answers.run>;
export type RunBodyJson = AnswerOf<typeof answers.runBody>;
/** How a run stands, without the result of a request. */
export type RunStandingJson = Omit<RunBodyJson, 'result'>;
export type SubmittedJson = AnswerOf<typeof answers.submitted>;
export type ActionJson = AnswerOf<typeof answers.action>;
export type AuditItemJson = AnswerOf<typeof answers.auditItem>;
export type ReconstructionJson = AnswerOf<typeof answers.reconstruction>;
export type FlowJson = AnswerOf<typeof answers.flow>;
export type FlowSummaryJson = AnswerOf<typeof answers.flowSummary>;
export type FlowVersionJson = AnswerOf<typeof answers.flowVersion>;
export type FlowDiffJson = AnswerOf<typeof answers.flowDiff>;
export type ReloadedJson = AnswerOf<typeof answers.reloaded>;
export type KeyJson = AnswerOf<typeof answers.key>;
export type CreatedKeyJson = AnswerOf<typeof answers.createdKey>;
export type SigningKeyJson = AnswerOf<typeof answers.signingKey>;
export type ReadyJson = AnswerOf<typeof answers.ready>;

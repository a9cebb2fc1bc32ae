import { z } from 'zod';
import type { Json, JsonObject } from '../../../model/values/json.js';
import type { SlackApproval } from './blocks.js';

const person = z.object({ id: z.string() });
const body = z.object({
  id: z.string(),
  digest: z.string(),
  status: z.string(),
  flow: z.string(),
  environment: z.string(),
  run: z.string(),
  transition: z.string(),
  tool: z.string().nullable(),
  tier: z.string().nullable(),
  summary: z.string(),
  consequence: z.string(),
  arguments: z.custom<JsonObject>((value) => typeof value === 'object' && value !== null),
  preview: z.custom<Json>(() => true).optional(),
  unreadable: z.array(z.string()).default([]),
  requestedBy: person,
  because: z.array(z.object({ text: z.string() })),
  roles: z.array(z.string()),
  gates: z.array(z.object({ rule: z.string(), text: z.string() })),
  expiresAt: z.string().nullable(),
  onExpiry: z.string(),
  closedAt: z.string().nullable(),
  decisions: z.array(z.object({ by: person, decision: z.string(), at: z.string(), status: z.string() })),
});

/** Makes it from the body of `GET /v1/approvals/{id}`. */
export function slackApproval(shown: JsonObject, page: string | null): SlackApproval {
  const { preview = null, requestedBy, because, decisions, ...rest } = body.parse(shown);
  return {
    ...rest,
    preview,
    requestedBy: requestedBy.id,
    because: because.map(({ text }) => text),
    decisions: decisions
      .filter(({ status }) => status !== 'refused')
      .map(({ by, decision, at }) => ({ by: by.id, decision, at })),
    page,
  };
}

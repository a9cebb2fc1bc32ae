import { hash } from 'node:crypto';
import { canonical } from '../model/values/canonical.js';
import type { Json } from '../model/values/json.js';
import {
  defaultGateTimeoutMs,
  environmentOf,
  resolveConnection,
  type Connection,
  type FloorEntry,
  type PolicySet,
} from '../model/policy-set.js';
import type { Floor } from '../engine/plan.js';
import type { Kit } from '../engine/state.js';
import { businessEnd } from './business.js';
import { compileSchema, type Refusing, type SchemaCheck } from './index.js';

export function sha256(text: string): string {
  return `sha256:${hash('sha256', text)}`;
}

/** Whose work a run's flow version is; null: no person that we know. */
export interface FlowPeople {
  readonly author: string | null;
  readonly promoter: string | null;
}

/** What only the service knows: what approvers are shown, which calls are reads, what a connection stands for, who holds which rights now. */
export interface ServiceParts {
  readonly show: Kit['show'];
  readonly whyTooLarge: Kit['whyTooLarge'];
  readonly canBeMade: Kit['canBeMade'];
  readonly isRead: Kit['isRead'];
  readonly standsFor: (connection: Connection, baseDirectory: string) => Json;
  readonly rightsNow: Kit['rightsNow'];
}

/** The engine's kit for an environment, in the service and in a simulation: hashing, JSON Schema, queues, floors, time. */
export function makeKit(
  policySet: PolicySet,
  environment: string,
  people: FlowPeople,
  { show, whyTooLarge, canBeMade, isRead, standsFor, rightsNow }: ServiceParts = onPaper,
): Kit {
  const entry = environmentOf(policySet, environment);
  return {
    ...people,
    digest: (value) => sha256(canonical(value)),
    validate: (schema, value, beside, isKept) => {
      const [own, other] = [compileSchema(schema), beside === undefined ? undefined : compileSchema(beside)];
      if (own.status === 'invalid') return refuseUncompiled(own.message, 'schema');
      if (other?.status === 'invalid') return refuseUncompiled(other.message, 'beside');
      return own.validate(value, other, isKept);
    },
    ...queuesIn(policySet),
    gateTimeoutMs: entry?.gateTimeoutMs ?? defaultGateTimeoutMs,
    floors: floorsOf(policySet, environment),
    businessEnd: (from, ms, roles) => {
      const hours = roles.map((role) => policySet.roles.find((declared) => declared.name === role)?.hours);
      const ends = hours.map((businessHours) =>
        businessHours === undefined ? from + ms : businessEnd(businessHours, from, ms),
      );
      return Math.max(from + ms, ...ends);
    },
    connection: (name) => {
      const found = resolveConnection(policySet, name, environment);
      return found === null ? null : sha256(canonical(standsFor(found, policySet.baseDirectory)));
    },
    rightsNow,
    isRead,
    ...{ whyTooLarge, canBeMade },
    show,
  };
}

function refuseUncompiled(message: string, refusing: Refusing): SchemaCheck {
  return { status: 'invalid', errors: [{ pointer: '', message }], refusing };
}

const asWritten: ServiceParts['standsFor'] = (connection) => connection as unknown as Json;

/** On paper everybody keeps the rights that it had when it asked. */
export const asAsked: Kit['rightsNow'] = (asked) => asked;

/** Nobody reads what a run on paper would show; its digest still tells requests from each other. */
export const showOnPaper: Kit['show'] = ({ title, target }, { arguments: args, denied }) => ({
  summary: title,
  consequence: target,
  preview: { arguments: args, denied: denied?.count ?? 0 },
});

/** What a run on paper has in place of the service. Without executors every call is taken to change something, and to fit. */
export const onPaper: ServiceParts = {
  isRead: () => false,
  whyTooLarge: () => null,
  canBeMade: () => true,
  show: showOnPaper,
  standsFor: asWritten,
  rightsNow: asAsked,
};

/**
 * Who decides in a queue, by its declaration. Where no queues are declared, and this one never was, it is only a label: no
 * roles. Null: it was declared once, or others are and it is not.
 */
export function queuesIn(
  policySet: Pick<PolicySet, 'queues' | 'formerQueues'> | null,
): Pick<Kit, 'queueRoles'> {
  const queues = policySet?.queues ?? [];
  const former = policySet?.formerQueues ?? [];
  return {
    queueRoles: (name) => {
      const declared = queues.find((queue) => queue.name === name);
      if (declared !== undefined) return declared.roles;
      return queues.length === 0 && !former.includes(name) ? [] : null;
    },
  };
}

/**
 * What an environment asks for, whatever authors wrote; of an environment that is no longer declared, what it asked for last.
 * Null: nothing is known of it.
 */
export function floorsOf(policySet: PolicySet, environment: string): Floor[] | null {
  const entry = environmentOf(policySet, environment);
  return entry === null ? null : (entry.floors ?? []).map((floor) => floorFrom(environment, floor));
}

function floorFrom(environment: string, { tiers, ...gate }: FloorEntry): Floor {
  const because = [`environment ${environment}: ${tiers.join(', ')}`];
  return { tiers, gate: { on: null, ...gate, because, origin: { source: 'environment', path: null } } };
}

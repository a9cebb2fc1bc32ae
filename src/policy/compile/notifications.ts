import {
  isWebhookAddress,
  type Channel,
  type NotificationPolicy,
  type NotificationRoute,
} from '../../model/contract/notifications.js';
import { asksPeople, type Gate, type GateTimeout } from '../../engine/plan.js';
import { isSuspectAddress, withoutCredentials } from '../check/credentials.js';
import type { CompiledFlow } from '../checker/check-text.js';
import { error, warn, type Compiling, type Path } from './context.js';
import type { ErrorFinding } from '../text/findings.js';
import { nearest } from '../text/problems.js';
import { referencePattern, type ChannelShape, type NotificationsShape } from '../shape/notifications.js';

const slackApi = 'https://slack.com/api';

/** What routes may name: what the folder declares, and the names that its flows and tools use. */
interface Names {
  readonly queues: ReadonlySet<string>;
  readonly roles: ReadonlySet<string>;
  readonly flows: ReadonlySet<string>;
  readonly environments: ReadonlySet<string>;
  readonly channels: ReadonlySet<string>;
}

/** Whether a part of the folder that could not be read may use this `queue` or `role`, or declare this `flow`. */
type MayBe = (what: string, name: string) => boolean;

export function compileNotifications(
  to: Compiling,
  shape: NotificationsShape,
  flows: readonly CompiledFlow[],
  mayBe: MayBe,
): NotificationPolicy {
  const { publicUrl = null, channels = {}, routes = [] } = shape;
  const trouble = publicUrl === null ? null : publicUrlTrouble(publicUrl);
  if (trouble !== null) error(to, 'WRONG_VALUE', ['publicUrl'], trouble);
  const names = namesOf(to, flows, Object.keys(channels));
  return {
    publicUrl: publicUrl?.replace(/\/+$/, '') ?? null,
    channels: Object.entries(channels).map(([name, declared]) =>
      compileChannel(to, name, declared, ['channels', name]),
    ),
    routes: routes.map((route, index): NotificationRoute => {
      const path: Path = ['routes', index];
      assertKnownName(to, 'ROUTE_UNKNOWN', 'queue', route.queue, names.queues, [...path, 'queue'], mayBe);
      assertKnownName(to, 'ROUTE_UNKNOWN', 'role', route.role, names.roles, [...path, 'role'], mayBe);
      assertKnownName(to, 'UNKNOWN_ENVIRONMENT', 'environment', route.environment, names.environments, [
        ...path,
        'environment',
      ]);
      for (const [at, name] of route.to.entries())
        assertKnownName(to, 'UNKNOWN_CHANNEL', 'channel', name, names.channels, [...path, 'to', at]);
      if (route.flow !== undefined && !names.flows.has(route.flow))
        warn(
          mayBe('flow', route.flow) ? { ...to, warnings: to.moot ?? [] } : to,
          'UNKNOWN_FLOW',
          [...path, 'flow'],
          `no file declares flow \`${route.flow}\`: nothing is routed here until it is published`,
          'value',
        );
      return {
        queue: route.queue ?? null,
        role: route.role ?? null,
        flow: route.flow ?? null,
        environment: route.environment ?? null,
        events: route.events ?? null,
        to: route.to,
      };
    }),
  };
}

function assertKnownName(
  to: Compiling,
  code: ErrorFinding,
  what: string,
  name: string | undefined,
  names: ReadonlySet<string>,
  path: Path,
  mayBe: MayBe = () => false,
): void {
  if (name === undefined || names.has(name) || mayBe(what, name)) return;
  error(to, code, path, `unknown ${what} \`${name}\``, 'value', () => nearest(name, [...names]));
}

function namesOf(to: Compiling, flows: readonly CompiledFlow[], channels: readonly string[]): Names {
  const { policySet, tools } = to.catalog;
  const gates: NamingGate[] = [];
  const queues = policySet.queues.map((queue) => queue.name);
  const roles = [
    ...policySet.roles.map((role) => role.name),
    ...policySet.queues.flatMap((queue) => queue.roles),
  ];
  const take = (gate: Gate | null): void => void (gate === null ? undefined : gates.push(gate));
  for (const tool of tools) take(tool.gate);
  for (const transition of flows.flatMap(({ plan }) => plan.states.flatMap((state) => state.transitions))) {
    gates.push(...transition.gates);
    const { executor } = transition;
    if (!asksPeople(executor)) continue;
    roles.push(...executor.roles);
    if (executor.queue !== null) queues.push(executor.queue);
  }
  for (const environment of policySet.environments) gates.push(...(environment.floors ?? []));
  for (const gate of gates) {
    roles.push(
      ...gate.roles,
      ...gate.quorum.perRole.map((share) => share.role),
      ...rolesOfStages(gate.timeout),
    );
    if (gate.queue !== null) queues.push(gate.queue);
  }
  return {
    queues: new Set(queues),
    roles: new Set(roles),
    channels: new Set(channels),
    flows: new Set(flows.map((flow) => flow.name)),
    environments: new Set(policySet.environments.map((environment) => environment.name)),
  };
}

/** The parts of a gate or floor that name queues and roles. */
type NamingGate = Pick<Gate, 'roles' | 'queue' | 'quorum' | 'timeout'>;

/** The roles that the stages of a time-out escalate to. */
function rolesOfStages(stage: GateTimeout | null | undefined): readonly string[] {
  return stage === null || stage === undefined ? [] : [...stage.to, ...rolesOfStages(stage.then)];
}

function compileChannel(to: Compiling, name: string, shape: ChannelShape, path: Path): Channel {
  const { allowPrivate = false } = shape;
  switch (shape.kind) {
    case 'webhook':
      return compileWebhook(to, name, shape, path);
    case 'slack': {
      const { kind, token, channel: conversation, signingSecret, users = {}, api = slackApi } = shape;
      if (!isPlainAddress(api))
        error(
          to,
          'WRONG_VALUE',
          [...path, 'api'],
          `\`${withoutCredentials(api)}\` is no http address without query, fragment and credentials`,
        );
      return {
        kind,
        name,
        token,
        channel: conversation,
        signingSecret,
        users,
        api: api.replace(/\/+$/, ''),
        allowPrivate,
      };
    }
    case 'email': {
      const recipients = shape.to.map((recipient) =>
        typeof recipient === 'string' ? { address: recipient, principal: null } : recipient,
      );
      const twice = recipients.findIndex(
        ({ address }, index) => recipients.findIndex((other) => other.address === address) !== index,
      );
      if (twice !== -1)
        error(
          to,
          'DUPLICATE_NAME',
          [...path, 'to', twice],
          `\`${recipients[twice]?.address ?? ''}\` stands twice in the channel`,
        );
      if (/[\r\n]/.test(shape.from))
        error(to, 'WRONG_VALUE', [...path, 'from'], 'the sender holds a line break: take it out');
      return { kind: 'email', name, smtp: shape.smtp, from: shape.from, to: recipients, allowPrivate };
    }
  }
}

function compileWebhook(
  to: Compiling,
  name: string,
  shape: Extract<ChannelShape, { kind: 'webhook' }>,
  path: Path,
): Channel {
  const { url, signing = 'hmac', secret, content = 'thin', allowPrivate = false } = shape;
  if (!referencePattern.test(url) && !isWebhookAddress(url))
    error(
      to,
      'WRONG_VALUE',
      [...path, 'url'],
      `\`${withoutCredentials(url)}\` is no http address without fragment and credentials, and no reference`,
    );
  else if (isSuspectAddress(url))
    warn(
      to,
      'SECRET_SUSPECTED',
      [...path, 'url'],
      'whoever reads `url` may have a credential with it: write `secret://name` or `env://NAME`, or acknowledge at the top of the file that it is none',
      'value',
    );
  if (signing === 'hmac' && secret === undefined)
    error(
      to,
      'REQUIRED',
      [...path, 'secret'],
      '`secret` is required here: a reference to a `whsec_` secret, or say `signing: ed25519`',
    );
  if (signing === 'ed25519' && secret !== undefined)
    error(
      to,
      'WRONG_VALUE',
      [...path, 'secret'],
      'with `signing: ed25519` the service signs with its own key: take `secret` out',
      'key',
    );
  const secrets = secret === undefined ? [] : typeof secret === 'string' ? [secret] : secret;
  return { kind: 'webhook', name, url, signing, secrets, content, allowPrivate };
}

/** What is wrong with a public URL, or null. It has no path: the pages link to each other from the root of their host. */
function publicUrlTrouble(text: string): string | null {
  const shown = withoutCredentials(text);
  if (!isPlainAddress(text)) return `\`${shown}\` is no http address without query, fragment and credentials`;
  const { origin, pathname } = new URL(text);
  if (/^\/+$/.test(pathname)) return null;
  return `\`${shown}\` has a path, and the pages stand at the root of their host: write \`${origin}\`, or give the service a host or a port of its own`;
}

function isPlainAddress(text: string): boolean {
  return isWebhookAddress(text) && new URL(text).search === '';
}

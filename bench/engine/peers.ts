import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectRoot } from '../../testing/paths.js';
import type { Facts, Said } from './facts.js';

// The rule of bench/engine/policies in CEL and in Cedar. Each parses it once, as our engine does.

const folder = join(projectRoot, 'bench', 'peers', 'engine');

/** A library that evaluates rules. `says` gives its verdict; `prepare` does whatever need not be in the call that is timed. */
export interface Peer {
  readonly name: string;
  readonly version: string;
  rule(name: RuleName): { says(facts: Facts): Said; prepare(facts: Facts): () => boolean };
}

type RuleName = 'five' | 'one' | 'unless_large';

function peersInstalled(): boolean {
  return existsSync(join(folder, 'node_modules', '@marcbachmann', 'cel-js', 'package.json'));
}

/** Installs the libraries on first use, and says so: nothing else of the project needs them. */
export async function loadPeers(say: (line: string) => void): Promise<readonly Peer[]> {
  if (!peersInstalled()) {
    say(`installing the peers of the benchmark into ${folder}`);
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder, stdio: ['ignore', 2, 2] });
  }
  return [await loadCel(), loadCedar()];
}

function versionOf(name: string): string {
  const text = readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

// --- CEL ---------------------------------------------------------------------------------------

interface CelEnvironment {
  registerVariable(name: string, type: string): CelEnvironment;
  parse(text: string): (values: object) => unknown;
}

const cel: Readonly<Record<RuleName, string>> = {
  five: [
    '"finance.clerk" in principal.roles',
    'arguments.amount <= 50000.0',
    'arguments.currency == "EUR"',
    'context.vendor.status == "approved"',
    'arguments.reference.startsWith("INV-")',
  ].join(' && '),
  one: 'arguments.amount <= 50000.0',
  unless_large: '!(arguments.amount > 50000.0)',
};

async function loadCel(): Promise<Peer> {
  const name = '@marcbachmann/cel-js';
  const entry = pathToFileURL(join(folder, 'node_modules', name, 'lib', 'index.js')).href;
  const { Environment } = (await import(entry)) as { Environment: new () => CelEnvironment };
  const environment = new Environment()
    .registerVariable('principal', 'map')
    .registerVariable('arguments', 'map')
    .registerVariable('context', 'map');
  return {
    name,
    version: versionOf(name),
    rule(rule) {
      const holds = environment.parse(cel[rule]);
      return {
        prepare: (facts) => () => holds(facts) === true,
        says(facts) {
          try {
            return holds(facts) === true ? { verdict: 'pass' } : { verdict: 'fail' };
          } catch (error) {
            return { verdict: 'error', why: firstLine(error instanceof Error ? error.message : '') };
          }
        },
      };
    },
  };
}

// --- Cedar -------------------------------------------------------------------------------------

interface CedarAnswer {
  readonly type: string;
  readonly response?: {
    readonly decision: 'allow' | 'deny';
    readonly diagnostics: { readonly errors: readonly { readonly error: { readonly message: string } }[] };
  };
  readonly errors?: readonly { readonly message: string }[];
}

interface Cedar {
  preparsePolicySet(id: string, policies: { staticPolicies: string }): CedarAnswer;
  statefulIsAuthorized(call: object): CedarAnswer;
}

const head = 'principal, action == Action::"pay", resource';
const cedar: Readonly<Record<RuleName, string>> = {
  five: `permit(principal in Role::"finance.clerk", action == Action::"pay", resource) when {
    context.arguments.amount <= 50000 &&
    context.arguments.currency == "EUR" &&
    context.context.vendor.status == "approved" &&
    context.arguments.reference like "INV-*"
  };`,
  one: `permit(${head}) when { context.arguments.amount <= 50000 };`,
  // A prohibition in Cedar is a `forbid` beside a `permit`.
  unless_large: `permit(${head}); forbid(${head}) when { context.arguments.amount > 50000 };`,
};

function loadCedar(): Peer {
  const name = '@cedar-policy/cedar-wasm';
  const engine = createRequire(join(folder, 'package.json'))(`${name}/nodejs`) as Cedar;
  return {
    name,
    version: versionOf(name),
    rule(rule) {
      const parsed = engine.preparsePolicySet(rule, { staticPolicies: cedar[rule] });
      if (parsed.type !== 'success') throw new Error(`Cedar does not take \`${cedar[rule]}\``);
      return {
        prepare(facts) {
          const call = cedarCall(rule, facts);
          return () => engine.statefulIsAuthorized(call).response?.decision === 'allow';
        },
        says: (facts) => cedarSays(engine.statefulIsAuthorized(cedarCall(rule, facts))),
      };
    },
  };
}

function cedarCall(rule: RuleName, facts: Facts): object {
  const user = { type: 'User', id: 'clerk' };
  return {
    principal: user,
    action: { type: 'Action', id: 'pay' },
    resource: { type: 'Flow', id: 'payment' },
    context: { arguments: facts.arguments, context: facts.context },
    preparsedPolicySetId: rule,
    entities: [
      { uid: user, attrs: {}, parents: facts.principal.roles.map((role) => ({ type: 'Role', id: role })) },
    ],
  };
}

function cedarSays(answer: CedarAnswer): Said {
  const errors = [
    ...(answer.errors ?? []).map((error) => error.message),
    ...(answer.response?.diagnostics.errors ?? []).map((error) => error.error.message),
  ];
  const allowed = answer.response?.decision === 'allow';
  if (errors.length === 0) return { verdict: allowed ? 'pass' : 'fail' };
  // Cedar leaves out a policy that has an error, and decides by the others.
  return { verdict: allowed ? 'pass' : 'error', why: firstLine(errors.join('; ')) };
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}

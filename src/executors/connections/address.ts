import {
  reservedVariables,
  resolveConnection,
  type Connection,
  type PolicySet,
} from '../../model/policy-set.js';
import type { Headers } from '../kind.js';
import { requireConnectionKind } from '../find-kind.js';

// What is known of a connection before its secrets are resolved.

/**
 * The connection with the address that its `env://` stands for, and with its command's `PATH`, so that a digest of it binds both
 * as they are. Headers and other `env` stay references. So does the reference to a variable that is not set, which fails the call.
 */
export function withAddress(
  connection: Connection,
  variables: Readonly<Record<string, string | undefined>>,
): Connection {
  const fillReference = (text: string): string => {
    const name = text.startsWith('env://') ? text.slice('env://'.length) : '';
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
    return value === undefined || value === '' || reservedVariables.has(name) ? text : value;
  };
  const kind = requireConnectionKind(connection.kind);
  const { address, headers, env } = kind.texts(connection);
  const path = env['PATH'];
  return kind.withTexts(connection, {
    address: address === null ? null : fillReference(address),
    headers,
    env: path === undefined ? env : { ...env, PATH: fillReference(path) },
  });
}

/** The headers of a connection whose values are no references. */
export function writtenHeaders(policySet: PolicySet, name: string, environment: string): Headers {
  const found = resolveConnection(policySet, name, environment);
  if (found === null) return [];
  const { headers } = requireConnectionKind(found.kind).texts(found);
  return Object.entries(headers).filter(([, value]) => !/^(?:env|secret):\/\//.test(value));
}

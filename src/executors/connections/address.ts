import {
  reservedVariables,
  resolveConnection,
  type Connection,
  type PolicySet,
} from '../../model/policy-set.js';
import type { Headers } from '../kind.js';
import { connectionKind } from '../kinds.js';

// What is known of a connection before its references are resolved.

/**
 * The connection with the address that its `env://` stands for, so that a digest of it binds the address itself; the same
 * of its command's `PATH`. Headers and other `env` stay references. A variable that is not set stays one too, which the call then refuses.
 */
export function withAddress(
  connection: Connection,
  variables: Readonly<Record<string, string | undefined>>,
): Connection {
  const filled = (text: string): string => {
    const name = text.startsWith('env://') ? text.slice('env://'.length) : '';
    const value = Object.hasOwn(variables, name) ? variables[name] : undefined;
    return value === undefined || value === '' || reservedVariables.has(name) ? text : value;
  };
  const kind = connectionKind(connection.kind);
  const { address, headers, env } = kind.texts(connection);
  const path = env['PATH'];
  return kind.withTexts(connection, {
    address: address === null ? null : filled(address),
    headers,
    env: path === undefined ? env : { ...env, PATH: filled(path) },
  });
}

/** The headers of a connection that are written as they are: what a reference holds is known when it is resolved. */
export function writtenHeaders(policySet: PolicySet, name: string, environment: string): Headers {
  const found = resolveConnection(policySet, name, environment);
  if (found === null) return [];
  const { headers } = connectionKind(found.kind).texts(found);
  return Object.entries(headers).filter(([, value]) => !/^(?:env|secret):\/\//.test(value));
}

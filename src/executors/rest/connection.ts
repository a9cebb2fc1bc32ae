import { z } from 'zod';
import { invalidAddress, isAddress } from '../../policy/check/addresses.js';
import { texts } from '../../policy/shape/basics.js';
import type { ConnectionKind } from '../kind.js';
import type { RestConnection } from './types.js';

const shape = {
  baseUrl: z.string().min(1),
  allowPrivate: z.boolean().optional(),
  headers: texts.optional(),
};

export const restConnection: ConnectionKind<z.infer<z.ZodObject<typeof shape>>, RestConnection> = {
  shape,
  address: 'baseUrl',
  compile: ({ baseUrl, allowPrivate = false, headers = {} }) =>
    isAddress(baseUrl, 'no query')
      ? { status: 'made', connection: { kind: 'rest', baseUrl, allowPrivate, headers } }
      : invalidAddress('baseUrl', baseUrl, 'no query'),
  texts: ({ baseUrl, headers }) => ({ address: baseUrl, headers, env: {} }),
  withTexts: (connection, { address, headers }) => ({
    ...connection,
    baseUrl: address ?? connection.baseUrl,
    headers,
  }),
};

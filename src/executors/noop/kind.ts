import type { z } from 'zod';
import type { Json } from '../../model/values/json.js';
import { refuseHoles } from '../../policy/check/holes.js';
import { warnRewritten } from '../../policy/check/rewritten-values.js';
import { json } from '../../policy/shape/basics.js';
import type { Kind } from '../kind.js';

const shape = { output: json.optional() };
export type Noop = { readonly kind: 'noop'; readonly output: Json };

/** Calls nothing; its output is what the definition says. */
export const noop: Kind<z.infer<z.ZodObject<typeof shape>>, Noop, Noop> = {
  kind: 'noop',
  connection: null,
  shape,
  evidence: null,
  readByWord: null,
  compile: (to, { output = null }, path) => {
    warnRewritten(to, output, [...path, 'output']);
    refuseHoles(to, output, [...path, 'output'], 'nothing');
    return { output };
  },
  paths: () => [],
  reading: () => ({ writes: null, unproven: null }),
  build: ({ output }) => ({ status: 'built', call: { kind: 'noop', output } }),
  preview: ({ output }) => ({ kind: 'noop', output }),
  words: () => 'calls nothing',
  outline: () => ({ call: 'noop', sends: null }),
};

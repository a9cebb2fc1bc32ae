import { z } from 'zod';
import { apiSchemas, described } from '../../model/api.js';
import * as answers from '../../model/api-answers.js';
import { errorTable, type ErrorCode } from '../../model/errors.js';
import type { Json, JsonObject } from '../../model/json.js';
import { askedBy } from '../../service/may.js';
import { acceptedMedia } from '../http/body.js';
import { isPage, type AnswerSpec, type Route } from '../http/call.js';

type ToJson = z.core.ToJSONSchemaParams;

const options: ToJson = {
  target: 'draft-2020-12',
  io: 'input',
  unrepresentable: 'any',
  override: ({ zodSchema, jsonSchema }) => {
    const known = described.get(zodSchema);
    if (known === undefined) return;
    for (const key of Object.keys(jsonSchema)) Reflect.deleteProperty(jsonSchema, key);
    Object.assign(jsonSchema, known);
  },
};

let document: { readonly of: readonly Route[]; readonly text: JsonObject } | null = null;

/** OpenAPI 3.1 of the schemas that validate the requests. */
export function openApi(routes: readonly Route[]): JsonObject {
  if (document?.of.length !== routes.length) document = { of: routes, text: describe(routes) };
  return document.text;
}

function describe(routes: readonly Route[]): JsonObject {
  const paths: Record<string, Record<string, Json>> = {};
  for (const one of routes) (paths[one.path] ??= {})[one.method.toLowerCase()] = operation(one);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Countersign',
      version: '1',
      description:
        'Durable execution of governed work: policy before anything runs, approval gates, evidence.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    tags: [...new Set(routes.map((one) => one.tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'an API key, or a JWT of a configured issuer',
        },
      },
      schemas: components(),
    },
  };
}

function components(): JsonObject {
  const { schemas } = z.toJSONSchema(apiSchemas, { ...options, uri: (id) => `#/components/schemas/${id}` });
  return Object.fromEntries(
    Object.entries(schemas).map(([id, schema]) => [id, bare(schema as unknown as JsonObject)]),
  );
}

function bare(schema: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id'));
}

/** By name where the schema has one; otherwise in place, with names inside it. */
function schemaOf(schema: z.ZodType): JsonObject {
  const known = apiSchemas.get(schema);
  if (known !== undefined) return { $ref: `#/components/schemas/${known.id}` };
  if (schema instanceof z.ZodArray) return { type: 'array', items: schemaOf(schema.element as z.ZodType) };
  if (schema instanceof z.ZodObject && !described.has(schema)) {
    const shape = Object.entries(schema.shape as Record<string, z.ZodType>);
    return {
      type: 'object',
      properties: Object.fromEntries(shape.map(([name, one]) => [name, schemaOf(one)])),
      required: shape.filter(([, one]) => !one.safeParse(undefined).success).map(([name]) => name),
      additionalProperties: false,
    };
  }
  return bare(z.toJSONSchema(schema, options) as unknown as JsonObject);
}

function operation(one: Route): JsonObject {
  const names = [...one.path.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? '');
  const permission = one.permission === null ? '' : `Needs the permission \`${one.permission}\`.`;
  return {
    operationId: one.id,
    tags: [one.tag],
    summary: one.summary,
    ...(permission === '' ? {} : { description: permission, 'x-permission': one.permission }),
    ...(one.access === 'public' ? { security: [] } : {}),
    parameters: [
      ...fields(one.params)
        .filter(([name]) => names.includes(name))
        .map(([name, schema]) => parameter('path', name, schema)),
      ...fields(one.query).map(([name, schema]) => parameter('query', name, schema)),
      ...(one.idempotent ? [idempotencyKey] : []),
    ],
    ...(one.body.kind === 'none' ? {} : { requestBody: requestBody(one) }),
    responses: responses(one),
  };
}

const idempotencyKey: JsonObject = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description: 'The same key again is answered with the stored answer for 24 hours',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
};

function fields(schema: z.ZodType): [string, z.ZodType][] {
  return schema instanceof z.ZodObject ? Object.entries(schema.shape as Record<string, z.ZodType>) : [];
}

function parameter(place: 'path' | 'query', name: string, schema: z.ZodType): JsonObject {
  const required = place === 'path' || !schema.safeParse(undefined).success;
  const inner = schema instanceof z.ZodOptional ? (schema.unwrap() as z.ZodType) : schema;
  return { name, in: place, required, schema: schemaOf(inner) };
}

function requestBody({ body }: Route): JsonObject {
  const schema =
    body.kind === 'json'
      ? schemaOf(body.schema)
      : { description: body.kind === 'signed' ? 'a form, signed by its sender' : 'exactly one flow' };
  const required =
    body.kind === 'flow' ||
    body.kind === 'signed' ||
    (body.kind === 'json' && !body.schema.safeParse({}).success);
  return {
    required,
    content: Object.fromEntries(
      acceptedMedia(body)
        .slice(0, 2)
        .map((media) => [media, { schema }]),
    ),
  };
}

const everywhere: readonly ErrorCode[] = ['REQUEST_INVALID', 'INTERNAL'];
const ofPrincipals: readonly ErrorCode[] = ['MALFORMED', 'UNAUTHENTICATED'];
/** Its body is read, also where it takes none, and what came of it is on record before it is answered. */
const recorded: readonly ErrorCode[] = ['TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE', 'AUDIT_UNAVAILABLE'];
const idempotent: readonly ErrorCode[] = [
  'IDEMPOTENCY_KEY_REUSED',
  'IDEMPOTENCY_IN_PROGRESS',
  'RATE_LIMITED',
];

/** Every refusal that a route may give, from the one table of errors. */
export function errorsOf(one: Route): readonly ErrorCode[] {
  const isForAll = one.access === 'public';
  // Who acts for somebody else is kept out of what is not delegated.
  const needsRights = !isForAll && (one.permission !== null || askedBy(one.useCase).delegated !== true);
  const codes = [
    ...everywhere,
    ...(isForAll ? [] : ofPrincipals),
    ...(needsRights ? (['FORBIDDEN'] as const) : []),
    ...(one.path.includes('{') ? (['NOT_FOUND'] as const) : []),
    ...(one.recorded ? recorded : []),
    ...(one.idempotent ? idempotent : []),
    ...one.errors,
  ];
  return [...new Set(codes)];
}

function responses(one: Route): JsonObject {
  const problemSchema = schemaOf(answers.problem);
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of errorsOf(one)) {
    const { status } = errorTable[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const problems = [...byStatus].map(([status, codes]) => [
    String(status),
    {
      description: codes.map((code) => `${code}: ${errorTable[code].title}`).join('; '),
      content: isPage(one) ? { 'text/html': {} } : { 'application/problem+json': { schema: problemSchema } },
    },
  ]);
  const good = Object.entries(one.answers).map(([status, spec]) => [status, success(spec)]);
  return Object.fromEntries([...problems, ...good]) as JsonObject;
}

function success({ description, schema, media }: AnswerSpec): JsonObject {
  if (schema === undefined && media === undefined) return { description };
  return {
    description,
    content: { [media ?? 'application/json']: schema === undefined ? {} : { schema: schemaOf(schema) } },
  };
}

import { z } from 'zod';
import { apiSchemas, described } from '../../model/contract/api.js';
import * as answers from '../../model/contract/api-answers.js';
import { errorTable, type ErrorCode } from '../../model/contract/errors.js';
import type { Json, JsonObject } from '../../model/values/json.js';
import { rulesOf } from '../../service/may.js';
import { acceptedMedia } from '../http/bodies/body.js';
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

/** The OpenAPI 3.1 document, from the same schemas that validate requests. */
export function openApi(routes: readonly Route[]): JsonObject {
  if (document?.of.length !== routes.length) document = { of: routes, text: describe(routes) };
  return document.text;
}

function describe(routes: readonly Route[]): JsonObject {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method.toLowerCase()] = operation(route);
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
    tags: [...new Set(routes.map((route) => route.tag))].map((name) => ({ name })),
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
    Object.entries(schemas).map(([id, schema]) => [id, withoutMeta(schema as unknown as JsonObject)]),
  );
}

function withoutMeta(schema: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema' && key !== '$id'));
}

/** A reference where the schema has a name; otherwise the schema itself, with references inside. */
function schemaOf(schema: z.ZodType): JsonObject {
  const known = apiSchemas.get(schema);
  if (known !== undefined) return { $ref: `#/components/schemas/${known.id}` };
  if (schema instanceof z.ZodArray) return { type: 'array', items: schemaOf(schema.element as z.ZodType) };
  if (schema instanceof z.ZodObject && !described.has(schema)) {
    const shape = Object.entries(schema.shape as Record<string, z.ZodType>);
    return {
      type: 'object',
      properties: Object.fromEntries(shape.map(([name, schema]) => [name, schemaOf(schema)])),
      required: shape.filter(([, schema]) => !schema.safeParse(undefined).success).map(([name]) => name),
      additionalProperties: false,
    };
  }
  return withoutMeta(z.toJSONSchema(schema, options) as unknown as JsonObject);
}

function operation(route: Route): JsonObject {
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? '');
  const permission = route.permission === null ? '' : `Needs the permission \`${route.permission}\`.`;
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    ...(permission === '' ? {} : { description: permission, 'x-permission': route.permission }),
    ...(route.access === 'public' ? { security: [] } : {}),
    parameters: [
      ...fields(route.params)
        .filter(([name]) => names.includes(name))
        .map(([name, schema]) => parameter('path', name, schema)),
      ...fields(route.query).map(([name, schema]) => parameter('query', name, schema)),
      ...(route.idempotent ? [idempotencyKey] : []),
    ],
    ...(route.body.kind === 'none' ? {} : { requestBody: requestBody(route) }),
    responses: responses(route),
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

const errorsOfAll: readonly ErrorCode[] = ['REQUEST_INVALID', 'INTERNAL'];
const errorsOfPrincipals: readonly ErrorCode[] = ['MALFORMED', 'UNAUTHENTICATED'];
/** The bodies of one principal at a time are bounded. */
const errorsOfHeld: readonly ErrorCode[] = ['RATE_LIMITED'];
/** Of recorded routes: the body is read, also where none is taken, and the call is on record before the answer. */
const errorsOfRecorded: readonly ErrorCode[] = [
  'TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'AUDIT_UNAVAILABLE',
  'KEY_UNOPENED',
];
const errorsOfIdempotent: readonly ErrorCode[] = [
  'IDEMPOTENCY_KEY_REUSED',
  'IDEMPOTENCY_IN_PROGRESS',
  'RATE_LIMITED',
];

/** The codes of every refusal that a route may give. */
export function errorsOf(route: Route): readonly ErrorCode[] {
  const isForAll = route.access === 'public';
  // A service that acts for somebody else is refused where the route is not `delegated`.
  const needsRights = !isForAll && (route.permission !== null || rulesOf(route.useCase).delegated !== true);
  const codes = [
    ...errorsOfAll,
    ...(isForAll ? [] : errorsOfPrincipals),
    ...(route.body.kind === 'form' ? (['MALFORMED'] as const) : []),
    ...(needsRights ? (['FORBIDDEN'] as const) : []),
    ...(route.path.includes('{') ? (['NOT_FOUND'] as const) : []),
    ...(route.recorded ? errorsOfRecorded : []),
    ...(route.recorded && !isForAll ? errorsOfHeld : []),
    ...(route.idempotent ? errorsOfIdempotent : []),
    ...route.errors,
  ];
  return [...new Set(codes)];
}

function responses(route: Route): JsonObject {
  const problemSchema = schemaOf(answers.problem);
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of errorsOf(route)) {
    const { status } = errorTable[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const problems = [...byStatus].map(([status, codes]) => [
    String(status),
    {
      description: codes.map((code) => `${code}: ${errorTable[code].title}`).join('; '),
      content: isPage(route)
        ? { 'text/html': {} }
        : { 'application/problem+json': { schema: problemSchema } },
    },
  ]);
  const good = Object.entries(route.answers).map(([status, spec]) => [status, successResponse(spec)]);
  return Object.fromEntries([...problems, ...good]) as JsonObject;
}

function successResponse({ description, schema, media }: AnswerSpec): JsonObject {
  if (schema === undefined && media === undefined) return { description };
  return {
    description,
    content: { [media ?? 'application/json']: schema === undefined ? {} : { schema: schemaOf(schema) } },
  };
}

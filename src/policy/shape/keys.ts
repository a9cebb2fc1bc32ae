import type { z } from 'zod';

// What a shape knows at some place in a document: where the suggestion for an unknown name comes from.

type AnyShape = z.core.$ZodType;

/** The keys that the shape takes at that place of the value. */
export function keysAt(shape: AnyShape, path: readonly PropertyKey[], value: unknown): readonly string[] {
  const objects = shapesAt(shape, path, value).flatMap((one) => objectsIn(one));
  const held = at(path, value);
  const kind = isRecord(held) ? held['kind'] : undefined;
  const sameKind = objects.filter((one) => kindsOf(one).includes(String(kind)));
  return [...new Set((sameKind.length > 0 ? sameKind : objects).flatMap((one) => Object.keys(one)))];
}

/** The kinds that the shape takes at that place of the value. */
export function kindsAt(shape: AnyShape, path: readonly PropertyKey[], value: unknown): readonly string[] {
  const objects = shapesAt(shape, path, value).flatMap((one) => objectsIn(one));
  return [...new Set(objects.flatMap((one) => kindsOf(one)))];
}

type Fields = Readonly<Record<string, AnyShape>>;

function shapesAt(shape: AnyShape, path: readonly PropertyKey[], value: unknown): readonly AnyShape[] {
  const [segment, ...rest] = path;
  if (segment === undefined) return [shape];
  const inner = at([segment], value);
  return alternatives(shape).flatMap((one): readonly AnyShape[] => {
    const { def } = one._zod as { readonly def: z.core.$ZodTypes['_zod']['def'] };
    if (def.type === 'object') {
      const field = Object.hasOwn(def.shape, segment) ? def.shape[String(segment)] : undefined;
      return field === undefined ? [] : shapesAt(field, rest, inner);
    }
    if (def.type === 'record') return shapesAt(def.valueType, rest, inner);
    if (def.type === 'array') return shapesAt(def.element, rest, inner);
    return [];
  });
}

/** A shape without its wrappings, a union as its options. */
function alternatives(shape: AnyShape): readonly AnyShape[] {
  const { def } = shape._zod as { readonly def: z.core.$ZodTypes['_zod']['def'] };
  switch (def.type) {
    case 'optional':
    case 'nullable':
      return alternatives(def.innerType);
    case 'lazy':
      return alternatives(def.getter());
    case 'pipe':
      return alternatives(def.in);
    case 'union':
      return def.options.flatMap((one) => alternatives(one));
    default:
      return [shape];
  }
}

function objectsIn(shape: AnyShape): readonly Fields[] {
  return alternatives(shape).flatMap((one) => {
    const { def } = one._zod as { readonly def: z.core.$ZodTypes['_zod']['def'] };
    return def.type === 'object' ? [def.shape] : [];
  });
}

function kindsOf(fields: Fields): readonly string[] {
  const kind = fields['kind'];
  if (kind === undefined) return [];
  return alternatives(kind).flatMap((one) => {
    const { def } = one._zod as { readonly def: z.core.$ZodTypes['_zod']['def'] };
    if (def.type === 'literal') return def.values.map(String);
    return def.type === 'enum' ? Object.keys(def.entries) : [];
  });
}

function at(path: readonly PropertyKey[], value: unknown): unknown {
  let held = value;
  for (const segment of path)
    held = isRecord(held) && Object.hasOwn(held, segment) ? held[segment] : undefined;
  return held;
}

function isRecord(value: unknown): value is Readonly<Record<PropertyKey, unknown>> {
  return typeof value === 'object' && value !== null;
}

import type { z } from 'zod';

// The keys and kinds that a shape accepts at a path: from them comes the suggestion for an unknown name.

type AnyShape = z.core.$ZodType;

/** The keys that the shape accepts at a path of the value. */
export function keysAt(shape: AnyShape, path: readonly PropertyKey[], value: unknown): readonly string[] {
  const objects = shapesAt(shape, path, value).flatMap((found) => objectsIn(found));
  const here = valueAt(path, value);
  const kind = isRecord(here) ? here['kind'] : undefined;
  const sameKind = objects.filter((fields) => kindsOf(fields).includes(String(kind)));
  return [...new Set((sameKind.length > 0 ? sameKind : objects).flatMap((fields) => Object.keys(fields)))];
}

/** The kinds that the shape accepts at a path of the value. */
export function kindsAt(shape: AnyShape, path: readonly PropertyKey[], value: unknown): readonly string[] {
  const objects = shapesAt(shape, path, value).flatMap((found) => objectsIn(found));
  return [...new Set(objects.flatMap((fields) => kindsOf(fields)))];
}

type Fields = Readonly<Record<string, AnyShape>>;

function shapesAt(shape: AnyShape, path: readonly PropertyKey[], value: unknown): readonly AnyShape[] {
  const [segment, ...rest] = path;
  if (segment === undefined) return [shape];
  const inner = valueAt([segment], value);
  return alternatives(shape).flatMap((option): readonly AnyShape[] => {
    const { def } = option._zod as { readonly def: z.core.$ZodTypes['_zod']['def'] };
    if (def.type === 'object') {
      const field = Object.hasOwn(def.shape, segment) ? def.shape[String(segment)] : undefined;
      return field === undefined ? [] : shapesAt(field, rest, inner);
    }
    if (def.type === 'record') return shapesAt(def.valueType, rest, inner);
    if (def.type === 'array') return shapesAt(def.element, rest, inner);
    return [];
  });
}

/** The shapes inside optional, nullable, lazy and piped shapes, and the options of unions. */
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
      return def.options.flatMap((option) => alternatives(option));
    default:
      return [shape];
  }
}

function objectsIn(shape: AnyShape): readonly Fields[] {
  return alternatives(shape).flatMap((option) => {
    const { def } = option._zod as { readonly def: z.core.$ZodTypes['_zod']['def'] };
    return def.type === 'object' ? [def.shape] : [];
  });
}

function kindsOf(fields: Fields): readonly string[] {
  const kind = fields['kind'];
  if (kind === undefined) return [];
  return alternatives(kind).flatMap((option) => {
    const { def } = option._zod as { readonly def: z.core.$ZodTypes['_zod']['def'] };
    if (def.type === 'literal') return def.values.map(String);
    return def.type === 'enum' ? Object.keys(def.entries) : [];
  });
}

function valueAt(path: readonly PropertyKey[], value: unknown): unknown {
  let here = value;
  for (const segment of path)
    here = isRecord(here) && Object.hasOwn(here, segment) ? here[segment] : undefined;
  return here;
}

function isRecord(value: unknown): value is Readonly<Record<PropertyKey, unknown>> {
  return typeof value === 'object' && value !== null;
}

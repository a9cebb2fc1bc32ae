import type { z } from 'zod';

// What a shape accepts at a path of a value: from it come the names that are proposed, and the advice.

export type AnyShape = z.core.$ZodType;

/** The keys that the options of a place accept. */
export function keysOf(options: readonly AnyShape[]): readonly string[] {
  return [...new Set(options.flatMap((option) => Object.keys(fieldsOf(option))))];
}

/** The kinds that the options of a place accept. */
export function kindsOf(options: readonly AnyShape[]): readonly string[] {
  return [...new Set(options.flatMap((option) => kindsIn(option)))];
}

/** The shapes that a value may have at a path. Where a known `kind` stands, they are those of that kind. */
export function optionsAt(
  shape: AnyShape,
  path: readonly PropertyKey[],
  value: unknown,
): readonly AnyShape[] {
  const kind = isRecord(value) ? value['kind'] : undefined;
  const all = alternatives(shape);
  const sameKind = all.filter((option) => kindsIn(option).includes(String(kind)));
  const options = sameKind.length > 0 ? sameKind : all;
  const [segment, ...rest] = path;
  if (segment === undefined) return options;
  const inner = isRecord(value) && Object.hasOwn(value, segment) ? value[segment] : undefined;
  return options.flatMap((option): readonly AnyShape[] => {
    const { def } = option._zod as { readonly def: z.core.$ZodTypes['_zod']['def'] };
    if (def.type === 'object') {
      const fields = fieldsOf(option);
      const field = Object.hasOwn(fields, segment) ? fields[String(segment)] : undefined;
      return field === undefined ? [] : optionsAt(field, rest, inner);
    }
    if (def.type === 'record') return optionsAt(def.valueType, rest, inner);
    if (def.type === 'array' && typeof segment === 'number') return optionsAt(def.element, rest, inner);
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

function fieldsOf(option: AnyShape): Readonly<Record<string, AnyShape>> {
  const { def } = option._zod as { readonly def: z.core.$ZodTypes['_zod']['def'] };
  return def.type === 'object' ? def.shape : {};
}

function kindsIn(option: AnyShape): readonly string[] {
  const kind = fieldsOf(option)['kind'];
  if (kind === undefined) return [];
  return alternatives(kind).flatMap((option) => {
    const { def } = option._zod as { readonly def: z.core.$ZodTypes['_zod']['def'] };
    if (def.type === 'literal') return def.values.map(String);
    return def.type === 'enum' ? Object.keys(def.entries) : [];
  });
}

function isRecord(value: unknown): value is Readonly<Record<PropertyKey, unknown>> {
  return typeof value === 'object' && value !== null;
}

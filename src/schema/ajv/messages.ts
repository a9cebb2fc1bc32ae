// What ajv says of a schema that it refuses, in words on which its author can act.

type Saying = readonly [asAjvSaysIt: RegExp, say: (...found: string[]) => string];

const sayings: readonly Saying[] = [
  [
    /^unknown format "(.*)" ignored in schema at path "(.*)"$/s,
    (format = '', at = '') =>
      `\`${at}\` has the format \`${format}\`, which is not known here and would check nothing: take it out, and say what it asks for with \`pattern\`, \`enum\`, \`minimum\` or \`maximum\``,
  ],
  [
    /^missing type "(.*)" for keyword "(.*)" at "(.*)" \(strictTypes\)$/s,
    (types = '', keyword = '', at = '') =>
      `\`${at}\` has \`${keyword}\` and no \`type\` beside it that it applies to, so other values would pass it by: add ${types.replaceAll(/[^,]+/g, '`type: $&`').replaceAll(',', ' or ')}, or take \`${keyword}\` out`,
  ],
  [
    /^type "(.*)" not allowed by context "(.*)" at "(.*)" \(strictTypes\)$/s,
    (type = '', outer = '', at = '') =>
      `\`${at}\` takes \`${type}\`, and what it stands in takes \`${outer}\` only, so no value fits both: write one of them in both places`,
  ],
  [
    /^unknown keyword: "(.*)"$/s,
    (keyword = '') =>
      `unknown keyword: "${keyword}", which would check nothing: correct it, or take it out (\`description\`, \`examples\` and \`$comment\` hold notes)`,
  ],
];

/** In plain words: a message that ajv throws while it compiles. */
export function plainMessage(message: string): string {
  const said = message.replace(/^strict mode: /, '');
  for (const [asAjvSaysIt, say] of sayings) {
    const found = asAjvSaysIt.exec(said);
    if (found !== null) return say(...found.slice(1));
  }
  return said;
}

import { dirname, relative, resolve, sep } from 'node:path';

// An import is judged by where it leads: the room that the file stands in has a door there, or it is refused. Types are
// imported by declarations alone (`consistent-type-imports`).

const within = (path, place) => path === place || path.startsWith(`${place}/`);

/** The innermost room with doors of its own that a path below `src` stands in. */
function roomOf(doors, path) {
  return Object.keys(doors)
    .filter((room) => within(path, room))
    .sort((a, b) => b.length - a.length)[0];
}

function isTypeOnly(node) {
  if (node.importKind === 'type' || node.exportKind === 'type') return true;
  const { specifiers = [] } = node;
  return (
    specifiers.length > 0 &&
    specifiers.every(({ importKind, exportKind }) => (importKind ?? exportKind) === 'type')
  );
}

function mayUsePackage(name, packages) {
  return (
    packages === null ||
    packages.some((open) => (open.endsWith(':') ? name.startsWith(open) : within(name, open)))
  );
}

/** Null: it is open. */
function shut(doors, room, file, source, typesOnly) {
  const { uses, types, packages } = doors[room];
  if (!source.startsWith('.'))
    return mayUsePackage(source, packages) ? null : `src/${room} may not use the package \`${source}\``;
  const target = relative(resolve('src'), resolve(dirname(file), source))
    .split(sep)
    .join('/')
    .replace(/\.(js|ts)$/, '');
  if (uses === null || [room, ...uses].some((open) => within(target, open))) return null;
  if (!types.some((open) => within(target, open))) return `src/${room} has no door to \`src/${target}\``;
  return typesOnly ? null : `src/${room} may use only the types of \`src/${target}\``;
}

export const doorRule = {
  meta: {
    type: 'problem',
    schema: [{ type: 'object' }],
    messages: { shut: '{{why}}: lint/doors.js says what it may use' },
  },
  create(context) {
    const [doors] = context.options;
    const file = relative(context.cwd, context.filename).split(sep).join('/');
    const room = file.startsWith('src/')
      ? roomOf(doors, file.slice('src/'.length).replace(/\.ts$/, ''))
      : undefined;
    const judge = (node) => {
      if (typeof node.source?.value !== 'string') return;
      const why =
        room === undefined
          ? `\`${file}\` stands in no room`
          : shut(doors, room, resolve(context.cwd, file), node.source.value, isTypeOnly(node));
      if (why !== null) context.report({ node, messageId: 'shut', data: { why } });
    };
    return {
      ImportDeclaration: judge,
      ExportNamedDeclaration: judge,
      ExportAllDeclaration: judge,
      ImportExpression: judge,
    };
  },
};

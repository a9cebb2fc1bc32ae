// Lint limits, and the doors between rooms: ARCHITECTURE.md, "Rooms and doors" as rules. A room that is not named for another is shut.
import tseslint from 'typescript-eslint';

const restricted = '@typescript-eslint/no-restricted-imports';

const rooms = [
  'model',
  'engine',
  'schema',
  'policy',
  'scenario',
  'workflows',
  'activities',
  'executors',
  'auth',
  'audit',
  'db',
  'store',
  'client',
  'notify',
  'api',
  'mcp',
  'cli',
  'processes',
  'embedded',
];

/**
 * For each room: the rooms that it may use, those whose types alone it may name, and the packages that it may use
 * (`null`: any; `node:` stands for all of Node). Whatever stands nowhere is refused.
 */
const doors = {
  model: { uses: [], types: [], packages: ['zod'] },
  // Of the model, the files that are pure functions over JSON, text or numbers, and cost the workflow bundle nothing.
  engine: {
    uses: ['model/canonical', 'model/json', 'model/limits', 'model/text'],
    types: ['model'],
    packages: [],
  },
  schema: { uses: ['model'], types: ['engine'], packages: ['ajv', 'ajv-formats', 're2js', 'node:'] },
  policy: { uses: ['model', 'engine', 'schema'], types: [], packages: ['zod', 'yaml', 'ajv', 'node:'] },
  // Of the executors, what a call would be: no file of it touches the world.
  scenario: {
    uses: ['model', 'engine', 'schema', 'policy', 'executors/build', 'executors/preview'],
    types: ['executors'],
    packages: ['zod'],
  },
  workflows: {
    uses: ['engine'],
    types: ['model', 'activities'],
    packages: ['@temporalio/workflow', '@temporalio/common'],
  },
  activities: {
    uses: ['model', 'engine', 'schema', 'auth', 'audit', 'store', 'executors', 'db'],
    types: ['workflows'],
    packages: ['zod', 'pg', '@temporalio/activity', '@temporalio/common', 'node:'],
  },
  executors: {
    uses: ['model', 'engine/template'],
    types: ['engine'],
    packages: ['zod', '@modelcontextprotocol/sdk', 'node:'],
  },
  auth: { uses: ['model', 'store'], types: ['engine', 'db'], packages: ['zod', 'jose', 'pg', 'node:'] },
  audit: { uses: ['model', 'db'], types: ['engine'], packages: ['zod', 'pg', 'node:'] },
  db: { uses: [], types: ['model'], packages: ['pg', 'zod', 'node:'] },
  store: { uses: ['model', 'db'], types: ['engine'], packages: ['zod', 'pg', 'node:'] },
  client: {
    uses: [
      'model',
      'engine/state',
      'auth',
      'audit',
      'store',
      'db',
      'workflows/bell',
      'workflows/messages',
      'workflows/payload-converter',
    ],
    types: ['engine', 'workflows'],
    packages: [
      'zod',
      '@temporalio/client',
      '@temporalio/common',
      '@temporalio/worker',
      '@temporalio/proto',
      'node:',
    ],
  },
  // Of the executors, the two files that hold the rules of going out: private addresses, references, redaction.
  notify: {
    uses: ['model', 'store', 'audit', 'db', 'executors/network', 'executors/references'],
    types: ['executors'],
    packages: ['zod', 'pg', 'nodemailer', 'node:'],
  },
  api: {
    uses: ['model', 'engine', 'schema', 'policy', 'client', 'store', 'auth', 'audit', 'executors', 'notify'],
    types: ['db'],
    packages: ['zod', 'yaml', 'express', 'prom-client', 'node:'],
  },
  mcp: {
    uses: ['model', 'engine', 'client', 'store', 'auth'],
    types: ['db'],
    packages: ['zod', '@modelcontextprotocol/sdk', 'node:'],
  },
  // Of the executors, how references are looked up: a check says which have no value here.
  cli: {
    uses: ['model', 'policy', 'scenario', 'executors/references'],
    types: [],
    packages: ['zod', 'yaml', 'node:'],
  },
  embedded: { uses: [], types: [], packages: ['pg', '@temporalio/client', '@temporalio/common', 'node:'] },
  processes: { uses: rooms, types: [], packages: null },
};

const escape = (text) => text.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`);

function doorRules(room, { uses, types, packages }) {
  const open = [room, ...uses];
  // `../<somewhere>/…` where somewhere is none of these; `open` may name one file of a room.
  const others = (names) => `^(\\.\\./)+(?!(\\.\\./)*(${names.map(escape).join('|')})(/|\\.))[a-z]`;
  const patterns = [
    {
      regex: others([...open, ...types]),
      message: `the room src/${room} has no door there (ARCHITECTURE.md, "Rooms and doors")`,
    },
    ...types.map((name) => ({
      regex: `^(\\.\\./)+${escape(name)}/`,
      allowTypeImports: true,
      message: `src/${room} may import types of src/${name} only (ARCHITECTURE.md, "Rooms and doors")`,
    })),
  ];
  // A type-only room of which one file may be used: the file's own door wins.
  const files = uses.filter((name) => name.includes('/'));
  for (const pattern of patterns) {
    if (files.length === 0 || !pattern.allowTypeImports) continue;
    pattern.regex = `(?!^(\\.\\./)+(${files.map(escape).join('|')})\\.)${pattern.regex}`;
  }
  if (packages !== null) {
    const allowed = packages.map((name) => (name === 'node:' ? 'node:' : `${escape(name)}(/|$)`));
    const shut = allowed.length === 0 ? '^[^.]' : `^(?!${allowed.join('|')})[^.]`;
    patterns.push({
      regex: shut,
      message: `src/${room} may not use this package (ARCHITECTURE.md, "Rooms and doors")`,
    });
  }
  return {
    files: [`src/${room}/**/*.ts`],
    rules: { [restricted]: ['error', { patterns }] },
  };
}

// The engine and the model decide; the same input must give the same answer anywhere, at any time.
const impureGlobals = [
  'process',
  'setTimeout',
  'setInterval',
  'fetch',
  'performance',
  'Intl',
  'Buffer',
  'console',
];
const locales = {
  selector: 'MemberExpression[property.name=/^toLocale/]',
  message: 'locales differ by host',
};
const clock = 'time comes in with the event';
// When work goes on, and nothing of what it comes to.
const timing = ['src/model/give-way.ts', 'src/model/thread-clock.ts'];
const purity = [
  {
    files: ['src/engine/**/*.ts', 'src/model/**/*.ts'],
    ignores: timing,
    rules: {
      'no-restricted-globals': ['error', ...impureGlobals],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: clock },
        { object: 'Math', property: 'random', message: 'ids come in with the event' },
      ],
      'no-restricted-syntax': ['error', locales],
    },
  },
  {
    files: ['src/engine/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        locales,
        { selector: ':function[async=true]', message: 'the engine is synchronous' },
        { selector: 'NewExpression[callee.name=Date][arguments.length=0]', message: clock },
      ],
    },
  },
  { files: ['src/workflows/**/*.ts'], rules: { 'no-restricted-syntax': ['error', locales] } },
  { files: ['src/model/thread-clock.ts'], rules: { [restricted]: 'off' } },
];

/** What a target wrote is masked before it is cut, and one file does both. */
const cuts = {
  files: ['src/executors/**/*.ts'],
  ignores: ['src/executors/mask.ts'],
  rules: {
    'no-restricted-syntax': [
      'error',
      ...[
        'CallExpression[callee.property.name=/^(slice|substring|substr)$/][arguments.0.value=0]',
        'ImportSpecifier[imported.name=/^truncate/]',
      ].map((selector) => ({ selector, message: 'cut a target’s text with `told`, which masks it first' })),
    ],
  },
};

/** The store's clock decides, and is handed in: a host's own may be hours off. Durations are taken from it all the same. */
const storeClock = {
  files: ['src/api/**/*.ts', 'src/auth/**/*.ts', 'src/notify/**/*.ts', 'src/processes/api.ts'],
  rules: {
    'no-restricted-syntax': [
      'error',
      ...[
        'NewExpression[callee.name=Date][arguments.length=0]',
        'CallExpression[callee.object.name=Date][callee.property.name=now]',
      ].map((selector) => ({ selector, message: 'take the time from the store’s clock (`now`)' })),
    ],
  },
};

/** Files beyond the limits, each named here with its reason. */
const longerFiles = [];

export default tseslint.config(
  {
    ignores: [
      'dist/**',
      'dist.*/**',
      'node_modules/**',
      'coverage/**',
      'test/histories/**',
      '.countersign/**',
    ],
  },
  tseslint.configs.strict,
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      'object-shorthand': 'error',
      'no-throw-literal': 'error',
      'no-eval': 'error',
      'no-implied-eval': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // `return done(...)` of a void call reads well, and expected-failure unions need no invented values.
      '@typescript-eslint/no-invalid-void-type': 'off',
      'no-restricted-exports': ['error', { restrictDefaultExports: { direct: true, defaultFrom: true } }],
    },
  },
  {
    files: ['src/**/*.ts', 'examples/**/*.ts'],
    rules: {
      'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
      '@typescript-eslint/no-non-null-assertion': 'error',
    },
  },
  { files: longerFiles.length === 0 ? ['src/none'] : longerFiles, rules: { 'max-lines': 'off' } },
  ...Object.entries(doors).map(([room, door]) => doorRules(room, door)),
  ...purity,
  cuts,
  storeClock,
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Answers of the API are read as the test expects them; that is what the assertions are for.
      '@typescript-eslint/no-explicit-any': 'off',
    },
  },
  // Tools that fix the shape of their configuration file.
  { files: ['eslint.config.js'], rules: { 'no-restricted-exports': 'off' } },
);

// Lint limits, and the doors between rooms (`lint/doors.js`).
import tseslint from 'typescript-eslint';
import { doorRule } from './lint/door-rule.js';
import { doors } from './lint/doors.js';

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
];

/** What a target wrote is masked before it is cut, and one file does both; another one cuts secrets only. */
const cuts = {
  files: ['src/executors/**/*.ts'],
  ignores: ['src/executors/masking/mask.ts', 'src/executors/masking/index-of-words.ts'],
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
  files: [
    'src/api/**/*.ts',
    'src/service/**/*.ts',
    'src/auth/**/*.ts',
    'src/notify/**/*.ts',
    'src/processes/api.ts',
  ],
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

/** In a transaction, what the others ask after one has failed would come into the next one. */
const inTransactions = {
  files: ['src/activities/step/**/*.ts', 'src/audit/record/**/*.ts', 'src/store/**/*.ts'],
  rules: {
    'no-restricted-properties': [
      'error',
      {
        object: 'Promise',
        property: 'all',
        message: 'ask the store with `together`, which ends when all of it has',
      },
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
      '.compiled/**',
      '.schemathesis/**',
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
  {
    files: ['src/**/*.ts'],
    plugins: { countersign: { rules: { doors: doorRule } } },
    rules: { 'countersign/doors': ['error', doors] },
  },
  ...purity,
  cuts,
  storeClock,
  inTransactions,
  {
    files: ['test/**/*.ts', 'testing/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Answers of the API are read as the test expects them; that is what the assertions are for.
      '@typescript-eslint/no-explicit-any': 'off',
    },
  },
  // Tools that fix the shape of their configuration file.
  { files: ['eslint.config.js'], rules: { 'no-restricted-exports': 'off' } },
);

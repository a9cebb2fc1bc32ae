import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { describe, it } from 'node:test';
import { projectRoot } from '../../testing/paths.js';

// Read in the sources: a rule that stood in two places came to differ, and a private part of a package goes without notice.

const sources = new Map(
  readdirSync(join(projectRoot, 'src'), { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.ts'))
    .sort()
    .map((file) => [file, readFileSync(join(projectRoot, 'src', file), 'utf8')]),
);

function filesWith(written: RegExp): string[] {
  return [...sources].flatMap(([file, text]) => (written.test(text) ? [file] : []));
}

describe('one place', () => {
  const rules: readonly (readonly [string, RegExp, string])[] = [
    ['escapes and reads JSON pointers', /'~[01]'/, 'model/values/json.ts'],
    ['names the records that close a run', /'run\.(?:completed|cancelled|timed_out)'/, 'model/records.ts'],
    [
      'makes ids of others',
      /`(?:act|apr|dec|rec|run)_\$|\.slice\('[a-z]{3}_'\.length\)/,
      'model/names/derived-ids.ts',
    ],
    ['names the namespace of an environment', /`countersign-\$\{\w+\}`/, 'model/names/temporal-names.ts'],
    ['says which approvals are open', /'open'.*'escalated'/, 'model/approval-status.ts'],
    ['asks whether a task queue is polled', /describeTaskQueue/, 'client/pollers.ts'],
    [
      'keeps plans, and misses one',
      /Map<string, Plan>\(|`plan .* is not in the store/,
      'store/flows/cached.ts',
    ],
    [
      'asks whether the policies that it keeps are in force',
      /hash === \(await policySetHash/,
      'store/flows/cached.ts',
    ],
  ];
  for (const [does, written, place] of rules)
    it(`${does}: \`${place}\``, () => assert.deepEqual(filesWith(written), [place]));
});

describe('a private part of a package', () => {
  const parts: readonly (readonly [string, string, RegExp])[] = [
    ['the queries of pg', 'pg', /submittedNamedStatements|\b_result\b/],
    ['histories as JSON', '@temporalio/common', /@temporalio\/common\/lib\/proto-utils/],
    ['durations', '@temporalio/common', /@temporalio\/common\/lib\/time/],
    ['hooks of promises', '@temporalio/worker', /@temporalio\/worker\/lib\/workflow\/vm-shared/],
  ];
  const { dependencies } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as {
    dependencies: Readonly<Record<string, string>>;
  };
  for (const [what, name, written] of parts)
    it(`is used in one file, of a version that is pinned: ${what} (\`${name}\`)`, () => {
      assert.equal(filesWith(written).length, 1);
      assert.match(dependencies[name] ?? '', /^\d+\.\d+\.\d+$/);
    });

  it('is used nowhere else', () => {
    const known = new Set(parts.flatMap(([, , written]) => filesWith(written)));
    const users = filesWith(/'(?:pg|@temporalio\/[a-z]+)\/[^']+'/);
    assert.deepEqual(
      users.filter((file) => !known.has(file)),
      [],
    );
  });
});

it('no file imports what imports it', () => {
  const imported = /^(?:import|export) (?!type )[^;]*? from '(\.[^']+)\.js';/gm;
  const importsOf = (file: string): string[] =>
    [...(sources.get(file) ?? '').matchAll(imported)]
      .filter(([statement]) => !/\{(?:\s*type \w+,?)+\s*\}/.test(statement))
      .map(([, path = '']) => `${posix.normalize(`${dirname(file)}/${path}`)}.ts`);
  const done = new Set<string>();
  const circleFrom = (file: string, way: readonly string[]): readonly string[] | null => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return null;
    // A file may look at what it exports itself.
    for (const next of importsOf(file).filter((path) => path !== file)) {
      const circle = circleFrom(next, [...way, file]);
      if (circle !== null) return circle;
    }
    done.add(file);
    return null;
  };
  for (const file of sources.keys()) assert.equal(circleFrom(file, [])?.join(' > '), undefined);
});

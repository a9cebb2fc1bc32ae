import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { projectRoot } from '../../../testing/paths.js';
import { cellName, conditions, type Condition } from './cells.js';
import { parse } from './scan.js';

// What tests there are, read from their files' syntax.

export const ownFiles = (): string[] =>
  readdirSync(join(projectRoot, 'test/fail-closed'))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `test/fail-closed/${name}`);

/** Names of the cells that the tests of this folder force: `failClosed('id', { error: …, empty: … })`. */
export function registeredCells(): string[] {
  return ownFiles().flatMap((file) =>
    calls(parse(file), 'failClosed').flatMap((call) => {
      const [id, cells] = call.arguments;
      if (
        id === undefined ||
        !ts.isStringLiteral(id) ||
        cells === undefined ||
        !ts.isObjectLiteralExpression(cells)
      )
        throw new Error(
          `${file}: failClosed takes an id and its cells written out, so that they can be read`,
        );
      return cells.properties.map((one) => cellName(id.text, conditionOf(file, one)));
    }),
  );
}

function conditionOf(file: string, property: ts.ObjectLiteralElementLike): Condition {
  const name = property.name?.getText();
  const found = conditions.find((one) => one === name);
  if (found === undefined) throw new Error(`${file}: \`${String(name)}\` is no condition`);
  return found;
}

/** Does the file have a test of that name? The holes of a template stand for anything. */
export function hasTest(file: string, name: string): boolean {
  let source: ts.SourceFile;
  try {
    source = parse(file, readFileSync(join(projectRoot, file), 'utf8'));
  } catch {
    return false;
  }
  return ['test', 'it']
    .flatMap((word) => calls(source, word))
    .some((call) => {
      const [title] = call.arguments;
      if (title === undefined) return false;
      if (ts.isStringLiteralLike(title)) return title.text === name;
      return ts.isTemplateExpression(title) && pattern(title).test(name);
    });
}

function pattern(template: ts.TemplateExpression): RegExp {
  const quoted = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const spans = template.templateSpans.map((one) => `.*${quoted(one.literal.text)}`);
  return new RegExp(`^${quoted(template.head.text)}${spans.join('')}$`);
}

function calls(source: ts.SourceFile, name: string): ts.CallExpression[] {
  const found: ts.CallExpression[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === name)
      found.push(node);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

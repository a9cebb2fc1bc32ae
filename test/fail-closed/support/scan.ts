import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { errorTable, problemCodes } from '../../../src/model/contract/errors.js';
import { messageRefusals } from '../../../src/model/message.js';
import { projectRoot } from '../../../testing/paths.js';

// Where the product can say no, read from its syntax: whoever adds such a place has to add it to docs/fail-closed.md.

/** One place in `src` that refuses. */
export interface Site {
  /** `src/engine/run/submit.ts`. */
  readonly file: string;
  /** The declaration at the top of the file that holds it. */
  readonly in: string;
  readonly line: number;
  /** An error or problem code, or a reason, that it refuses with; null where it names none. */
  readonly code: string | null;
  readonly what: string;
}

/** Values of `status`, `kind` and `verdict` by which a value of ours says no. */
const refusing = new Set([
  'refused',
  'message_refused',
  'invalid',
  'unresolved',
  'missing',
  'mismatch',
  'already',
  'failed',
  'no',
  'malformed',
  'unavailable',
  'undelivered',
  'unknown',
  'denied',
  'kind_conflict',
  'spelling_conflict',
  'reused',
  'in_progress',
  'too_large',
  'broken',
  'behind',
  'not_started',
  'stopped',
  'error',
]);
const discriminants: readonly string[] = ['status', 'kind', 'verdict'];
/** Codes are told by their text, wherever they stand. */
const codes: ReadonlySet<string> = new Set([...Object.keys(errorTable), ...problemCodes, ...messageRefusals]);
/** Functions of ours whose call is a refusal. */
const refusers = new Set([
  'refuse',
  'refused',
  'refusedAs',
  'problem',
  'refusal',
  'invalid',
  'notFound',
  'badCursor',
  'failure',
  'failureAfterSending',
  'stoppedResult',
  'unresolved',
  'unusable',
  'stick',
  'problemAt',
  'error',
  'fail',
  'mismatch',
]);

/** Names by which functions of ours that answer `null` or `true` for yes are called. */
const deciding = /Problem$|^assert|^may[A-Z]|^blocked|Allows$|^refus|^possible$|Reached$|^visible[A-Z]/;

export function sourceFiles(): string[] {
  return readdirSync(join(projectRoot, 'src'), { recursive: true })
    .map((path) => `src/${String(path)}`)
    .filter((path) => path.endsWith('.ts'))
    .sort();
}

export function parse(path: string, text = readFileSync(join(projectRoot, path), 'utf8')): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
}

/** All of them, in all of `src`, but for the named folders and files. */
export function scan(files: readonly ts.SourceFile[]): Site[] {
  const unions = refusalTypes(files);
  return files.flatMap((file) => sitesOf(file, unions));
}

/** Types of which one arm says no: `Verified`, `Authentication`, `BlockRule`, an interface with such a `verdict`. */
function refusalTypes(files: readonly ts.SourceFile[]): Set<string> {
  const names = new Set<string>();
  // Twice: a type may say no by naming another one.
  for (const statement of [1, 2].flatMap(() => files.flatMap((file) => [...file.statements]))) {
    if (ts.isTypeAliasDeclaration(statement) && saysNo(statement.type, names)) names.add(statement.name.text);
    // A row with a status is data; only an interface with a verdict is a judgement.
    if (ts.isInterfaceDeclaration(statement) && memberSaysNo(statement.members, names, ['verdict']))
      names.add(statement.name.text);
  }
  return names;
}

function saysNo(type: ts.TypeNode, names: ReadonlySet<string>): boolean {
  if (ts.isUnionTypeNode(type)) return type.types.some((one) => saysNo(one, names));
  if (ts.isParenthesizedTypeNode(type)) return saysNo(type.type, names);
  if (ts.isLiteralTypeNode(type)) return ts.isStringLiteral(type.literal) && refusing.has(type.literal.text);
  return ts.isTypeLiteralNode(type) && memberSaysNo(type.members, names);
}

function memberSaysNo(
  members: ts.NodeArray<ts.TypeElement>,
  names: ReadonlySet<string>,
  by: readonly string[] = discriminants,
): boolean {
  return members.some((one) => {
    if (!ts.isPropertySignature(one) || one.type === undefined) return false;
    if (!by.includes(one.name.getText())) return false;
    return (
      saysNo(one.type, names) || (ts.isTypeReferenceNode(one.type) && names.has(one.type.typeName.getText()))
    );
  });
}

function sitesOf(file: ts.SourceFile, unions: ReadonlySet<string>): Site[] {
  const sites: Site[] = [];
  const seen = new Set<string>();
  const visit = (node: ts.Node, within: string): void => {
    if (ts.isTypeNode(node)) return;
    for (const { code, what } of found(node, unions)) {
      const line = file.getLineAndCharacterOfPosition(node.getStart()).line + 1;
      const key = `${within}|${String(code)}|${code === null ? '' : what}`;
      if (!seen.has(key)) sites.push({ file: file.fileName, in: within, line, code, what });
      seen.add(key);
    }
    if (isContract(node)) return;
    ts.forEachChild(node, (child) => visit(child, within));
  };
  for (const statement of file.statements)
    for (const { name, node } of declarations(statement)) visit(node, name);
  return sites;
}

function declarations(statement: ts.Statement): { name: string; node: ts.Node }[] {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.map((one) => ({ name: one.name.getText(), node: one }));
  if (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement))
    return [{ name: statement.name?.text ?? 'default', node: statement }];
  const skipped =
    ts.isImportDeclaration(statement) ||
    ts.isExportDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement);
  return skipped ? [] : [{ name: '(file)', node: statement }];
}

/** `errors: [...]` of a route says what its callers may meet; it refuses nothing. */
function isContract(node: ts.Node): boolean {
  return (
    ts.isPropertyAssignment(node) &&
    node.name.getText() === 'errors' &&
    ts.isObjectLiteralExpression(node.parent) &&
    node.parent.properties.some((one) => one.name?.getText() === 'handle')
  );
}

interface Found {
  readonly code: string | null;
  readonly what: string;
}

function found(node: ts.Node, unions: ReadonlySet<string>): Found[] {
  if (ts.isStringLiteral(node)) return codeAt(node);
  if (ts.isThrowStatement(node))
    return ts.isIdentifier(node.expression) ? [] : [{ code: null, what: 'throws' }];
  if (ts.isCallExpression(node)) return callAt(node);
  if (ts.isObjectLiteralExpression(node)) return valueAt(node);
  if (!ts.isFunctionLike(node)) return [];
  if (node.type !== undefined && namesUnion(node.type, unions))
    return [{ code: null, what: `answers ${node.type.getText()}` }];
  const name = node.name?.getText() ?? '';
  return deciding.test(name) ? [{ code: null, what: 'is named as a decision' }] : [];
}

/** A code that is compared with is read, not said. */
function codeAt(node: ts.StringLiteral): Found[] {
  if (!codes.has(node.text)) return [];
  const { parent } = node;
  const compared =
    (ts.isBinaryExpression(parent) &&
      [ts.SyntaxKind.EqualsEqualsEqualsToken, ts.SyntaxKind.ExclamationEqualsEqualsToken].includes(
        parent.operatorToken.kind,
      )) ||
    ts.isCaseClause(parent);
  return compared ? [] : [{ code: node.text, what: 'says' }];
}

function callAt(node: ts.CallExpression): Found[] {
  const name = ts.isIdentifier(node.expression) ? node.expression.text : '';
  if (node.expression.getText() === 'process.exit') return [{ code: null, what: 'ends the process' }];
  if (!refusers.has(name)) return [];
  const [first] = node.arguments;
  const reason = name === 'refused' || name === 'refusedAs' || name === 'failure';
  const code = reason && first !== undefined && ts.isStringLiteral(first) ? first.text : null;
  return [{ code, what: `calls ${name}` }];
}

/** `{ status: 'refused', reason: 'unknown_key' }` and its like. */
function valueAt(node: ts.ObjectLiteralExpression): Found[] {
  const text = (name: string): string | null => {
    for (const one of node.properties) {
      if (!ts.isPropertyAssignment(one) || one.name.getText() !== name) continue;
      return ts.isStringLiteral(one.initializer) ? one.initializer.text : null;
    }
    return null;
  };
  const says = discriminants.map(text).find((one) => one !== null && refusing.has(one));
  if (says === undefined || says === null) return [];
  const code = ['reason', 'errorClass', 'why'].map(text).find((one) => one !== null) ?? null;
  return [{ code: code !== null && /^[a-z_]+$/.test(code) ? code : null, what: `says ${says}` }];
}

function namesUnion(type: ts.TypeNode, unions: ReadonlySet<string>): boolean {
  if (saysNo(type, unions)) return true;
  if (ts.isUnionTypeNode(type)) return type.types.some((one) => namesUnion(one, unions));
  if (!ts.isTypeReferenceNode(type)) return false;
  if (unions.has(type.typeName.getText())) return true;
  return (
    type.typeName.getText() === 'Promise' && (type.typeArguments ?? []).some((one) => namesUnion(one, unions))
  );
}

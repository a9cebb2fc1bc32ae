import { requireConnectionKind } from '../../executors/find-kind.js';
import { headerName } from '../../model/http.js';
import {
  mostEnvironmentBytes,
  mostFixedArgumentsBytes,
  passedBytes,
  argumentTrouble,
  toAssignment,
} from '../../model/command-line.js';
import { breakTrouble, lineTrouble } from '../../model/values/text.js';
import { referencePattern } from '../shape/notifications.js';
import type { TargetShape } from '../shape/shapes.js';
import type { Misfit } from './addresses.js';
import { isSuspectAddress, judgeCredential, type CredentialVerdict } from './credentials.js';
import { holeTrouble } from './holes.js';

// Checks the texts of a connection: a call over it can be made, and no secret is written in them.

/** The first problem in the texts of a connection; null: there is none. */
export function misfitOf(shape: TargetShape): Misfit | null {
  return (
    findUnpassable(shape) ??
    findBrokenLine(shape) ??
    findWrongReference(shape) ??
    findHole(shape) ??
    findCredential(shape) ??
    findInvalidHeaderName(shape)
  );
}

/** Texts have one line, except what is passed to a program (`args`, `env`), which may have several. */
function findBrokenLine(shape: TargetShape): Misfit | null {
  for (const [key, text] of textsOf(shape)) {
    const trouble = /^(?:args|env)\//.test(key) ? breakTrouble(text) : lineTrouble(text);
    if (trouble !== null) return { status: 'invalid', key, message: `\`${key}\` ${trouble}` };
  }
  return null;
}

function findCredential(shape: TargetShape): Misfit | null {
  const [key] = keysJudged(shape, 'credential');
  if (key === undefined) return null;
  return {
    status: 'invalid',
    code: 'SECRET_REFERENCE',
    key,
    message: `\`${key}\` holds a credential as it is, for everybody to read, and what a target says of it is not masked: ${remedyFor(key)}`,
  };
}

/** What to do about a credential that is written at this key. */
export function remedyFor(key: string): string {
  const write = 'write `secret://name` or `env://NAME`';
  if (/^(?:headers|env)\//.test(key)) return write;
  if (key.startsWith('args/')) return `hand it over in \`env\`, and ${write}`;
  return `approvers see it too: have it in \`headers\`, if its server takes it there, and ${write}`;
}

/** The keys of those texts of a connection that `verdict` is true of. */
export function keysJudged(shape: TargetShape, verdict: CredentialVerdict): readonly string[] {
  const { address } = requireConnectionKind(shape.kind);
  const isJudgedSo = ([key, text]: readonly [string, string]): boolean => {
    if (key === address) return verdict === 'perhaps' && isSuspectAddress(text);
    const [, part, name = ''] = /^(headers|env|args)\/(.*)$/s.exec(key) ?? [];
    if (part === undefined) return false;
    if (part !== 'args') return judgeCredential(name, text, part === 'headers') === verdict;
    // Some programs fill in `${NAME}` in their arguments themselves.
    return (
      verdict !== 'no reference' &&
      judgeCredential(optionOf(shape.args ?? [], Number(name)), text) === verdict
    );
  };
  return textsOf(shape)
    .filter(isJudgedSo)
    .map(([key]) => key);
}

/** The name of the option whose value this argument is: `token` after `--token`. Null: it is an option itself, or follows none. */
function optionOf(args: readonly string[], index: number): string | null {
  const option = /^--?(\w[\w-]*)$/.exec(args[index - 1] ?? '')?.[1];
  return option === undefined || args[index]?.startsWith('-') === true ? null : option;
}

function findInvalidHeaderName(shape: TargetShape): Misfit | null {
  const odd = Object.keys(shape.headers ?? {}).find((name) => !headerName.test(name));
  if (odd === undefined) return null;
  return { status: 'invalid', key: 'headers', message: `\`${odd}\` is no header name` };
}

/** Text that looks like a reference, or like a variable to be filled in. */
const referenceLike = /\b(env|envs|secret|secrets|file|vault|ssm|op):\/\/|\$\{[A-Za-z_]/i;

/**
 * A header, a variable of `env` or an address (with `env://` only) may be a reference as a whole. Part of a reference, or an
 * unknown kind of reference, would be sent as it is written.
 */
function findWrongReference(shape: TargetShape): Misfit | null {
  const misfitAt = (key: string, name: string): Misfit => ({
    status: 'invalid',
    code: 'SECRET_REFERENCE',
    key,
    message: `\`${name}\` holds a reference that is not whole or of no known kind: write \`env://NAME\` or \`secret://name\` and nothing else`,
  });
  const isBroken = (text: string | undefined): boolean =>
    text !== undefined && referenceLike.test(text) && !referencePattern.test(text);
  const { address: addressKey } = requireConnectionKind(shape.kind);
  const address = textsOf(shape).find(([key]) => key === addressKey);
  if (address !== undefined) {
    const [key, text] = address;
    if (/^secret:\/\//i.test(text))
      return {
        ...misfitAt(key, key),
        message: `\`${key}\` is shown and bound by approvals, so it is no secret: write \`env://NAME\` or the address, and the secret into \`headers\``,
      };
    if (isBroken(text)) return misfitAt(key, key);
  }
  for (const [key, texts] of [
    ['headers', shape.headers],
    ['env', shape.env],
  ] as const)
    for (const [name, text] of Object.entries(texts ?? {})) if (isBroken(text)) return misfitAt(key, name);
  const [meant] = keysJudged(shape, 'no reference');
  if (meant !== undefined) {
    const name = meant.replace(/^(?:headers|env)\//, '');
    const message = `\`${name}\` holds a secret, or a reference that is not whole or of no known kind, and would be sent as it is written: write \`env://NAME\` or \`secret://name\` and nothing else`;
    return { ...misfitAt(meant, name), message };
  }
  if (/^secret:\/\//i.test(shape.env?.['PATH'] ?? ''))
    return {
      ...misfitAt('env/PATH', 'PATH'),
      message:
        '`PATH` says which program runs and is bound by approvals, so it is no secret: write `env://NAME` or the path',
    };
  const unresolved = (shape.args ?? []).findIndex((argument) => referencePattern.test(argument));
  return unresolved === -1
    ? null
    : {
        ...misfitAt(`args/${unresolved}`, 'args'),
        message:
          'references are not resolved in `args`, which others can read: hand the secret over in `env`',
      };
}

/** The texts of a connection with their keys, such as `url` and `headers/Authorization`. */
function textsOf(shape: TargetShape): (readonly [key: string, text: string])[] {
  return Object.entries(shape).flatMap(([key, value]: [string, unknown]): [string, string][] => {
    if (typeof value === 'string') return [[key, value]];
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value).map(([name, text]) => [`${key}/${name}`, String(text)]);
  });
}

function findHole(shape: TargetShape): Misfit | null {
  for (const [key, text] of textsOf(shape)) {
    const message = holeTrouble(text, 'nothing');
    if (message !== null) return { status: 'invalid', key, message };
  }
  return null;
}

/** A command, argument or variable that no system would pass on. */
function findUnpassable(shape: TargetShape): Misfit | null {
  const { command = '', workingDirectory = '', args = [], env = {} } = shape;
  const texts: [string, string][] = [
    ['command', command],
    ['workingDirectory', workingDirectory],
    ...args.map((text, index): [string, string] => [`args/${index}`, text]),
    ...Object.entries(env).map((setting): [string, string] => [`env/${setting[0]}`, toAssignment(setting)]),
  ];
  for (const [key, text] of texts) {
    const trouble = argumentTrouble(text);
    if (trouble !== null) return { status: 'invalid', key, message: `\`${key}\` ${trouble}` };
  }
  const odd = Object.keys(env).find((name) => name === '' || name.includes('='));
  if (odd !== undefined)
    return {
      status: 'invalid',
      key: 'env',
      message: `\`${odd}\` is no name of a variable: it is empty or holds \`=\``,
    };
  return (
    findTooLarge('args', passedBytes(args), mostFixedArgumentsBytes) ??
    findTooLarge('env', passedBytes(Object.entries(env).map(toAssignment)), mostEnvironmentBytes)
  );
}

function findTooLarge(key: string, bytes: number, most: number): Misfit | null {
  if (bytes <= most) return null;
  return { status: 'invalid', key, message: `\`${key}\` takes ${bytes} bytes, and ${most} are the most` };
}

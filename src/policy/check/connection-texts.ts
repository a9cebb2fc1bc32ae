import { connectionKind } from '../../executors/kinds.js';
import { headerName } from '../../model/http.js';
import {
  mostEnvironmentBytes,
  mostFixedArgumentsBytes,
  passedBytes,
  passingTrouble,
  variable,
} from '../../model/command-line.js';
import { breakTrouble, lineTrouble } from '../../model/text.js';
import { referencePattern } from '../shape/notifications.js';
import type { TargetShape } from '../shape/shapes.js';
import type { Misfit } from './addresses.js';
import { isSuspectAddress, writtenCredential, type Written } from './credentials.js';
import { holeTrouble } from './holes.js';

// What the texts of a connection may be: a call over it can be made, and no secret stands in them.

export function misfitOf(shape: TargetShape): Misfit | null {
  return (
    unpassable(shape) ??
    brokenLine(shape) ??
    wrongReference(shape) ??
    unfilled(shape) ??
    heldCredential(shape) ??
    unsendableName(shape)
  );
}

/** Each in one line, but what is passed to a program: that may be of several. */
function brokenLine(shape: TargetShape): Misfit | null {
  for (const [key, text] of textsOf(shape)) {
    const trouble = /^(?:args|env)\//.test(key) ? breakTrouble(text) : lineTrouble(text);
    if (trouble !== null) return { status: 'invalid', key, message: `\`${key}\` ${trouble}` };
  }
  return null;
}

function heldCredential(shape: TargetShape): Misfit | null {
  const [key] = keysOfWritten(shape, 'credential');
  if (key === undefined) return null;
  return {
    status: 'invalid',
    code: 'SECRET_REFERENCE',
    key,
    message: `\`${key}\` holds a credential as it is, for everybody to read, and what a target says of it is not masked: ${wayOut(key)}`,
  };
}

/** Where else the credential belongs that stands there. */
export function wayOut(key: string): string {
  const write = 'write `secret://name` or `env://NAME`';
  if (/^(?:headers|env)\//.test(key)) return write;
  if (key.startsWith('args/')) return `hand it over in \`env\`, and ${write}`;
  return `approvers see it too: have it in \`headers\`, if its server takes it there, and ${write}`;
}

export function keysOfWritten(shape: TargetShape, written: Written): readonly string[] {
  const { address } = connectionKind(shape.kind);
  const isSo = ([key, text]: readonly [string, string]): boolean => {
    if (key === address) return written === 'perhaps' && isSuspectAddress(text);
    const [, part, name = ''] = /^(headers|env|args)\/(.*)$/s.exec(key) ?? [];
    if (part === undefined) return false;
    if (part !== 'args') return writtenCredential(name, text, part === 'headers') === written;
    // Some programs fill in `${NAME}` in their arguments themselves.
    return (
      written !== 'no reference' &&
      writtenCredential(optionOf(shape.args ?? [], Number(name)), text) === written
    );
  };
  return textsOf(shape)
    .filter(isSo)
    .map(([key]) => key);
}

/** `token` of `--token`, whose value this argument is. Null: it is an option itself, or none stands before it. */
function optionOf(args: readonly string[], index: number): string | null {
  const option = /^--?(\w[\w-]*)$/.exec(args[index - 1] ?? '')?.[1];
  return option === undefined || args[index]?.startsWith('-') === true ? null : option;
}

function unsendableName(shape: TargetShape): Misfit | null {
  const odd = Object.keys(shape.headers ?? {}).find((name) => !headerName.test(name));
  if (odd === undefined) return null;
  return { status: 'invalid', key: 'headers', message: `\`${odd}\` is no header name` };
}

/** What looks like a reference, or as if a variable were filled in. */
const referenceLike = /\b(env|envs|secret|secrets|file|vault|ssm|op):\/\/|\$\{[A-Za-z_]/i;

/** Headers, `env` and addresses (`env://` alone) may each be one reference as a whole; half of one, or another kind, would be sent as it stands. */
function wrongReference(shape: TargetShape): Misfit | null {
  const wrong = (key: string, name: string): Misfit => ({
    status: 'invalid',
    code: 'SECRET_REFERENCE',
    key,
    message: `\`${name}\` holds a reference that is not whole or of no known kind: write \`env://NAME\` or \`secret://name\` and nothing else`,
  });
  const bad = (text: string | undefined): boolean =>
    text !== undefined && referenceLike.test(text) && !referencePattern.test(text);
  const { address: own } = connectionKind(shape.kind);
  const address = textsOf(shape).find(([key]) => key === own);
  if (address !== undefined) {
    const [key, text] = address;
    if (/^secret:\/\//i.test(text))
      return {
        ...wrong(key, key),
        message: `\`${key}\` is shown and bound by approvals, so it is no secret: write \`env://NAME\` or the address, and the secret into \`headers\``,
      };
    if (bad(text)) return wrong(key, key);
  }
  for (const [key, held] of [
    ['headers', shape.headers],
    ['env', shape.env],
  ] as const)
    for (const [name, text] of Object.entries(held ?? {})) if (bad(text)) return wrong(key, name);
  const [meant] = keysOfWritten(shape, 'no reference');
  if (meant !== undefined) {
    const name = meant.replace(/^(?:headers|env)\//, '');
    const message = `\`${name}\` holds what is sent as it stands, a secret or no whole reference of a known kind: write \`env://NAME\` or \`secret://name\` and nothing else`;
    return { ...wrong(meant, name), message };
  }
  if (/^secret:\/\//i.test(shape.env?.['PATH'] ?? ''))
    return {
      ...wrong('env/PATH', 'PATH'),
      message:
        '`PATH` says which program runs and is bound by approvals, so it is no secret: write `env://NAME` or the path',
    };
  const unresolved = (shape.args ?? []).findIndex((one) => referencePattern.test(one));
  return unresolved === -1
    ? null
    : {
        ...wrong(`args/${unresolved}`, 'args'),
        message:
          'references are not resolved in `args`, which others can read: hand the secret over in `env`',
      };
}

/** Its texts by where they stand. A connection is the same for every call: no value of one is filled in. */
function textsOf(shape: TargetShape): (readonly [key: string, text: string])[] {
  return Object.entries(shape).flatMap(([key, held]: [string, unknown]): [string, string][] => {
    if (typeof held === 'string') return [[key, held]];
    if (typeof held !== 'object' || held === null) return [];
    return Object.entries(held).map(([name, text]) => [`${key}/${name}`, String(text)]);
  });
}

function unfilled(shape: TargetShape): Misfit | null {
  for (const [key, text] of textsOf(shape)) {
    const message = holeTrouble(text, 'nothing');
    if (message !== null) return { status: 'invalid', key, message };
  }
  return null;
}

/** What no system would pass to a command. */
function unpassable(shape: TargetShape): Misfit | null {
  const { command = '', workingDirectory = '', args = [], env = {} } = shape;
  const texts: [string, string][] = [
    ['command', command],
    ['workingDirectory', workingDirectory],
    ...args.map((text, index): [string, string] => [`args/${index}`, text]),
    ...Object.entries(env).map((one): [string, string] => [`env/${one[0]}`, variable(one)]),
  ];
  for (const [key, text] of texts) {
    const trouble = passingTrouble(text);
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
    tooMuch('args', passedBytes(args), mostFixedArgumentsBytes) ??
    tooMuch('env', passedBytes(Object.entries(env).map(variable)), mostEnvironmentBytes)
  );
}

function tooMuch(key: string, bytes: number, most: number): Misfit | null {
  if (bytes <= most) return null;
  return { status: 'invalid', key, message: `\`${key}\` takes ${bytes} bytes, and ${most} are the most` };
}

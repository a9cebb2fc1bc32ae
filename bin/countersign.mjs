#!/usr/bin/env node
// `countersign up|api|worker|migrate` run the processes; every other command is the client's, which speaks REST only.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { existsSync } from 'node:fs';
import {
  assertNodeVersion,
  ensureBuilt,
  ensureInstalled,
  Failed,
  isStale,
  root,
  say,
  stopSignal,
  Stopped,
  tellOnStderr,
} from '../scripts/lib.mjs';

const processes = { api: 'api', worker: 'worker', migrate: 'migrate' };

assertNodeVersion();
tellOnStderr();
const [command, ...rest] = process.argv.slice(2);
const dist = join(root, 'dist');
const load = (path) => import(pathToFileURL(join(dist, path)).href);

try {
  // A server image carries dist/ and no sources to compare it with; a clone builds when there is nothing yet.
  if (!existsSync(join(dist, '.stamp'))) {
    const signal = stopSignal();
    await ensureInstalled(signal);
    await ensureBuilt(signal);
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(name);
  }
  // It does not build by itself: what runs from dist/ meanwhile would go on with two builds.
  if (isStale())
    say(
      'the sources have changed since `dist/` was built, and this command is of that build: `npm run build` or the next `npm start` builds it again',
    );
  if (command === 'up') {
    const { up } = await load('processes/up.js');
    process.exit(await up({ args: rest, signal: stopSignal() }));
  } else if (Object.hasOwn(processes, command ?? '')) {
    const { answerInstead } = await load('processes/arguments.js');
    const instead = answerInstead(command, rest);
    if (instead === null) await load(`processes/${processes[command]}.js`);
    else {
      // A reader that has gone is no error.
      stopSignal();
      process[instead.code === 0 ? 'stdout' : 'stderr'].write(`${instead.text}\n`);
      process.exitCode = instead.code;
    }
  } else {
    await load('cli/main.js');
  }
} catch (error) {
  if (!(error instanceof Stopped)) {
    process.stderr.write(`${textOf(error)}\n`);
    process.exitCode = 1;
  }
}

function textOf(error) {
  if (error instanceof Failed) return error.message;
  // What was pulled may ask for a file that the last build did not make, or a package that is not installed.
  if (error.code === 'ERR_MODULE_NOT_FOUND' && isStale())
    return `the build in \`dist/\` is older than this command and lacks a part of it: run \`npm ci\` and \`npm run build\`, then this again`;
  return error.stack ?? String(error);
}

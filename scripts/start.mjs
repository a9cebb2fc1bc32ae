// `npm start` installs, builds, and then becomes the supervisor. Signals stop it cleanly from the beginning.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  assertNodeVersion,
  assertOptionsArrived,
  ensureBuilt,
  ensureInstalled,
  Failed,
  root,
  stopSignal,
  Stopped,
} from './lib.mjs';

assertNodeVersion();
assertOptionsArrived('npm start');
const signal = stopSignal();
try {
  await ensureInstalled(signal);
  await ensureBuilt(signal);
  const { up } = await import(pathToFileURL(join(root, 'dist', 'processes', 'up.js')).href);
  process.exitCode = await up({ args: process.argv.slice(2), signal });
} catch (error) {
  if (!(error instanceof Stopped)) {
    process.stderr.write(`${error instanceof Failed ? error.message : (error.stack ?? error)}\n`);
    process.exitCode = 1;
  }
}
// Whatever handle a library left open must not keep a stopped product alive.
process.exit();

// `NODE_OPTIONS="--import $PWD/scripts/profile.mjs" npm start`: each process, and each of its threads that ends by itself, writes a
// profile of its processor time into `profiles/` when it ends. Chrome's DevTools (Performance) and editors open the `*.cpuprofile`.
import { mkdirSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { resolve } from 'node:path';
import { threadId } from 'node:worker_threads';

const folder = resolve('profiles');
const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.start');
process.on('exit', () => {
  session.post('Profiler.stop', (error, { profile } = {}) => {
    if (error) return;
    mkdirSync(folder, { recursive: true });
    const name = `${process.title.replaceAll(/\W+/g, '-')}-${process.pid}-${threadId}.cpuprofile`;
    writeFileSync(`${folder}/${name}`, JSON.stringify(profile));
  });
});

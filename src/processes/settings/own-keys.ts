import { loadKeys, type ServiceKeys } from '../../auth/index.js';

/** The keys of an API or worker process, or of `migrate`. It says which files it has made, since beside a store that has others they are none of its. */
export function loadOwnKeys(home: string): Promise<ServiceKeys> {
  return loadKeys(home, process.env, (path) =>
    process.stderr.write(`made the key file \`${path}\`: all processes of this deployment need the same\n`),
  );
}

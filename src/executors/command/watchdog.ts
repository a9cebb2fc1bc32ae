import { spawn, type ChildProcess } from 'node:child_process';

// A shell process that is told which sessions run. Its input ends with this process, however this process ends; then it ends
// the sessions that are left.

/** Time between SIGTERM and SIGKILL. */
export const killGraceMs = 2_000;

/**
 * Signals the group of each session's head. The other groups of a session (`timeout` and shells make some) are found in Linux's
 * /proc, and on no other system; a process that is started while the list is read may be missed. The name of a program may
 * contain line ends, so the last line of its `stat` is read.
 */
const script = `
sessions=' '
while read -r what session; do
  case $what in
    start) sessions="$sessions$session " ;;
    end) sessions="\${sessions%% $session *} \${sessions#* $session }" ;;
  esac
done
case $sessions in *[0-9]*) ;; *) exit ;; esac
for signal in TERM KILL; do
  groups=$sessions
  for session in $sessions; do kill -s $signal -- "-$session"; done
  for file in /proc/[0-9]*/stat; do
    last=
    while read -r line; do last=$line; done <"$file"
    set -- \${last##*) }
    case $sessions in *" \${4:-none} "*) ;; *) continue ;; esac
    case $groups in *" $3 "*) continue ;; esac
    groups="$groups$3 "
    kill -s $signal -- "-$3"
  done
  [ $signal = KILL ] || sleep ${killGraceMs / 1_000}
done
`;

const sessions = new Set<number>();
let watchdog: ChildProcess | null = null;

/** The sessions that this process has started and that are not over. */
export const startedSessions: ReadonlySet<number> = sessions;

/** Has the watchdog end the session should this process die. */
export function guard(session: number): void {
  sessions.add(session);
  tell(`start ${session}`);
}

export function unguard(session: number): void {
  if (sessions.delete(session)) tell(`end ${session}`);
}

/** Never throws: a command runs without a watchdog too, and the log says so. */
function tell(line: string): void {
  try {
    if (watchdog !== null) return void watchdog.stdin?.write(`${line}\n`);
    if (sessions.size > 0) watchdog = startWatchdog();
  } catch (error) {
    console.error('no watchdog ends what this process has started, should it be killed:', error);
  }
}

function startWatchdog(): ChildProcess {
  const started = spawn('/bin/sh', ['-c', script, 'countersign-watchdog'], {
    cwd: '/',
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const forget = (): void => {
    if (watchdog === started) watchdog = null;
  };
  started.on('error', forget).on('exit', forget);
  started.stdin.on('error', forget);
  started.stdin.write([...sessions].map((pid) => `start ${pid}\n`).join(''));
  // The watchdog waits for this process, and this process does not wait for the watchdog.
  started.unref();
  return started;
}

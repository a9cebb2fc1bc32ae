import { spawn, type ChildProcess } from 'node:child_process';

// A shell that is told which sessions there are. Its input ends with this process, whatever ends that; then it ends the
// sessions that are left.

/** Between SIGTERM and SIGKILL. */
export const killGraceMs = 2_000;

/**
 * It signals the group of each session's head. The other groups of a session (`timeout` and shells make some) it finds where
 * Linux lists them in /proc, and nowhere else; what a process starts while the list is read may be missed. The name of a
 * program may hold line ends: what is read stands on the last line.
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

/** Those that this process has started, and that are not over. */
export const startedSessions: ReadonlySet<number> = sessions;

/** The session does not outlive this process. */
export function guard(session: number): void {
  sessions.add(session);
  tell(`start ${session}`);
}

export function unguard(session: number): void {
  if (sessions.delete(session)) tell(`end ${session}`);
}

/** Whether a command has started, and how it ended, is no matter of the watchdog's: where there can be none, the log says so. */
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
  // It waits for this process, and not this process for it.
  started.unref();
  return started;
}

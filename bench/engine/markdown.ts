import type { Measured } from './timing.js';

const titles: Readonly<Record<string, string>> = {
  oneGuard: 'one comparison',
  tenGuards: 'ten clauses',
  rule: 'the rule, permitted',
  ruleRefused: 'the rule, its last clause fails',
  ruleExplained: 'the rule, permitted, with reason and reads',
  ruleRefusedExplained: 'the rule, refused, with reason and reads',
  policyCheck: 'policy check, permitted',
  policyCheckRefused: 'policy check, refused by the last guard',
  policyCheckOldRun: 'policy check of a run with 500 messages',
  chainOfTen: 'chain of ten steps',
};

/** The table of docs/performance.md. */
export function renderEngineTable(report: {
  readonly results: Readonly<Record<string, Measured>>;
  readonly clockNs: object;
  readonly signatureNs: object;
}): string {
  const rows = Object.entries(report.results).map(([name, { opsPerSecond, ns }]) => {
    const [subject = '', engine = ''] = [name.slice(0, name.indexOf('/')), name.slice(name.indexOf('/') + 1)];
    const times = [ns.p50, ns.p99, ns.p999].map((time) => time.toLocaleString('en')).join(' | ');
    return `| ${titles[subject] ?? subject} | ${engine} | ${opsPerSecond.toLocaleString('en')} | ${times} |`;
  });
  const head = ['| | | a second | p50 ns | p99 ns | p99.9 ns |', '|---|---|---|---|---|---|'];
  const notes = `clock ${JSON.stringify(report.clockNs)}, signature ${JSON.stringify(report.signatureNs)} ns`;
  return `${[...head, ...rows, '', notes].join('\n')}\n`;
}

import { describeMachine } from '../machine.js';
import { spread } from '../measure.js';
import { payment, prohibited, questions, type Facts, type Said } from './facts.js';
import { renderEngineTable } from './markdown.js';
import { loadPeers, type Peer } from './peers.js';
import { loadProduct, type Product } from './product.js';
import { measure, type Subject } from './timing.js';
import { readOptions, wholeNumber } from '../options.js';

// `npm run bench:engine [-- --iterations 50000 --rounds 7 --no-peers --markdown]` measures guards and policy checks of `dist`,
// and one rule in our notation, in CEL and in Cedar, in turn. Prints JSON (or a table) on stdout, and progress on stderr.
// package.json runs it with `--no-turbo-inline-js-wasm-calls`: otherwise V8 of Node 20 crashes in its deoptimizer after some
// thousand calls of Cedar.

const values = readOptions({
  allowNegative: true,
  options: {
    iterations: { type: 'string', default: '50000' },
    rounds: { type: 'string', default: '7' },
    peers: { type: 'boolean', default: true },
    markdown: { type: 'boolean', default: false },
  },
});
const sizes = {
  iterations: wholeNumber('iterations', values.iterations),
  rounds: wholeNumber('rounds', values.rounds),
};
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const ours = 'countersign';

/** Takes sixteen payments in turn, so that no call can reuse the result of the call before it. */
function callInTurn(
  prepare: (facts: Facts) => () => boolean,
  facts: (index: number) => Facts,
  wanted: boolean,
) {
  const calls = Array.from({ length: 16 }, (_, index) => prepare(facts(index)));
  return (index: number): boolean => calls[index & 15]?.() === wanted;
}

const good = (index: number): Facts => payment(1_000 + index, `INV-2${index}`);
const bad = (index: number): Facts => payment(1_000 + index, `PO-2${index}`);

function makeSubjects(product: Product, peers: readonly Peer[]): readonly Subject[] {
  const guard = (name: string, rule: string, facts: typeof good, wanted = true): Subject => ({
    name: `${name}/${ours}`,
    share: 1,
    call: callInTurn(product.verdict(rule), facts, wanted),
  });
  const peerSubjects = (name: string, rule: 'one' | 'five', facts: typeof good, wanted = true): Subject[] =>
    peers.map((peer) => ({
      name: `${name}/${peer.name}`,
      share: peer.name.includes('cedar') ? 0.04 : 1,
      call: callInTurn((each) => peer.rule(rule).prepare(each), facts, wanted),
    }));
  return [
    guard('oneGuard', 'one', good),
    ...peerSubjects('oneGuard', 'one', good),
    guard('tenGuards', 'ten', good),
    guard('rule', 'five', good),
    ...peerSubjects('rule', 'five', good),
    guard('ruleRefused', 'five', bad, false),
    ...peerSubjects('ruleRefused', 'five', bad, false),
    { name: `ruleExplained/${ours}`, share: 1, call: callInTurn(product.explained('five'), good, true) },
    {
      name: `ruleRefusedExplained/${ours}`,
      share: 1,
      call: callInTurn(product.explained('five'), bad, false),
    },
    ...product.subjects.map((subject) => ({ ...subject, name: `${subject.name}/${ours}` })),
  ];
}

type Engines = readonly { readonly name: string; readonly says: (facts: Facts) => Said }[];

function listEngines(product: Product, peers: readonly Peer[], rule: 'five' | 'unless_large'): Engines {
  return [
    { name: ours, says: (facts) => product.says(rule, facts) },
    ...peers.map((peer) => ({ name: peer.name, says: peer.rule(rule).says })),
  ];
}

const ask = (engines: Engines, facts: Facts): Record<string, Said> =>
  Object.fromEntries(engines.map(({ name, says }) => [name, says(facts)]));

/** All must agree on whether a question is permitted. Whether a refusal is a `fail` or an `error` is up to each language. */
function compareVerdicts(product: Product, peers: readonly Peer[]) {
  const engines = listEngines(product, peers, 'five');
  const asked = questions.map(({ name, permitted, facts }) => {
    const said = ask(engines, facts);
    const kinds = Object.values(said).map((value) => value.verdict);
    return {
      question: name,
      permitted,
      agree: kinds.every((kind) => (kind === 'pass') === permitted),
      sameKind: new Set(kinds).size === 1,
      said,
    };
  });
  const prohibition = listEngines(product, peers, 'unless_large');
  return {
    agree: asked.every((request) => request.agree),
    questions: asked,
    prohibition: prohibited.map(({ name, facts }) => ({ question: name, said: ask(prohibition, facts) })),
  };
}

function describeClock(): object {
  const times = Array.from({ length: 100_000 }, () => {
    const from = performance.now();
    return (performance.now() - from) * 1e6;
  });
  const { p50, p99 } = spread(times);
  return { p50: Math.round(p50), p99: Math.round(p99) };
}

async function main(): Promise<void> {
  const peers = values.peers ? await loadPeers(say) : [];
  const product = await loadProduct();
  const said = compareVerdicts(product, peers);
  for (const asked of said.questions) {
    if (!asked.agree) say(`verdicts differ: ${asked.question}: ${JSON.stringify(asked.said)}`);
    else if (!asked.sameKind) say(`refused in different ways: ${asked.question}: ${kindsOf(asked.said)}`);
  }
  for (const asked of said.prohibition) say(`as a prohibition: ${asked.question}: ${kindsOf(asked.said)}`);
  const results = measure(makeSubjects(product, peers), sizes, say);
  const signature = spread(await product.signatureNs(Math.min(sizes.iterations, 2_000)));
  const rate = (name: string): number => results[name]?.opsPerSecond ?? 0;
  const celJs = peers.find((peer) => peer.name.endsWith('cel-js'))?.name;
  const report = {
    machine: describeMachine(),
    sizes,
    peers: Object.fromEntries(peers.map((peer) => [peer.name, peer.version])),
    clockNs: describeClock(),
    results,
    signatureNs: { p50: Math.round(signature.p50), p99: Math.round(signature.p99), count: signature.count },
    aims: {
      notSlowerThanCelJs: celJs === undefined ? null : rate(`rule/${ours}`) >= rate(`rule/${celJs}`),
      policyCheckP99Under50us: (results[`policyCheck/${ours}`]?.ns.p99 ?? Infinity) < 50_000,
    },
    verdicts: said,
  };
  process.stdout.write(values.markdown ? renderEngineTable(report) : `${JSON.stringify(report, null, 2)}\n`);
  if (!said.agree) process.exitCode = 1;
}

function kindsOf(said: Record<string, Said>): string {
  return Object.entries(said)
    .map(([name, answer]) => `${name} ${answer.verdict}`)
    .join(', ');
}

await main();

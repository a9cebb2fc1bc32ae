import { _, Name, type Ajv, type CodeKeywordDefinition, type KeywordCxt } from 'ajv';

// `unevaluatedProperties` and `unevaluatedItems` ask what other keywords have looked at. ajv keeps that in variables of the code
// that it makes. It sets some of them only where a condition holds, so that code which reads them elsewhere throws, or finds
// what an earlier item has left. Here each subschema begins with variables of its own, and some keywords are mended that rely
// on what need not be so.

/** The keyword is put into every subschema, while it is compiled, of a schema that asks. */
export const trackingKeyword = 'x-tracking';

const tracking: CodeKeywordDefinition = {
  keyword: trackingKeyword,
  schemaType: 'boolean',
  before: '$ref',
  code({ gen, it }) {
    it.props = gen.var('props', noNames);
    it.items = gen.var('items', 0);
  },
};

/** No prototype: else `constructor` would pass for a name that was looked at. */
const noNames = _`Object.create(null)`;

type Code = CodeKeywordDefinition['code'];

const mends: Readonly<Record<string, (code: Code) => Code>> = {
  /** It writes to a list of names, where `true`, for all names, may stand by then: it gets a list of its own. */
  patternProperties: (code) => (cxt) => {
    const { gen, it } = cxt;
    const before = it.props;
    if (!(before instanceof Name)) return code(cxt);
    const props = gen.var('props', noNames);
    it.props = props;
    code(cxt);
    it.props = before;
    const { items: _items, ...named } = it;
    cxt.mergeEvaluated({ ...named, props });
  },
  /** What an `if` has looked at counts only where the `if` holds. */
  if: (code) => (cxt) => {
    const { subschema, mergeEvaluated } = cxt;
    let asked: Name | null = null;
    cxt.subschema = (of, valid) => {
      if (of.keyword === 'if') asked = valid;
      return subschema.call(cxt, of, valid);
    };
    cxt.mergeEvaluated = (of, toName) => {
      if (toName === undefined && asked !== null) cxt.mergeValidEvaluated(of, asked);
      else mergeEvaluated.call(cxt, of, toName);
    };
    code(cxt);
  },
  /** Where all items have been looked at, the variable holds `true` instead of a number. */
  unevaluatedItems: (code) => (cxt) => {
    const { gen, it, data } = cxt;
    const { items } = it;
    if (items instanceof Name)
      it.items = gen.const('items', _`${items} === true ? ${data}.length : ${items}`);
    code(cxt);
  },
};

/** Mends an instance of ajv. For a schema without `unevaluated…` nothing is tracked, and nothing needs mending. */
export function track(ajv: Ajv, isTracked: boolean): void {
  ajv.opts.unevaluated = isTracked;
  if (!isTracked) return;
  ajv.addKeyword(tracking);
  for (const [keyword, mend] of Object.entries(mends)) {
    const rule = ajv.RULES.all[keyword];
    if (typeof rule !== 'object' || !('code' in rule.definition))
      throw new Error(`ajv has no keyword \`${keyword}\` that makes code`);
    const { code } = rule.definition;
    rule.definition = { ...rule.definition, code: mend((cxt: KeywordCxt) => code(cxt)) };
  }
}

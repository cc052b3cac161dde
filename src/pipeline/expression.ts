import jsep, { type Expression as Node } from 'jsep';
import { errorMessage } from '../platform/errors.ts';

/** Input of one evaluation. */
type ExpressionInput = {
  /** Values of the tags, in the order of `tags`. */
  readonly values: Float64Array;
  /** Time of the oldest value, epoch milliseconds. */
  readonly timeMs: number;
  /** True if every value is good. Functions over time take over no other values. */
  readonly isGood: boolean;
};

/** Evaluates an expression. NaN: a function over time needs one more value. */
export type Compute = (input: ExpressionInput) => number;

export type ParsedExpression = {
  /** Names of the tags, each once. */
  readonly tags: readonly string[];
  /** Returns an evaluator with a state of its own for the functions over time. */
  compile(): Compute;
};

// The power, as in spreadsheets; by default jsep takes it for the bitwise operation of JavaScript.
jsep.addBinaryOp('^', 11, true);

const constants: Readonly<Record<string, number>> = { pi: Math.PI, e: Math.E, true: 1, false: 0 };

/** Functions and their numbers of arguments. */
const functions: Readonly<Record<string, readonly [least: number, most: number, (...args: number[]) => number]>> = {
  abs: [1, 1, Math.abs],
  sqrt: [1, 1, Math.sqrt],
  exp: [1, 1, Math.exp],
  ln: [1, 1, Math.log],
  log10: [1, 1, Math.log10],
  sin: [1, 1, Math.sin],
  cos: [1, 1, Math.cos],
  tan: [1, 1, Math.tan],
  atan2: [2, 2, Math.atan2],
  min: [1, 100, Math.min],
  max: [1, 100, Math.max],
  round: [1, 1, Math.round],
  floor: [1, 1, Math.floor],
  ceil: [1, 1, Math.ceil],
  sign: [1, 1, Math.sign],
  bit: [2, 2, (value, index) => Math.floor(value / 2 ** index) % 2],
};

const binary: Readonly<Record<string, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
  '^': (a, b) => a ** b,
  '<': logical((a, b) => a < b),
  '<=': logical((a, b) => a <= b),
  '>': logical((a, b) => a > b),
  '>=': logical((a, b) => a >= b),
  '==': logical((a, b) => a === b),
  '!=': logical((a, b) => a !== b),
  '&&': logical((a, b) => a !== 0 && b !== 0),
  '||': logical((a, b) => a !== 0 || b !== 0),
};

const unary: Readonly<Record<string, (a: number) => number>> = {
  '-': (a) => -a,
  '+': (a) => a,
  '!': (a) => (Number.isNaN(a) ? NaN : Number(a === 0)),
};

/** Units of time of `rate` and `integral`, in milliseconds. */
const timeUnitsMs: Readonly<Record<string, number>> = { s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Parses the expression of a derived tag: numbers, `tag('name')`, arithmetic, comparisons, `a ? b : c`, the functions
 * above, `rate(x, 'h')` and `integral(x, 'h')`. Nothing else of JavaScript is accepted, and nothing is executed.
 *
 * @returns Problem, as a message for an operator.
 */
export function parseExpression(text: string): ParsedExpression | { readonly problem: string } {
  try {
    const root = jsep(text);
    const tags: string[] = [];
    const compile = () => new Compiler(tags).compile(root);
    compile();
    return tags.length === 0 ? { problem: "expected at least one tag('name')" } : { tags, compile };
  } catch (error) {
    return { problem: `cannot be evaluated: ${errorMessage(error)}` };
  }
}

class Compiler {
  readonly #tags: string[];

  /** @param tags Receives the names. */
  constructor(tags: string[]) {
    this.#tags = tags;
  }

  compile(node: Node): Compute {
    if (isKind(node, 'Literal') && typeof node.value === 'number') return constant(node.value);
    if (isKind(node, 'Literal') && typeof node.value === 'boolean') return constant(Number(node.value));
    if (isKind(node, 'Identifier'))
      return constant(known(constants, node.name, 'name', "a tag is written tag('name')"));
    if (isKind(node, 'UnaryExpression')) {
      const apply = known(unary, node.operator, 'operator');
      const argument = this.compile(node.argument);
      return (input) => apply(argument(input));
    }
    if (isKind(node, 'BinaryExpression')) return this.#binary(node.operator, node.left, node.right);
    if (isKind(node, 'ConditionalExpression')) {
      const [test, yes, no] = [node.test, node.consequent, node.alternate].map((part) => this.compile(part));
      // Both sides are evaluated, so that functions over time miss no value.
      return (input) => choose(test?.(input), yes?.(input), no?.(input));
    }
    if (isKind(node, 'CallExpression')) return this.#call(node.callee, node.arguments);
    throw new Error(node.type === 'Compound' ? 'expected one expression' : `${node.type} is not supported`);
  }

  #binary(operator: string, left: Node, right: Node): Compute {
    const apply = known(binary, operator, 'operator');
    const first = this.compile(left);
    // 4217 * 10 ^ -1 is 421.7, as 4217 / 10; 4217 * 0.1 is 421.70000000000005.
    if (operator === '*' && isKind(right, 'BinaryExpression') && right.operator === '^' && isTen(right.left)) {
      const exponent = this.compile(right.right);
      return (input) => timesPowerOfTen(first(input), exponent(input));
    }
    const second = this.compile(right);
    return (input) => apply(first(input), second(input));
  }

  #call(callee: Node, args: readonly Node[]): Compute {
    if (!isKind(callee, 'Identifier')) throw new Error('expected the name of a function');
    const [first, second] = args;
    if (callee.name === 'tag') return this.#tag(args);
    if (callee.name === 'rate' || callee.name === 'integral') {
      if (first === undefined || args.length > 2)
        throw new Error(`${callee.name}(value, 's') has one or two arguments`);
      const unitMs = timeUnitMs(second);
      return callee.name === 'rate' ? rate(this.compile(first), unitMs) : integral(this.compile(first), unitMs);
    }
    const [least, most, apply] = known(functions, callee.name, 'function', 'tag, rate, integral');
    if (args.length < least || args.length > most)
      throw new Error(
        `${callee.name} has ${least === most ? least : `${least} or more`} arguments, found ${args.length}`,
      );
    const parts = args.map((arg) => this.compile(arg));
    return (input) => apply(...parts.map((part) => part(input)));
  }

  #tag(args: readonly Node[]): Compute {
    const [name] = args;
    if (name === undefined || args.length !== 1 || !isKind(name, 'Literal') || typeof name.value !== 'string')
      throw new Error("tag has one argument, a name in quotes: tag('pump-1.power')");
    const found = this.#tags.indexOf(name.value);
    const index = found === -1 ? this.#tags.push(name.value) - 1 : found;
    return ({ values }) => values[index] ?? NaN;
  }
}

/** Change of a value per unit of time, between the last two good values. NaN before the second. */
function rate(value: Compute, unitMs: number): Compute {
  let last: Point | undefined;
  let held = NaN;
  return (input) => {
    const point = { value: value(input), timeMs: input.timeMs };
    if (last !== undefined && point.timeMs > last.timeMs) {
      const perUnit = ((point.value - last.value) * unitMs) / (point.timeMs - last.timeMs);
      if (!input.isGood) return perUnit;
      held = perUnit;
    }
    if (input.isGood && (last === undefined || point.timeMs > last.timeMs)) last = point;
    return held;
  };
}

/** Sum of a value over time since the start, by the trapezoidal rule. Time without good values is not counted. */
function integral(value: Compute, unitMs: number): Compute {
  let last: Point | undefined;
  let sum = 0;
  return (input) => {
    const point = { value: value(input), timeMs: input.timeMs };
    if (!input.isGood || !Number.isFinite(point.value)) {
      last = undefined;
      return sum;
    }
    if (last !== undefined && point.timeMs > last.timeMs)
      sum += (((point.value + last.value) / 2) * (point.timeMs - last.timeMs)) / unitMs;
    if (last === undefined || point.timeMs > last.timeMs) last = point;
    return sum;
  };
}

type Point = { readonly value: number; readonly timeMs: number };

function timeUnitMs(node: Node | undefined): number {
  if (node === undefined) return 1000;
  const unit = isKind(node, 'Literal') && typeof node.value === 'string' ? node.value : '';
  return known(timeUnitsMs, unit, 'unit of time');
}

function timesPowerOfTen(value: number, exponent: number): number {
  return Number.isInteger(exponent) && exponent < 0 ? value / 10 ** -exponent : value * 10 ** exponent;
}

function choose(test = NaN, yes = NaN, no = NaN): number {
  if (Number.isNaN(test)) return NaN;
  return test === 0 ? no : yes;
}

/** Returns 1 or 0; NaN if a value is missing. */
function logical(apply: (a: number, b: number) => boolean): (a: number, b: number) => number {
  return (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? NaN : Number(apply(a, b)));
}

function constant(value: number): Compute {
  return () => value;
}

function isTen(node: Node): boolean {
  return isKind(node, 'Literal') && node.value === 10;
}

function known<Value>(values: Readonly<Record<string, Value>>, name: string, what: string, also = ''): Value {
  const value = Object.hasOwn(values, name) ? values[name] : undefined;
  if (value !== undefined) return value;
  const names = Object.keys(values).join(', ');
  throw new Error(`unknown ${what} '${name}': expected ${names}${also === '' ? '' : `; ${also}`}`);
}

type Kinds = {
  readonly Literal: jsep.Literal;
  readonly Identifier: jsep.Identifier;
  readonly UnaryExpression: jsep.UnaryExpression;
  readonly BinaryExpression: jsep.BinaryExpression;
  readonly ConditionalExpression: jsep.ConditionalExpression;
  readonly CallExpression: jsep.CallExpression;
};

function isKind<Kind extends keyof Kinds>(node: Node, kind: Kind): node is Kinds[Kind] {
  return node.type === kind;
}

/**
 * The scope: exactly which job an element allows. No patterns anywhere: a value is equal, or one of
 * a list. What a grant leaves out is not allowed.
 */
import { Span, compare, lenOf, ptrOf, same } from "../abi";
import { Fault, READER_BYTES, Reader, keyOrder } from "../codec/cbor";
import { check } from "../findings";
import { Code, limits } from "../generated";
import { HashId, hash } from "../hash/hash";
import { readImage, readInputs, readStdin } from "./image";
import * as job from "./job";
import { isDangerous } from "./variables";

/** The spans are the fields as they stand; 0 where the field is absent. */
@unmanaged
export class Scope {
  executable: Span;
  argv: Span;
  environment: Span;
  cwd: Span;
  stdin: Span;
  interpreter: Span;
  inputs: Span;
  callers: Span;
  uid: u64;
  gid: u64;
  runtimeSeconds: u64;
  uses: u64;
  /** Bit n: the field with key n was present. */
  present: u32;
}

const EXACT: u64 = 0;
const CHOICES: u64 = 1;
const VALUE: u64 = 0;
const DIGEST: u64 = 1;
/** Keys 1, 2, 4, 6, 7, 8, 11 and 12. */
const GRANT_NEEDS: u32 = 0b1100111010110;
const LAST_KEY: i64 = 12;

const A = changetype<Reader>(memory.data(READER_BYTES, 8));
const B = changetype<Reader>(memory.data(READER_BYTES, 8));
const HASH = memory.data(32, 8);

function readArgv(r: Reader): Span {
  const start = r.at;
  r.array(2, 2);
  const form = r.uint(CHOICES);
  const count = r.array(1, limits.arguments);
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    if (form == EXACT) {
      r.bytes(0, limits.fieldBytes);
    } else {
      const choices = r.array(1, limits.choices);
      for (let j: u32 = 0; j < choices; j++) r.bytes(0, limits.fieldBytes);
    }
  }
  return r.since(start);
}

function readEnvironment(r: Reader): Span {
  const start = r.at;
  const count = r.array(0, limits.variables);
  let last: Span = 0;
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    r.array(3, 3);
    const name = r.bytes(1, limits.fieldBytes);
    r.ascending(last, name);
    last = name;
    if (r.uint(DIGEST) == VALUE) r.bytes(0, limits.fieldBytes);
    else r.digest();
  }
  return r.since(start);
}

function readCallers(r: Reader): Span {
  const start = r.at;
  const count = r.array(1, limits.callers);
  for (let i: u32 = 0; i < count; i++) r.uint();
  return r.since(start);
}

/**
 * Reads a scope into a cleared record. A grant must say all that a job needs; a link may leave
 * fields to its parent.
 */
export function readScope(r: Reader, s: Scope, isGrant: bool): void {
  const count = r.map(0, <u32>LAST_KEY);
  let order: u64 = 0;
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    const key = r.key(order);
    order = keyOrder(key);
    if (key < 1 || key > LAST_KEY) r.fail(Fault.UNKNOWN);
    else readField(r, s, <u32>key);
  }
  if (r.fault == Fault.NONE && isGrant) r.require((s.present & GRANT_NEEDS) == GRANT_NEEDS);
}

function readField(r: Reader, s: Scope, key: u32): void {
  s.present |= (<u32>1) << key;
  switch (key) {
    case 1: s.executable = readImage(r); break;
    case 2: s.argv = readArgv(r); break;
    case 3: s.environment = readEnvironment(r); break;
    case 4: s.cwd = r.bytes(0, limits.fieldBytes); break;
    case 5: s.stdin = readStdin(r); break;
    case 6: s.uid = r.uint(); break;
    case 7: s.gid = r.uint(); break;
    case 8: s.callers = readCallers(r); break;
    case 9: s.interpreter = readImage(r); break;
    case 10: s.inputs = readInputs(r); break;
    case 11: s.runtimeSeconds = r.uint(); break;
    default: s.uses = r.uint(); r.require(s.uses >= 1);
  }
}

function has(s: Scope, key: u32): bool {
  return (s.present & ((<u32>1) << key)) != 0;
}

/**
 * Whether the job lies inside the scope, field by field in the order of the codes. What a grant
 * leaves out is compared with nothing: no environment, no standard input, no interpreter, no
 * inputs. In a link an absent field is its parent's, which is judged for itself.
 */
export function judgeScope(s: Scope, isGrant: bool): bool {
  let holds = true;
  const needs = isGrant ? <u32>0xffff : s.present;
  if (needs & (1 << 1)) holds = check(same(s.executable, job.executable), Code.POLICY_EXECUTABLE);
  if (needs & (1 << 9)) holds = check(same(s.interpreter, job.interpreter), Code.POLICY_INTERPRETER) && holds;
  if (needs & (1 << 2)) holds = check(argvAllowed(s.argv), Code.POLICY_ARGUMENTS) && holds;
  if (needs & (1 << 3)) holds = judgeEnvironment(s.environment) && holds;
  if (needs & (1 << 4)) holds = check(same(s.cwd, job.cwd), Code.POLICY_CWD) && holds;
  if (needs & (1 << 5)) holds = check(stdinAllowed(s), Code.POLICY_STDIN) && holds;
  if (needs & (1 << 6)) holds = check(s.uid == job.uid, Code.POLICY_USER) && holds;
  if (needs & (1 << 7)) holds = check(s.gid == job.gid, Code.POLICY_USER) && holds;
  if (needs & (1 << 8)) holds = check(callerAllowed(s.callers), Code.POLICY_CALLER) && holds;
  if (needs & (1 << 10)) holds = check(inputsAllowed(s.inputs), Code.POLICY_INPUTS) && holds;
  if (needs & (1 << 11)) {
    holds = check(job.runtimeSeconds <= s.runtimeSeconds, Code.POLICY_RUNTIME) && holds;
  }
  return holds;
}

function argvAllowed(argv: Span): bool {
  const allowed = A.open(argv);
  const actual = B.open(job.args);
  allowed.array(2, 2);
  const form = allowed.uint();
  const count = actual.array(0, limits.arguments);
  if (allowed.array(1, limits.arguments) != count) return false;
  for (let i: u32 = 0; i < count; i++) {
    const argument = actual.bytes(0, limits.fieldBytes);
    const choices: u32 = form == EXACT ? 1 : allowed.array(1, limits.choices);
    let found = false;
    for (let j: u32 = 0; j < choices; j++) {
      if (same(allowed.bytes(0, limits.fieldBytes), argument)) found = true;
    }
    if (!found) return false;
  }
  return allowed.close() == Fault.NONE && actual.close() == Fault.NONE;
}

/** Finds the entry of a variable in the scope's sorted list, and leaves `A` at its form. */
function findVariable(list: Span, name: Span): bool {
  if (list == 0) return false;
  const r = A.open(list);
  const count = r.array(0, limits.variables);
  for (let i: u32 = 0; i < count; i++) {
    r.array(3, 3);
    if (compare(r.bytes(1, limits.fieldBytes), name) == 0) return true;
    if (r.uint(DIGEST) == VALUE) r.bytes(0, limits.fieldBytes);
    else r.digest();
  }
  return false;
}

/**
 * Every variable of the job is listed with its exact value, or the digest of it. A variable that
 * steers a loader or an interpreter needs the value itself: who reviews a grant must see what
 * LD_PRELOAD would load.
 */
function judgeEnvironment(list: Span): bool {
  const r = B.open(job.environment);
  const count = r.array(0, limits.variables);
  let safe = true;
  let allowed = true;
  for (let i: u32 = 0; i < count; i++) {
    r.array(2, 2);
    const name = r.bytes(1, limits.fieldBytes);
    const value = r.bytes(0, limits.fieldBytes);
    const listed = findVariable(list, name);
    const exact = listed && A.uint(DIGEST) == VALUE;
    if (isDangerous(name) && !exact) safe = false;
    allowed = allowed && listed && (exact ? same(A.bytes(0, limits.fieldBytes), value) : isDigest(value));
  }
  const holds = check(safe, Code.POLICY_VARIABLE);
  return check(allowed && r.close() == Fault.NONE, Code.POLICY_ENVIRONMENT) && holds;
}

function isDigest(value: Span): bool {
  const digest = A.digest();
  hash(HashId.SHA256, ptrOf(value), lenOf(value), HASH);
  return digest != 0 && memory.compare(ptrOf(digest), HASH, 32) == 0;
}

/** Absent means none, in the job as in the scope. */
function stdinAllowed(s: Scope): bool {
  if (has(s, 5)) return same(s.stdin, job.stdin);
  return lenOf(job.stdin) == 1 && load<u8>(ptrOf(job.stdin)) == 0xf6;
}

function callerAllowed(callers: Span): bool {
  const r = A.open(callers);
  const count = r.array(1, limits.callers);
  for (let i: u32 = 0; i < count; i++) if (r.uint() == job.caller) return true;
  return false;
}

function inputsAllowed(inputs: Span): bool {
  if (inputs != 0) return same(inputs, job.inputs);
  return lenOf(job.inputs) == 1 && load<u8>(ptrOf(job.inputs)) == 0x80;
}

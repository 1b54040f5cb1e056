/**
 * Whether the scope of a link allows nothing that the elements above it do not allow, field by
 * field: equality, inclusion or <=, never patterns. The job lies inside every scope besides
 * (scope.ts); this keeps a delegate from writing down, and handing on, more than it was given.
 */
import { Span, lenOf, ptrOf, same } from "../abi";
import { Fault, READER_BYTES, Reader } from "../codec/cbor";
import { limits } from "../generated";
import { Scope } from "./scope";

/** Keys of the scope's fields, docs/wire-format.md. */
const enum FieldKey {
  IMAGE = 1,
  ARGV = 2,
  ENVIRONMENT = 3,
  CWD = 4,
  STDIN = 5,
  UID = 6,
  GID = 7,
  CALLERS = 8,
  INTERPRETER = 9,
  INPUTS = 10,
  RUNTIME = 11,
  USES = 12,
}

const EXACT: u64 = 0;
const VALUE: u64 = 0;
const DIGEST: u64 = 1;
const CBOR_NULL: u8 = 0xf6;
const CBOR_EMPTY_ARRAY: u8 = 0x80;

/** What the elements read so far allow together: each field as the innermost element states it. */
const HELD = changetype<Scope>(memory.data(256, 8));

const PARENT = changetype<Reader>(memory.data(READER_BYTES, 8));
const CHILD = changetype<Reader>(memory.data(READER_BYTES, 8));

/** Begins with the grant's scope. */
export function holdScope(grant: Scope): void {
  assert(offsetof<Scope>() <= 256);
  memory.copy(changetype<usize>(HELD), changetype<usize>(grant), offsetof<Scope>());
}

function states(s: Scope, key: FieldKey): bool {
  return (s.present & (1 << <u32>key)) != 0;
}

/** A link takes over what it does not state; what it states holds for those below it. */
export function overlayScope(s: Scope): void {
  if (states(s, FieldKey.IMAGE)) HELD.executable = s.executable;
  if (states(s, FieldKey.ARGV)) HELD.argv = s.argv;
  if (states(s, FieldKey.ENVIRONMENT)) HELD.environment = s.environment;
  if (states(s, FieldKey.CWD)) HELD.cwd = s.cwd;
  if (states(s, FieldKey.STDIN)) HELD.stdin = s.stdin;
  if (states(s, FieldKey.UID)) HELD.uid = s.uid;
  if (states(s, FieldKey.GID)) HELD.gid = s.gid;
  if (states(s, FieldKey.CALLERS)) HELD.callers = s.callers;
  if (states(s, FieldKey.INTERPRETER)) HELD.interpreter = s.interpreter;
  if (states(s, FieldKey.INPUTS)) HELD.inputs = s.inputs;
  if (states(s, FieldKey.RUNTIME)) HELD.runtimeSeconds = s.runtimeSeconds;
  if (states(s, FieldKey.USES)) HELD.uses = s.uses;
  HELD.present |= s.present;
}

/**
 * 1. image, cwd, stdin, uid, gid, interpreter and inputs are equal; 2. every argument vector that
 *   it allows was allowed;
 * 3. every entry of its environment is an entry there; 4. so is every caller; 5. run time and uses
 *   are not above. An optional field that nobody above states allows nothing: no variable, no
 *   standard input, no interpreter, no input.
 */
export function narrowsScope(s: Scope): bool {
  if (states(s, FieldKey.IMAGE) && !same(s.executable, HELD.executable)) return false;
  if (states(s, FieldKey.ARGV) && !narrowsArgv(s.argv)) return false;
  if (states(s, FieldKey.ENVIRONMENT) && !narrowsEnvironment(s.environment)) return false;
  if (states(s, FieldKey.CWD) && !same(s.cwd, HELD.cwd)) return false;
  if (states(s, FieldKey.STDIN) && !equalsOr(s.stdin, HELD.stdin, CBOR_NULL)) return false;
  if (states(s, FieldKey.UID) && s.uid != HELD.uid) return false;
  if (states(s, FieldKey.GID) && s.gid != HELD.gid) return false;
  if (states(s, FieldKey.CALLERS) && !narrowsCallers(s.callers)) return false;
  if (states(s, FieldKey.INTERPRETER)) {
    if (HELD.interpreter == 0 || !same(s.interpreter, HELD.interpreter)) return false;
  }
  if (states(s, FieldKey.INPUTS) && !equalsOr(s.inputs, HELD.inputs, CBOR_EMPTY_ARRAY)) return false;
  if (states(s, FieldKey.RUNTIME) && s.runtimeSeconds > HELD.runtimeSeconds) return false;
  return !states(s, FieldKey.USES) || s.uses <= HELD.uses;
}

/** Equal to what is held; where nothing is held, exactly this one byte, which says none. */
function equalsOr(stated: Span, held: Span, none: u8): bool {
  if (held != 0) return same(stated, held);
  return lenOf(stated) == 1 && load<u8>(ptrOf(stated)) == none;
}

/**
 * Position by position: each choice of the child is one of the parent's. An exact argument is a
 * single choice.
 */
function narrowsArgv(argv: Span): bool {
  const parent = PARENT.open(HELD.argv);
  const child = CHILD.open(argv);
  parent.array(2, 2);
  child.array(2, 2);
  const parentForm = parent.uint();
  const childForm = child.uint();
  const count = child.array(1, limits.arguments);
  if (parent.array(1, limits.arguments) != count) return false;
  for (let i: u32 = 0; i < count; i++) {
    const held: u32 = parentForm == EXACT ? 1 : parent.array(1, limits.choices);
    const at = parent.at;
    const choices: u32 = childForm == EXACT ? 1 : child.array(1, limits.choices);
    for (let j: u32 = 0; j < choices; j++) {
      parent.at = at;
      if (!isAmong(parent, held, child.bytes(0, limits.fieldBytes))) return false;
    }
  }
  return parent.close() == Fault.NONE && child.close() == Fault.NONE;
}

/** Whether the value is one of the next `count` byte strings; reads all of them. */
function isAmong(r: Reader, count: u32, value: Span): bool {
  let found = false;
  for (let i: u32 = 0; i < count; i++) {
    if (same(r.bytes(0, limits.fieldBytes), value)) found = true;
  }
  return found && r.fault == Fault.NONE;
}

function narrowsEnvironment(list: Span): bool {
  const child = CHILD.open(list);
  const count = child.array(0, limits.variables);
  for (let i: u32 = 0; i < count; i++) {
    if (!isHeldVariable(nextVariable(child))) return false;
  }
  return child.close() == Fault.NONE;
}

function isHeldVariable(entry: Span): bool {
  if (HELD.environment == 0) return false;
  const parent = PARENT.open(HELD.environment);
  const count = parent.array(0, limits.variables);
  for (let i: u32 = 0; i < count; i++) if (same(nextVariable(parent), entry)) return true;
  return false;
}

/** One entry as it stands: name, form, and value or digest. */
function nextVariable(r: Reader): Span {
  const start = r.at;
  r.array(3, 3);
  r.bytes(1, limits.fieldBytes);
  if (r.uint(DIGEST) == VALUE) r.bytes(0, limits.fieldBytes);
  else r.digest();
  return r.since(start);
}

function narrowsCallers(list: Span): bool {
  const child = CHILD.open(list);
  const count = child.array(1, limits.callers);
  for (let i: u32 = 0; i < count; i++) if (!isHeldCaller(child.uint())) return false;
  return child.close() == Fault.NONE;
}

function isHeldCaller(uid: u64): bool {
  const parent = PARENT.open(HELD.callers);
  const count = parent.array(1, limits.callers);
  for (let i: u32 = 0; i < count; i++) if (parent.uint() == uid) return true;
  return false;
}

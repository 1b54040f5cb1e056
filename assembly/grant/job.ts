/** The job as the gate would run it, byte for byte. */
import { Span } from "../abi";
import { Fault, READER_BYTES, Reader } from "../codec/cbor";
import { limits } from "../generated";
import { readImage, readInputs, readStdin } from "./image";

export let executable: Span = 0;
/** An image, or 0 where the executable needs no interpreter. */
export let interpreter: Span = 0;
export let args: Span = 0;
export let environment: Span = 0;
export let cwd: Span = 0;
export let stdin: Span = 0;
export let uid: u64 = 0;
export let gid: u64 = 0;
export let caller: u64 = 0;
export let inputs: Span = 0;
export let runtimeSeconds: u64 = 0;

const MAIN = changetype<Reader>(memory.data(READER_BYTES, 8));

function readArguments(r: Reader): Span {
  const start = r.at;
  const count = r.array(1, limits.arguments);
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) r.bytes(0, limits.fieldBytes);
  return r.since(start);
}

function readEnvironment(r: Reader): Span {
  const start = r.at;
  const count = r.array(0, limits.variables);
  let last: Span = 0;
  for (let i: u32 = 0; i < count && r.fault == Fault.NONE; i++) {
    r.array(2, 2);
    const name = r.bytes(1, limits.fieldBytes);
    r.ascending(last, name);
    last = name;
    r.bytes(0, limits.fieldBytes);
  }
  return r.since(start);
}

/** Reads the job; false where its form is wrong. */
export function readJob(bytes: Span): bool {
  const r = MAIN.open(bytes);
  r.array(11, 11);
  executable = readImage(r);
  interpreter = r.nullable() ? 0 : readImage(r);
  args = readArguments(r);
  environment = readEnvironment(r);
  cwd = r.bytes(0, limits.fieldBytes);
  stdin = readStdin(r);
  uid = r.uint();
  gid = r.uint();
  caller = r.uint();
  inputs = readInputs(r);
  runtimeSeconds = r.uint();
  r.require(runtimeSeconds >= 1);
  return r.close() == Fault.NONE;
}

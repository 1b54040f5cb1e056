/** The plane's signed result over this very request and evidence. */
import { Span, same, span } from "../abi";
import { EVIDENCE_DIGEST, REQUEST_DIGEST } from "../case";
import { Fault, READER_BYTES, Reader, keyOrder } from "../codec/cbor";
import * as cose from "../cose/message";
import { Flaw } from "../cose/message";
import { check } from "../findings";
import { Code, limits } from "../generated";
import * as charter from "../grant/charter";
import { Role } from "../grant/charter";
import { claim } from "../grant/claims";

export let exp: u64 = 0;
let iat: u64 = 0;
let request: Span = 0;
let evidenceDigest: Span = 0;
let allowed: bool = false;

const MAIN = changetype<Reader>(memory.data(READER_BYTES, 8));

function readResult(payload: Span): Fault {
  const r = MAIN.open(payload);
  r.map(5, 5);
  let order: u64 = 0;
  for (let i = 0; i < 5; i++) {
    const key = r.key(order);
    order = keyOrder(key);
    if (key == claim.EXP) exp = r.uint();
    else if (key == claim.IAT) iat = r.uint();
    else if (key == claim.RESULT_REQUEST) request = r.digest();
    else if (key == claim.RESULT_EVIDENCE) evidenceDigest = r.digest();
    else if (key == claim.RESULT_ALLOW) allowed = r.uint(1) == 1;
    else r.fail(Fault.UNKNOWN);
  }
  return r.close();
}

/**
 * 1. Well-formed; 2. signed by a plane key of the charter in force; 3. over this request and this
 *   evidence; 4. allow;
 * 5. in force now, for a minute at most.
 */
export function judgeResult(raw: Span, now: u64): bool {
  let fault = cose.openSign1(raw, "result", limits.payloadBytes);
  if (fault == Fault.NONE) fault = readResult(cose.payload);
  if (!check(fault == Fault.NONE, Code.PLANE_MALFORMED)) return false;
  const keys = charter.keyset(Role.PLANE);
  const place = cose.signerIn(keys);
  if (!check(place >= 0, Code.PLANE_UNKNOWN_KEY)) return false;
  const flaw = cose.verifyBy(keys.key(place));
  if (!check(flaw != Flaw.ALGORITHM, Code.PLANE_ALGORITHM)) return false;
  if (!check(flaw == Flaw.NONE, Code.PLANE_SIGNATURE)) return false;
  let holds = check(same(request, span(REQUEST_DIGEST, 32)), Code.PLANE_REQUEST);
  const sameEvidence = same(evidenceDigest, span(EVIDENCE_DIGEST, 32));
  holds = check(sameEvidence, Code.PLANE_EVIDENCE) && holds;
  holds = check(allowed, Code.PLANE_DENIED) && holds;
  holds = check(iat <= now, Code.PLANE_NOT_YET) && holds;
  holds = check(now < exp, Code.PLANE_EXPIRED) && holds;
  const bounded = exp > iat && exp - iat <= limits.resultSeconds;
  return check(bounded, Code.PLANE_TOO_LONG) && holds;
}

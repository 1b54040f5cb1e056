/** Every third-party vector of a signature scheme that the core has, in every build. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { BUILDS } from "../support/assembly.ts";
import {
  type Curve,
  concat,
  type HashName,
  hex,
  numberBytes,
  Signatures,
} from "../support/signatures.ts";
import { fromDer, type Group, readResponses, readWycheproof } from "../support/vector-files.ts";
import { describeVectors } from "../support/vectors.ts";

const widthOf = (curve: Curve): number => (curve === "P-256" ? 32 : 48);
const hashOf = (sha: string): HashName => sha.replace("-", "").toLowerCase() as HashName;

function point(curve: Curve, x: string, y: string): Uint8Array {
  const width = widthOf(curve);
  return concat(numberBytes(BigInt(`0x${x}`), width), numberBytes(BigInt(`0x${y}`), width));
}

/**
 * Runs every test of a Wycheproof file, and returns how many were valid. "acceptable" occurs in
 * these files once a file, for a DigestInfo without its NULL, which re-encoding refuses.
 */
function runGroups(
  groups: readonly Group[],
  verify: (group: Group, message: Uint8Array, signature: Uint8Array) => boolean,
): number {
  let valid = 0;
  for (const group of groups) {
    for (const { tcId, comment, flags, msg, sig, result } of group.tests) {
      const accepted = verify(group, hex(msg), hex(sig));
      expect(accepted, `tcId ${tcId} (${result}): ${comment}`).toBe(result === "valid");
      if (result === "acceptable") expect(flags).toContain("MissingNull");
      if (accepted) valid++;
    }
  }
  return valid;
}

describeVectors("signature vectors", (dir) => {
  describe.each(BUILDS)("%s", (build) => {
    let core: Signatures;
    beforeAll(async () => {
      core = await Signatures.load(build);
    });

    test("Wycheproof: ECDSA P-256, r||s", () => {
      const groups = readWycheproof(dir, "ecdsa_secp256r1_sha256_p1363_test");
      const valid = runGroups(groups, ({ publicKey }, message, signature) => {
        const key = point("P-256", publicKey.wx ?? "", publicKey.wy ?? "");
        return core.ecdsa("P-256", "sha256", key, message, signature);
      });
      expect(valid).toBeGreaterThan(100);
    });

    test.each([
      ["ecdsa_secp256r1_sha256_test", "P-256", "sha256"],
      ["ecdsa_secp384r1_sha512_test", "P-384", "sha512"],
    ] as const)("Wycheproof: %s, DER", (file, curve, hash) => {
      const valid = runGroups(readWycheproof(dir, file), ({ publicKey }, message, signature) => {
        const key = point(curve, publicKey.wx ?? "", publicKey.wy ?? "");
        const pair = fromDer(signature, widthOf(curve));
        return pair !== null && core.ecdsa(curve, hash, key, message, pair);
      });
      expect(valid).toBeGreaterThan(100);
    });

    test("Wycheproof: Ed25519", () => {
      const valid = runGroups(readWycheproof(dir, "ed25519_test"), ({ publicKey }, ...rest) =>
        core.ed25519(hex(publicKey.pk ?? ""), ...rest),
      );
      expect(valid).toBeGreaterThan(70);
    });

    test.each([
      "rsa_signature_2048_sha256_test",
      "rsa_signature_2048_sha512_test",
      "rsa_signature_3072_sha512_test",
    ])("Wycheproof: %s", (file) => {
      const groups = readWycheproof(dir, file);
      const valid = runGroups(groups, ({ publicKey, sha = "" }, message, signature) => {
        const key = { n: hex(publicKey.modulus ?? ""), e: hex(publicKey.publicExponent ?? "") };
        return core.rsassa(hashOf(sha), key, message, signature);
      });
      expect(valid).toBeGreaterThan(0);
    });

    test.each([
      "rsa_pss_2048_sha1_mgf1_20_test",
      "rsa_pss_2048_sha256_mgf1_0_test",
      "rsa_pss_2048_sha256_mgf1_32_test",
    ])("Wycheproof: %s", (file) => {
      const groups = readWycheproof(dir, file);
      const valid = runGroups(groups, ({ publicKey, sha = "", sLen }, message, signature) => {
        const key = { n: hex(publicKey.modulus ?? ""), e: hex(publicKey.publicExponent ?? "") };
        return core.rsapss(hashOf(sha), key, message, signature, sLen);
      });
      expect(valid).toBeGreaterThan(20);
    });

    test("ed25519-speccheck: only case 3 meets the strict predicate", () => {
      const text = readFileSync(join(dir, "ed25519-speccheck/cases.json"), "utf8");
      const cases: { message: string; pub_key: string; signature: string }[] = JSON.parse(text);
      expect(cases).toHaveLength(12);
      const accepted = cases.map(({ message, pub_key, signature }) =>
        core.ed25519(hex(pub_key), hex(message), hex(signature)),
      );
      expect(accepted).toEqual(cases.map((_, index) => index === 3));
    });

    test("NIST CAVP SigVer: ECDSA", () => {
      const path = join(dir, "nist-cavp/dss/ECDSA_SigVer_P256-SHA1-SHA256_P384-SHA384.rsp");
      const results = { P: 0, F: 0 };
      for (const { section, fields } of readResponses(path)) {
        const { Msg, Qx, Qy, R, S, Result } = fields;
        if (Msg === undefined || Qx === undefined || Qy === undefined) continue;
        const [curve, sha] = section.split(",") as [Curve, string];
        const signature = point(curve, R ?? "", S ?? "");
        const accepted = core.ecdsa(curve, hashOf(sha), point(curve, Qx, Qy), hex(Msg), signature);
        expect(accepted, `${section} ${Msg} ${Result}`).toBe(Result?.startsWith("P"));
        results[accepted ? "P" : "F"]++;
      }
      expect(results).toEqual({ P: 9, F: 36 });
    });

    test("NIST CAVP SigVer15: RSASSA; 1024 bits are refused", () => {
      let n = "";
      const results = { passed: 0, failed: 0, short: 0 };
      for (const { section, fields } of readResponses(
        join(dir, "nist-cavp/dss/SigVer15_186-3.rsp"),
      )) {
        if (fields.n !== undefined) n = fields.n;
        const { SHAAlg = "", e = "", Msg = "", S = "", Result } = fields;
        if (Result === undefined || SHAAlg === "SHA224") continue;
        const key = { n: hex(n), e: hex(e.padStart(6, "0")) };
        // The file writes S as a number, without its leading zeros.
        const signature = numberBytes(BigInt(`0x${S}`), n.length / 2);
        const accepted = core.rsassa(hashOf(SHAAlg), key, hex(Msg), signature);
        const short = section === "mod = 1024";
        expect(accepted, `${section} ${SHAAlg} ${S}`).toBe(!short && Result.startsWith("P"));
        results[short ? "short" : accepted ? "passed" : "failed"]++;
      }
      expect(results).toEqual({ passed: 24, failed: 120, short: 72 });
    });
  });
});

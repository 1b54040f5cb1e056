/** RSA as the rest of the core sees it. */
export { rsaKeyOk, rsaRecord } from "./rsa-public";
export { ANY_SALT, verifyRsapss } from "./rsapss";
export { verifyRsassa } from "./rsassa";

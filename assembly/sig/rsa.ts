/** RSA as the rest of the core sees it. */
export { rsaKeyOk } from "./rsa-public";
export { ANY_SALT, verifyRsapss } from "./rsapss";
export { verifyRsassa } from "./rsassa";

/**
 * Environment variables that change which code a program runs, or what its code means: for the
 * dynamic loader (ld.so(8)), the C library, shells, and the interpreters and tools that jobs are
 * made of. A grant must pin such a variable to an exact value; anything less would let the caller
 * load code that nobody authorized.
 */
import { Span, isAscii, startsWithAscii } from "../abi";

/** Whether a variable of this name is dangerous. */
export function isDangerous(name: Span): bool {
  return byFamily(name) || byRuntime(name) || inSystem(name) || inShell(name) || inInterpreter(name);
}

function byFamily(name: Span): bool {
  return (
    startsWithAscii(name, "LD_") ||
    startsWithAscii(name, "PYTHON") ||
    startsWithAscii(name, "NODE_") ||
    startsWithAscii(name, "PERL") ||
    startsWithAscii(name, "RUBY") ||
    startsWithAscii(name, "GIT_") ||
    startsWithAscii(name, "BASH_FUNC_") ||
    startsWithAscii(name, "LUA_") ||
    startsWithAscii(name, "JAVA_") ||
    startsWithAscii(name, "DOTNET_") ||
    startsWithAscii(name, "CORECLR_") ||
    startsWithAscii(name, "GCONV_") ||
    startsWithAscii(name, "MALLOC_") ||
    startsWithAscii(name, "OPENSSL_") ||
    startsWithAscii(name, "DYLD_")
  );
}

/**
 * Families of single runtimes and their package managers: load paths, options and startup files.
 */
function byRuntime(name: Span): bool {
  return (
    startsWithAscii(name, "BUN_") ||
    startsWithAscii(name, "BUNDLE_") ||
    startsWithAscii(name, "DENO_") ||
    startsWithAscii(name, "ERL_") ||
    startsWithAscii(name, "GEM_") ||
    startsWithAscii(name, "GUILE_") ||
    startsWithAscii(name, "JULIA_") ||
    startsWithAscii(name, "MONO_") ||
    startsWithAscii(name, "NIX_LD") ||
    startsWithAscii(name, "NPM_CONFIG_") ||
    startsWithAscii(name, "npm_config_") ||
    startsWithAscii(name, "R_")
  );
}

function inSystem(name: Span): bool {
  return (
    isAscii(name, "GLIBC_TUNABLES") ||
    isAscii(name, "GETCONF_DIR") ||
    isAscii(name, "HOSTALIASES") ||
    isAscii(name, "LOCPATH") ||
    isAscii(name, "NLSPATH") ||
    isAscii(name, "RES_OPTIONS") ||
    isAscii(name, "RESOLV_HOST_CONF") ||
    isAscii(name, "TZDIR")
  );
}

function inShell(name: Span): bool {
  return (
    isAscii(name, "BASH_ENV") ||
    isAscii(name, "BASHOPTS") ||
    isAscii(name, "CDPATH") ||
    isAscii(name, "ENV") ||
    isAscii(name, "IFS") ||
    isAscii(name, "LESSCLOSE") ||
    isAscii(name, "LESSOPEN") ||
    isAscii(name, "PROMPT_COMMAND") ||
    isAscii(name, "PS4") ||
    isAscii(name, "SHELLOPTS") ||
    isAscii(name, "ZDOTDIR")
  );
}

function inInterpreter(name: Span): bool {
  return (
    isAscii(name, "_JAVA_OPTIONS") ||
    isAscii(name, "JDK_JAVA_OPTIONS") ||
    isAscii(name, "CLASSPATH") ||
    isAscii(name, "PHPRC") ||
    isAscii(name, "PHP_INI_SCAN_DIR") ||
    isAscii(name, "TCLLIBPATH") ||
    isAscii(name, "GODEBUG") ||
    isAscii(name, "AWKPATH") ||
    isAscii(name, "GAWK_LIBS")
  );
}

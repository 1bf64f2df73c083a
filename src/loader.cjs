// Runs a program's bundle with the bytecode that the build has kept for it: compiling is a third of the start-up time.
// V8 checks that its version and flags are those of the build and compiles anew when they are not. Copied to
// dist/main.cjs and dist/mainctl.cjs as it is, whose names say which program it is; scripts/build.mjs makes the bytecode
// with this same file.
'use strict';
const program = __filename.endsWith('ctl.cjs') ? 'vmspawnctl' : 'vmspawn';
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  require('node:fs').writeSync(
    2,
    `${program}: Node.js ${process.versions.node} is too old; version 20.19 or newer is needed.\n`,
  );
  process.exit(1);
}
const { readFileSync } = require('node:fs');
const { wrap } = require('node:module');
const { Script } = require('node:vm');

const filename = `${__dirname}/${program}.cjs`;
let cachedData;
try {
  cachedData = readFileSync(`${filename}.cache`);
} catch {
  // None was made: the slow way.
}
const script = new Script(wrap(readFileSync(filename, 'utf8')), { filename, cachedData });
module.exports = script;
script.runInThisContext()(exports, require, module, filename, __dirname);

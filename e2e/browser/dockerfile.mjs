// Reads a Dockerfile from stdin and writes what is wrong with it to stdout, as a JSON list of texts.
import {readFileSync} from 'node:fs';
import dockerfile from 'dockerfile-utils';

const text = readFileSync(0, 'utf8');
const found = dockerfile.validate(text, {
  deprecatedMaintainer: 2, directiveCasing: 2, emptyContinuationLine: 2, instructionCasing: 2, instructionCmdMultiple: 2,
  instructionEntrypointMultiple: 2, instructionHealthcheckMultiple: 2, instructionJSONInSingleQuotes: 2, instructionWorkdirRelative: 2,
});
console.log(JSON.stringify(found.map(({message, range}) => `line ${range.start.line + 1}: ${message}`)));

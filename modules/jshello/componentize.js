// Makes a component of handler.js: node componentize.js WIT-DIRECTORY OUTPUT
import { writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';

const [witPath, output] = process.argv.slice(2);
const { component } = await componentize({ sourcePath: 'handler.js', witPath, worldName: 'jshello' });
await writeFile(output, component);

// npm run dashboard -- --serve: the page with the data of the tests, for work on the page itself.
import { large } from './large.js';
import { shop } from './answers.js';
import { serve } from './server.js';

const answers = process.argv.includes('--large') ? large() : shop();
const port = await serve(answers, 9901);
process.stdout.write(`${port.url}\n`);

#!/usr/bin/env node
// The command `secure-stack-mesh`.

import { run } from './program.js';

void run(process.argv.slice(2));

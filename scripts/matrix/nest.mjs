// NestJS: the applications of the tests, compiled with decorators, with versions of NestJS that the tests do not have.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { root, StepFailed } from '../lib.mjs';

/** The program, as ES modules. */
function compiled() {
  const source = readFileSync(join(root, '__test__/fixtures/nest-app.ts'), 'utf8');
  const compilerOptions = {
    module: ts.ModuleKind.ESNext,
    target: ts.ScriptTarget.ES2022,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
  };
  return ts.transpileModule(source, { compilerOptions }).outputText;
}

const version = (nest, microservices) => ({
  name: `nestjs-${nest.split('.')[0]}`,
  title: `NestJS ${nest.split('.')[0]}, microservice and HTTP application`,
  inProcess: true,
  tools: {
    '@nestjs/common': nest,
    '@nestjs/core': nest,
    '@nestjs/microservices': microservices,
    '@nestjs/platform-express': nest,
    rxjs: '7.8.2',
    'reflect-metadata': '0.2.2',
  },
  async run(folder) {
    folder.write('app.mjs', compiled());
    const said = await folder.run(process.execPath, ['app.mjs', join(folder.path, 'keys')]);
    if (said !== 'all well\n') throw new StepFailed(`app.mjs: said ${said || 'nothing'}`);
  },
});

export const nest = [version('11.2.10', '11.2.6'), version('12.5.1', '12.1.1')];

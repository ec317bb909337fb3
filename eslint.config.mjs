// npm run check -- eslint: mistakes that the compiler lets pass. Rules of style are Prettier's, and
// which file may import which is a test's: __test__/layering.test.ts refuses circles, those of types too.
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

export default defineConfig(
  // Not in tsconfig.json: tests compile them, each in its own way.
  { ignores: ['**/*.d.ts', '__test__/types/**', '__test__/fixtures/**'] },
  {
    files: ['js/**/*.ts', 'dashboard/src/**/*.{ts,tsx}', '__test__/**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    plugins: { '@typescript-eslint': tseslint.plugin },
    rules: {
      // A rejection that nobody handles ends the process.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/prefer-promise-reject-errors': [
        'error',
        { allowThrowingAny: true, allowThrowingUnknown: true },
      ],
      // A new kind of call or cause has to be thought of wherever they are told apart.
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-plus-operands': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-for-in-array': 'error',
      '@typescript-eslint/no-unnecessary-type-assertion': 'error',
      // An import that is of types only is no import at run time.
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'inline-type-imports', disallowTypeAnnotations: false },
      ],
      eqeqeq: 'error',
      'no-eval': 'error',
      '@typescript-eslint/no-implied-eval': 'error',
      'no-constructor-return': 'error',
      'no-unsafe-finally': 'error',
      'no-self-compare': 'error',
      'no-template-curly-in-string': 'error',
      // This package never prints.
      'no-console': 'error',
    },
  },
  {
    files: ['dashboard/src/**/*.{ts,tsx}', '__test__/dashboard/**/*.ts'],
    languageOptions: {
      parserOptions: { project: './dashboard/tsconfig.json', tsconfigRootDir: import.meta.dirname },
    },
  },
  {
    // The one class whose purpose is to print.
    files: ['js/monitoring/console-adapter.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['__test__/**/*.ts'],
    rules: {
      // Tests throw what handlers should not.
      '@typescript-eslint/only-throw-error': 'off',
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
    },
  },
);

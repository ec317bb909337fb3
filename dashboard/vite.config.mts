// npm run dashboard: the page as three files with fixed names, which the addon embeds.
import { defineConfig } from 'vite';

export default defineConfig({
  root: import.meta.dirname,
  base: './',
  // No framework plugin: the compiler's own transform of JSX is enough, and nothing differs between machines.
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    reportCompressedSize: false,
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        entryFileNames: 'app.js',
        assetFileNames: 'app[extname]',
        codeSplitting: false,
        banner: '/*! Contains Preact, uPlot and dagre (MIT licence); see LICENSES.txt. */',
      },
    },
  },
});

// The one script: the page, and in a worker its layout.
import { render } from 'preact';
import { App } from './app';
import { start } from './data/poll';
import { apply } from './data/theme';
import { serveJobs } from './layout/worker';
import './style/base.css';
import './style/parts.css';
import './style/graph.css';
import './style/views.css';
import 'uplot/dist/uPlot.min.css';

if (typeof document === 'undefined') {
  serveJobs();
} else {
  apply();
  const place = document.getElementById('app')!;
  place.replaceChildren();
  render(<App />, place);
  start();
}

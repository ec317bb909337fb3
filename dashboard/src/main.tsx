// The one script: the page, and in a worker its layout.
import { render } from 'preact';
import { App } from './app';
import { start } from './data/poll';
import { apply } from './data/theme';
import { serveJobs } from './layout/worker';
import 'uplot/dist/uPlot.min.css';
import './style/colors.css';
import './style/base.css';
import './style/parts.css';
import './style/tables.css';
import './style/fields.css';
import './style/graph.css';
import './style/views.css';
// Last, since it changes the others.
import './style/narrow.css';

if (typeof document === 'undefined') {
  serveJobs();
} else {
  apply();
  const place = document.getElementById('app')!;
  place.replaceChildren();
  render(<App />, place);
  start();
}

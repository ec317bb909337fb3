// The problems: in words, the most severe first, each with its repair and whose word it is.
import { useState } from 'preact/hooks';
import type { Problem, Severity } from '../contract/types';
import { serviceHref } from '../data/route';
import { Ago } from './figure';
import { Mark } from './icon';

/** A process that does not know since when it has a problem says: since now. */
const SINCE_MS = 10_000;
/** So many problems are shown before the reader asks for all. */
const FIRST = 6;
const ORDER: Record<Severity, number> = { critical: 0, warning: 1, info: 2 };

interface Props {
  problems: readonly Problem[];
  about: (problem: Problem) => string;
  now: number;
  /** The service whose page this is: its name is not repeated. */
  on?: string;
}

/** Lists problems. */
export function Problems({ problems, about, now, on }: Props) {
  const [all, setAll] = useState(false);
  const ordered = problems.toSorted((a, b) => ORDER[a.severity] - ORDER[b.severity]);
  const listed = all ? ordered : ordered.slice(0, FIRST);
  const rest = ordered.length - listed.length;
  return (
    <>
      <ul class="problems">
        {listed.map((problem, i) => (
          <Row
            key={`${problem.kind}\n${problem.subject}\n${problem.reporter}\n${i}`}
            problem={problem}
            service={about(problem)}
            now={now}
            on={on}
          />
        ))}
      </ul>
      {(rest > 0 || all) && ordered.length > FIRST && (
        <button type="button" class="more" onClick={() => setAll(!all)}>
          {all ? 'Show the first only' : `Show ${rest} more`}
        </button>
      )}
    </>
  );
}

/** Says what to do, if anything is known. Names of options are between backticks. */
export function Repair({ text = '' }: { text?: string | undefined }) {
  if (text === '') return null;
  return (
    <p class="repair">
      <span class="arrow" aria-hidden="true">
        →
      </span>
      <span class="hidden">What to do: </span>
      {text.split(/`([^`]+)`/).map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part))}
    </p>
  );
}

const NAMES: Record<Severity, string> = { critical: 'Critical', warning: 'Warning', info: 'Note' };

function Row(props: { problem: Problem; service: string; now: number; on?: string | undefined }) {
  const { problem, service, now, on } = props;
  const { severity, subject } = problem;
  const foreign = problem.reporter !== '' && problem.reporter !== service;
  return (
    <li class={`problem ${severity}`} data-kind={problem.kind}>
      <span class="severity">
        <Mark health={severity === 'info' ? 'unknown' : severity} quiet />
        <span class="word">{NAMES[severity]}</span>
      </span>
      <div class="said">
        <p class="text">
          {service !== '' && service !== on && (
            <>
              <a href={serviceHref(service)}>{service}</a>{' '}
            </>
          )}
          {subject !== '' && subject !== service && <span class="subject">{subject}</span>}
        </p>
        <p class="text">{problem.text}</p>
        <Repair text={problem.repair} />
      </div>
      <p class="meta">
        {problem.since > 0 && now - problem.since >= SINCE_MS && (
          <span>
            for <Ago at={problem.since} now={now} />
          </span>
        )}
        {foreign && <span>says {problem.reporter}</span>}
      </p>
    </li>
  );
}

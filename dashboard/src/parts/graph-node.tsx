// A service of the topology.
import { serviceHref } from '../data/route';
import { duration, percent, plain, rate } from '../figures/format';
import type { Service } from '../figures/mesh';
import { Mark } from './icon';

interface Props {
  service: Service;
  place: [number, number];
  size: { width: number; height: number };
  dense: boolean;
  /** Whether the Tab key stops here; the arrow keys reach the others. */
  stop: boolean;
  dim: boolean;
  onPoint: (service: string) => void;
  onFocus: (service: string) => void;
}

/** Draws a service as a link to its page. */
export function GraphNode(props: Props) {
  const { service, place, size, dense, stop, dim, onPoint, onFocus } = props;
  const { name, now, node, health } = service;
  const point = (): void => onPoint(name);
  const leave = (): void => onPoint('');
  return (
    <a
      class={`node ${health} ${node.report === 'hearsay' ? 'hearsay' : ''} ${dim ? 'dim' : ''}`}
      href={serviceHref(name)}
      data-service={name}
      title={name}
      tabIndex={stop ? 0 : -1}
      style={{
        left: `${place[0]}px`,
        top: `${place[1]}px`,
        width: `${size.width}px`,
        height: `${size.height}px`,
      }}
      onMouseEnter={point}
      onMouseLeave={leave}
      onFocus={() => {
        point();
        onFocus(name);
      }}
      onBlur={leave}
    >
      <span class="node-name">
        <Mark health={health} />
        <span class="clip">{name}</span>
      </span>
      {!dense && <span class="node-figures num">{figures(service, now)}</span>}
    </a>
  );
}

function figures(service: Service, now: Service['now']): string {
  if (service.basis === 'none') return 'no calls yet';
  if (service.basis === 'out') return `calls ${plain(rate(now.rate))}`;
  const parts = [plain(rate(now.rate)), plain(percent(now.success))];
  if (now.p95 !== undefined) parts.push(`p95 ${plain(duration(now.p95))}`);
  return parts.join(' · ');
}

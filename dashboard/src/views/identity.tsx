// Keys and certificates, with the time that is left.
import type { CertificateView, Report } from '../contract/types';
import { day, span } from '../figures/format';
import { ofExpiry } from '../figures/health';
import { Card } from '../parts/card';
import { Mark } from '../parts/icon';

/** Shows the identity of each process. */
export function Identity({ reports, now }: { reports: Report[]; now: number }) {
  return (
    <Card title="Keys and certificates">
      <ul class="plain-list">
        {reports.slice(0, 20).map((report) => (
          <li key={report.instance} class="identity">
            <p>
              <span class="mono">{report.address ?? report.instance}</span>{' '}
              <span class="muted">trust: {report.mode}</span>
            </p>
            {report.identity.certificate ? (
              <Certificate certificate={report.identity.certificate} now={now} />
            ) : (
              <p class="muted small">
                A key of its own, without a certificate: it does not expire.
              </p>
            )}
            <p class="mono small muted breaking">{report.identity.thumbprint}</p>
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** A certificate: whose, from whom, and how much of its time is left. */
function Certificate({ certificate, now }: { certificate: CertificateView; now: number }) {
  const { notBefore, notAfter } = certificate;
  const left = notAfter - now;
  const all = Math.max(1, notAfter - notBefore);
  const share = Math.min(1, Math.max(0, left / all));
  const health = ofExpiry(notBefore, notAfter, now);
  return (
    <div class="countdown">
      <p class="countdown-head">
        <Mark health={health} />
        <strong class={health === 'ok' ? '' : `tone-${health}`}>
          {left > 0 ? `${span(left)} left` : `expired ${span(-left)} ago`}
        </strong>
        <span class="muted">until {day(notAfter)}</span>
      </p>
      <span class="bar wide" aria-hidden="true">
        <i class={health} style={{ width: `${Math.round(share * 100)}%` }} />
      </span>
      <p class="small breaking">{certificate.spiffeId ?? certificate.subject}</p>
      <p class="small muted breaking">
        issued by {certificate.issuer}, serial {certificate.serial}
      </p>
    </div>
  );
}

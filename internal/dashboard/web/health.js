// How the gateway fares: now, and over the last hour.
import { html, useEffect, useRef, useState } from './vendor/htm-preact.js';
import { get, query, usePoll } from './api.js';
import { look } from './state.js';
import { t } from './i18n.js';
import { age, bytes, latency, moment, number, short } from './format.js';
import { useTick } from './ui.js';

const hour = 360; // samples

export function Health() {
  const [stats, setStats] = useState(null);
  const samples = useRef([]);
  useTick();
  usePoll(async (signal) => {
    const last = samples.current.at(-1)?.at;
    const now = await get(query('/v1/stats', { since: last }), signal);
    if (last && Date.parse(now.started_at) > Date.parse(last)) samples.current = []; // it began anew
    samples.current = [...samples.current, ...now.samples].slice(-hour);
    setStats(now);
  }, 5000, []);
  if (!stats) return html`<p class="loading" role="status">${t('Loading…')}</p>`;
  const all = samples.current, last = all.at(-1);
  const seconds = parseFloat(stats.interval) || 10;
  const column = (of) => all.map(of);
  const at = column((s) => Date.parse(s.at) / 1000);
  const reasons = {};
  for (const l of stats.listeners) for (const [reason, n] of Object.entries(l.closed)) reasons[reason] = (reasons[reason] ?? 0) + n;
  const lately = {};
  for (const s of all) for (const [reason, n] of Object.entries(s.closed)) lately[reason] = (lately[reason] ?? 0) + n;
  return html`
    <div class="toolbar"><h1>${t('Health')} <small>${stats.version} · ${t('up for {0}', age(stats.started_at))}</small></h1></div>
    ${stats.store?.error && html`<div class="banner" role="alert">${t('Nothing can be kept at the moment:')} ${stats.store.error}</div>`}
    <div class="tiles">
      <${Tile} name=${t('Boards online')} value=${number(stats.devices.online)} more=${t('of {0} known', number(stats.devices.known))}/>
      <${Tile} name=${t('Messages per second')} value=${last ? short((last.frames_in + last.frames_out) / seconds) : '–'} more=${last && t('{0} in, {1} out', short(last.frames_in / seconds), short(last.frames_out / seconds))}/>
      <${Tile} name=${t('Questions per second')} value=${last ? short(last.asks / seconds) : '–'} more=${last && last.asks > 0 ? t('half within {0}, 99 % within {1}', latency(last.ask_p50), latency(last.ask_p99)) : t('{0} in all', number(stats.asks.count))}/>
      <${Tile} name=${t('Commands waiting')} value=${stats.commands ? number(stats.commands.waiting) : '–'} more=${stats.commands ? '' : t('nothing is kept')}/>
      <${Tile} name=${t('Memory')} value=${bytes(stats.memory.used)} more=${stats.memory.limit ? t('of {0}', bytes(stats.memory.limit)) : t('no limit is set')}/>
      ${stats.store && html`<${Tile} name=${t('On disk')} value=${bytes(stats.store.bytes)} more=${stats.store.free_bytes === null ? '' : t('{0} free', bytes(stats.store.free_bytes))}/>`}
    </div>
    <div class="charts">
      <${Chart} name=${t('Connections')} at=${at} lines=${[[t('open'), column((s) => s.connections)]]} write=${short}/>
      <${Chart} name=${t('Messages per second')} at=${at} lines=${[[t('in'), column((s) => s.frames_in / seconds)], [t('out'), column((s) => s.frames_out / seconds)]]} write=${short}/>
      <${Chart} name=${t('Time to an answer')} at=${at} lines=${[[t('half within'), column((s) => s.ask_p50 || null)], [t('99 % within'), column((s) => s.ask_p99 || null)]]} write=${latency}/>
      <${Chart} name=${t('Connections that ended, per minute')} at=${at} lines=${[[t('ended'), column((s) => Object.values(s.closed).reduce((a, b) => a + b, 0) * 60 / seconds)]]} write=${short}/>
      <${Chart} name=${t('Memory')} at=${at} lines=${[[t('used'), column((s) => s.memory)]]} write=${bytes}/>
      <${Chart} name=${t('Commands waiting')} at=${at} lines=${[[t('waiting'), column((s) => s.commands_waiting)]]} write=${short}/>
    </div>
    <section class="card"><h2>${t('Listeners')}</h2><div class="scroll"><table>
      <thead><tr><th scope="col">${t('Listener')}</th><th scope="col">${t('Address')}</th><th scope="col" class="number">${t('Connections')}</th><th scope="col" class="number">${t('Not let in yet')}</th>
        <th scope="col" class="number">${t('Messages')}</th><th scope="col" class="number">${t('Logins refused')}</th><th scope="col" class="number">${t('Takeovers')}</th><th scope="col">${t('Budgets')}</th></tr></thead>
      <tbody>${stats.listeners.map((l) => html`<tr key=${l.name}>
        <td>${l.name}</td><td>${l.address}</td>
        <td class="number">${number(l.connections)}${l.max_connections > 0 && html`<span class="faint"> / ${short(l.max_connections)}</span>`}</td>
        <td class="number">${number(l.strangers)}</td><td class="number">${short(l.frames_in + l.frames_out)}</td>
        <td class="number">${number(l.logins_refused)}</td><td class="number">${number(l.takeovers)}</td>
        <td><div class="budgets">${l.budgets.map((b) => html`<label>${t(b.name)}<meter min="0" max=${b.limit || 1} value=${b.limit ? b.used : 0} high=${b.limit * 0.8}></meter><span>${bytes(b.used)}</span></label>`)}</div></td>
      </tr>`)}</tbody></table></div></section>
    <section class="card"><h2>${t('Why connections have ended')}</h2>
      ${Object.keys(reasons).length === 0 ? html`<p class="faint">${t('None has yet.')}</p>` : html`<div class="scroll"><table>
        <thead><tr><th scope="col">${t('Reason')}</th><th scope="col" class="number">${t('In the last hour')}</th><th scope="col" class="number">${t('Since {0}', moment(stats.started_at))}</th></tr></thead>
        <tbody>${Object.entries(reasons).sort((a, b) => b[1] - a[1]).map(([reason, n]) => html`<tr key=${reason}><td><code>${reason}</code></td><td class="number">${number(lately[reason] ?? 0)}</td><td class="number">${number(n)}</td></tr>`)}</tbody>
      </table></div>`}</section>`;
}

const Tile = ({ name, value, more }) => html`<div class="tile card"><span>${name}</span><b>${value}</b><small>${more}</small></div>`;

function Chart({ name, at, lines, write }) {
  const { theme, lang } = look.use();
  const box = useRef(), plot = useRef();
  const last = lines.map(([label, values]) => `${label} ${write(values.findLast((v) => v !== null) ?? 0)}`).join(', ');
  useEffect(() => {
    const style = getComputedStyle(document.documentElement);
    const color = (v) => style.getPropertyValue(v).trim();
    const axis = { stroke: color('--faint'), grid: { stroke: color('--line'), width: 1 }, ticks: { show: false }, font: '11px system-ui' };
    plot.current = new uPlot({
      width: box.current.clientWidth || 300, height: 150, legend: { show: false }, cursor: { y: false, points: { size: 6 } }, pxAlign: 0, padding: [8, 18, 0, 0],
      scales: { x: { range: (u, min, max) => [(max ?? Date.now() / 1000) - 3600, max ?? Date.now() / 1000] }, y: { range: (u, min, max) => [0, max > 0 ? max * 1.15 : 1] } },
      axes: [{ ...axis, size: 26, values: (u, splits) => splits.map((s) => { const d = new Date(s * 1000); return String(d.getHours()).padStart(2, '0') + ':' + String(d.getMinutes()).padStart(2, '0'); }) },
        { ...axis, size: 58, values: (u, splits) => splits.map((v) => (v === 0 ? '0' : write(v))) }],
      series: [{}, ...lines.map(([label], i) => ({ label, stroke: color('--chart' + i), width: 1.6, fill: i === 0 ? color('--chart0') + '22' : undefined, points: { show: (u) => u.data[0].length < 5, size: 6 }, spanGaps: false }))],
    }, [at, ...lines.map((l) => l[1])], box.current);
    const fit = new ResizeObserver(() => box.current && plot.current.setSize({ width: box.current.clientWidth, height: 150 }));
    fit.observe(box.current);
    return () => {
      fit.disconnect();
      plot.current.destroy();
    };
  }, [theme, lang]);
  useEffect(() => {
    plot.current.setData([at, ...lines.map((l) => l[1])]);
  }, [at.length, at.at(-1)]);
  return html`<figure class="card chart"><figcaption>${name} <small>${lines.map(([label, values], i) => html`<span class="key k${i}">${label} ${write(values.findLast((v) => v !== null) ?? 0)}</span>`)}</small></figcaption>
    <div ref=${box} role="img" aria-label=${name + ': ' + last}></div></figure>`;
}

// How values look.
import { look } from './state.js';
import { t } from './i18n.js';

const locale = () => (look.get().lang === 'zh' ? 'zh-CN' : 'en');

export const number = (n) => new Intl.NumberFormat(locale()).format(n);

// short writes a number in few characters: 1.2k.
export function short(n) {
  if (n === null || n === undefined) return '–';
  if (n < 1000) return Number.isInteger(n) ? String(n) : n.toFixed(n < 10 ? 1 : 0);
  const units = ['k', 'M', 'G', 'T'];
  let i = -1;
  do {
    n /= 1000;
    i++;
  } while (n >= 999.5 && i < units.length - 1);
  return n.toFixed(n < 10 ? 1 : 0) + units[i];
}

export function bytes(n) {
  if (n === null || n === undefined) return '–';
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let i = 0;
  for (; n >= 1023.5 && i < units.length - 1; i++) n /= 1024;
  return (i === 0 ? n : n.toFixed(n < 10 ? 1 : 0)) + ' ' + units[i];
}

// span writes seconds: 3 s, 5 min, 2 h, 4 d.
export function span(seconds) {
  seconds = Math.max(0, seconds);
  if (seconds < 60) return t('{0} s', Math.floor(seconds));
  if (seconds < 3600) return t('{0} min', Math.floor(seconds / 60));
  if (seconds < 48 * 3600) return t('{0} h', Math.floor(seconds / 3600));
  return t('{0} d', Math.floor(seconds / 86400));
}

export const age = (time) => span((Date.now() - Date.parse(time)) / 1000);

// latency writes seconds that are few.
export function latency(seconds) {
  if (!seconds) return '–';
  if (seconds < 0.001) return Math.round(seconds * 1e6) + ' µs';
  if (seconds < 1) return (seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0) + ' ms';
  return seconds.toFixed(2) + ' s';
}

export const moment = (time) =>
  new Date(time).toLocaleString(locale(), { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });

// clock writes the time of day, to the millisecond.
export function clock(time) {
  const d = new Date(time);
  const two = (n) => String(n).padStart(2, '0');
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${String(d.getMilliseconds()).padStart(3, '0')}`;
}

export function fromBase64(text) {
  return Uint8Array.from(atob(text ?? ''), (c) => c.charCodeAt(0));
}

export function toBase64(data) {
  let text = '';
  for (const b of data) text += String.fromCharCode(b);
  return btoa(text);
}

// fromHex returns bytes, null where the text is not hexadecimal.
export function fromHex(text) {
  const digits = text.replace(/0x|[\s:,]/gi, '');
  if (digits.length % 2 || /[^0-9a-f]/i.test(digits)) return null;
  return Uint8Array.from(digits.match(/../g) ?? [], (d) => parseInt(d, 16));
}

// hexDump writes bytes as hexadecimal and text, sixteen in a line.
export function hexDump(data) {
  const lines = [];
  for (let at = 0; at < data.length; at += 16) {
    const row = [...data.subarray(at, at + 16)];
    const hex = row.map((b) => b.toString(16).padStart(2, '0'));
    const left = hex.slice(0, 8).join(' ').padEnd(24), right = hex.slice(8).join(' ').padEnd(24);
    lines.push(at.toString(16).padStart(4, '0') + '  ' + left + right + row.map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : '.')).join(''));
  }
  return lines.join('\n');
}

// parse reads JSON. A number that has no room in one of JavaScript's stays as it was written,
// where the browser can do that: it is passed on, and shown, as the board said it.
export const parse = (text) => JSON.parse(text, (_, value, is) =>
  typeof value === 'number' && Math.abs(value) > Number.MAX_SAFE_INTEGER && is?.source && JSON.rawJSON ? JSON.rawJSON(is.source) : value);

const strict = new TextDecoder('utf-8', { fatal: true });

// read says what bytes are: {json}, {text} or {hex}. Those that were cut off may still be text.
export function read(data, cut) {
  for (let short = 0; short <= (cut ? 3 : 0); short++) {
    try {
      const text = strict.decode(data.subarray(0, data.length - short));
      if (!cut) {
        try {
          return { json: parse(text), text };
        } catch { /* text that is not JSON */ }
      }
      if (!/[\u0000-\u0008\u000b-\u001f\u007f]/.test(text)) return { text };
      break;
    } catch { /* not UTF-8, or cut within a character */ }
  }
  return { hex: hexDump(data) };
}

// line writes what bytes are in one line.
export function line(data, cut) {
  const is = read(data, cut);
  const text = is.text ?? [...data.subarray(0, 48)].map((b) => b.toString(16).padStart(2, '0')).join(' ') + (data.length > 48 ? ' …' : '');
  return visible(text.length > 400 ? text.slice(0, 400) + '…' : text);
}

// gist writes in one line what a message says: of an envelope its data, and the rest behind or before that.
export function gist(data, cut) {
  const { json } = read(data, cut);
  if (typeof json?.call_back_key !== 'string') return line(data, cut);
  const { status, message, data: says, call_back_key: key } = json;
  const parts = [status, message === 'ok' ? '' : message, (says ?? null) === null ? '' : JSON.stringify(says).slice(0, 400), key && '#' + key];
  return visible(parts.filter(Boolean).join(' ')) || line(data, cut);
}

// visible writes characters that would not be seen, or would turn text around, as escapes: what
// a board says is shown as it is, and cannot pass for something else.
export function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
}

export const pretty = (value) => visible(JSON.stringify(value, null, 2) ?? '');

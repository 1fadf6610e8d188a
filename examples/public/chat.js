/**
 * A chat page with Fermata's own client, served beside the app in development. The room is the URL's hash.
 *
 * Everything shown comes from the room's state: the page subscribes once, and after a reconnect a fresh state arrives by
 * itself. A message travels with a key, so that it may be sent again after a lost connection and still appears once.
 * What people wrote enters the page as text, never as HTML.
 */
import { createClient } from '/fermata/client/client.js';

const token = new URLSearchParams(location.search).get('token') ?? '';
const client = createClient({ url: location.origin, token, onError: showError });

const page = Object.fromEntries([...document.querySelectorAll('[id]')].map((element) => [element.id, element]));
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });

/** Names that this tab has had: its account, or one per connection. */
const mine = new Set(JSON.parse(sessionStorage.getItem('fermata-chat-names') ?? '[]'));

let roomName;
let room;
let shown = new Map();
let unread = 0;

client.connection.subscribe(showStatus);
window.addEventListener('hashchange', enterRoom);
document.addEventListener('visibilitychange', () => countUnread(0));
page.rooms.addEventListener('submit', (event) => {
  event.preventDefault();
  location.hash = page.room.value.trim() || 'lobby';
  page.text.focus();
});
page.composer.addEventListener('submit', (event) => {
  event.preventDefault();
  const text = page.text.value.trim();
  if (text === '') return;
  page.text.value = '';
  void post(text);
});
page.latest.addEventListener('click', scrollToEnd);
page.scroller.addEventListener('scroll', () => {
  if (isAtEnd()) page.latest.hidden = true;
});
showStatus();
enterRoom();
// Browsers do not tell a refused token from a server that is away, so after a while the page says what may be wrong.
setTimeout(() => {
  const { status, error } = client.connection;
  if (status === 'connecting' && error !== undefined) showNotice(error.message);
}, 3000);

function enterRoom() {
  const name = readHash();
  if (name === roomName) return;
  room?.meta.dispose();
  roomName = name;
  room = client.chat(name);
  shown = new Map();
  page.room.value = name;
  page.notice.hidden = true;
  page.latest.hidden = true;
  page.empty.hidden = false;
  page.empty.textContent = 'Loading the history…';
  page.messages.replaceChildren();
  page.outbox.replaceChildren();
  showOnline([]);
  countUnread(0);
  room.state.subscribe(({ messages, online }) => {
    // First, because it tells who this tab is.
    showOnline(online);
    showMessages(messages);
  });
}

function readHash() {
  try {
    return decodeURIComponent(location.hash.slice(1)) || 'lobby';
  } catch {
    return 'lobby';
  }
}

/** Sends a message, again and again with one key until its end is known: then it happened once or not at all. */
async function post(text) {
  const target = room;
  const key = crypto.randomUUID();
  const note = make('span', { className: 'note', textContent: 'sending…' });
  const item = make('li', { className: 'message outgoing' }, make('p', { className: 'text', textContent: text }), note);
  page.outbox.append(item);
  scrollToEnd();
  for (;;) {
    try {
      await target.sendMessage({ text }, { key, timeoutMs: 30_000 });
      item.remove();
      return;
    } catch (error) {
      if (error.code === 'CONNECTION_LOST') continue;
      item.classList.add('failed');
      note.textContent = `not sent: ${error.message}`;
      // The key stays: an attempt whose end is unknown may have arrived.
      if (error.retryable && client.connection.status !== 'unauthorized') await pressed(note, 'Try again');
      else return;
      item.classList.remove('failed');
      note.textContent = 'sending…';
    }
  }
}

function pressed(place, label) {
  return new Promise((resolve) => {
    const button = make('button', { type: 'button', textContent: label });
    button.addEventListener('click', resolve, { once: true });
    place.append(button);
  });
}

/** Keeps the elements of messages that were there before, so that screen readers hear only what is new. */
function showMessages(messages) {
  const wasAtEnd = isAtEnd();
  const isFirst = shown.size === 0;
  const next = new Map();
  let added = 0;
  let previous;
  for (const message of messages) {
    let key = `${message.at} ${message.from} ${message.text}`;
    while (next.has(key)) key += ' again';
    const known = shown.get(key);
    if (known === undefined) added += 1;
    const element = known ?? messageElement(message);
    element.classList.toggle('follows', follows(message, previous));
    next.set(key, element);
    previous = message;
  }
  for (const [key, element] of shown) if (!next.has(key)) element.remove();
  let at = page.messages.firstElementChild;
  for (const element of next.values()) {
    if (element === at) at = at.nextElementSibling;
    else page.messages.insertBefore(element, at);
  }
  shown = next;
  page.empty.hidden = next.size > 0;
  page.empty.textContent = 'Nobody has said anything here yet.';
  if (wasAtEnd || isFirst) scrollToEnd();
  else if (added > 0) page.latest.hidden = false;
  if (document.hidden && !isFirst) countUnread(unread + added);
}

function messageElement({ from, text, at }) {
  const time = new Date(at);
  const stamp = make('time', { dateTime: time.toISOString(), textContent: clock.format(time), title: day.format(time) });
  const name = make('span', { className: 'name', textContent: displayName(from) });
  const who = make('div', { className: 'who' }, name, ...(mine.has(from) ? [make('span', { className: 'note', textContent: 'you' })] : []), stamp);
  return make('li', { className: 'message' }, avatar(from), who, make('p', { className: 'text', textContent: text }));
}

/** Said by the same person within five minutes. */
function follows(message, previous) {
  return previous !== undefined && previous.from === message.from && message.at - previous.at < 5 * 60_000;
}

function showOnline(online) {
  const { clientId } = client.connection;
  const own = online[clientId];
  if (own !== undefined && !mine.has(own.name)) {
    mine.add(own.name);
    sessionStorage.setItem('fermata-chat-names', JSON.stringify([...mine].slice(-20)));
  }
  // One line per person, however many tabs they have open.
  const people = new Map();
  for (const { name } of Object.values(online)) people.set(name, (people.get(name) ?? 0) + 1);
  const lines = [...people].map(([name, tabs]) => {
    const notes = [name === own?.name ? 'you' : '', tabs > 1 ? `${tabs} tabs` : ''].filter((note) => note !== '');
    const parts = notes.length > 0 ? [make('span', { className: 'note', textContent: notes.join(', ') })] : [];
    return make('li', {}, avatar(name), make('span', { className: 'name', textContent: displayName(name) }), ...parts);
  });
  page.online.replaceChildren(...lines);
  page['online-count'].textContent = String(people.size);
}

function showStatus() {
  const { status, error } = client.connection;
  page.status.dataset.status = status;
  page.status.textContent = { connecting: 'connecting…', reconnecting: 'reconnecting…', unauthorized: 'not allowed' }[status] ?? status;
  // Who is online is known only while connected.
  document.body.classList.toggle('stale', status !== 'connected');
  if (status === 'connected') page.notice.hidden = true;
  if (status === 'unauthorized') showNotice(error.message);
}

function showError(error) {
  console.error(error);
  if (error.code === 'UNKNOWN_ACTOR') showNotice('This server has no chat. Start it with examples/app.ts or examples/chat.ts.');
  else if (typeof error.code === 'string') showNotice(error.message);
}

function showNotice(text) {
  page.notice.textContent = text;
  page.notice.hidden = false;
}

function countUnread(count) {
  unread = count;
  document.title = `${count > 0 ? `(${count}) ` : ''}#${roomName} · Fermata chat`;
}

function isAtEnd() {
  return page.scroller.scrollHeight - page.scroller.scrollTop - page.scroller.clientHeight < 48;
}

function scrollToEnd() {
  page.scroller.scrollTop = page.scroller.scrollHeight;
  page.latest.hidden = true;
}

/** People without an account are named by their connection: sixteen letters and digits, of which four are enough. */
function displayName(name) {
  return /^[\w-]{16}$/.test(name) ? `Guest ${name.slice(0, 4)}` : name;
}

function avatar(name) {
  const element = make('span', { className: 'avatar', ariaHidden: 'true', textContent: [...displayName(name).replace('Guest ', '')].slice(0, 2).join('') });
  let hue = 0;
  for (const letter of name) hue = (hue * 31 + letter.codePointAt(0)) % 360;
  element.style.setProperty('--hue', String(hue));
  return element;
}

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

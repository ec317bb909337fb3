// The baseline: the cost of JavaScript itself. Each message is a line of JSON or has a length prefix, and one
// write sends all messages of a turn of the event loop. There are no deadlines, no limits and no errors.

/** Queues messages until the end of the turn, then writes them together. */
function coalesced(socket) {
  let queue = [];
  const flush = () => {
    const parts = queue;
    queue = [];
    if (typeof parts[0] === 'string') {
      socket.write(parts.join(''));
    } else {
      socket.write(Buffer.concat(parts));
    }
  };
  return (...parts) => {
    if (queue.length === 0) process.nextTick(flush);
    queue.push(...parts);
  };
}

/** Calls back with each line. */
function onLine(socket, body) {
  let rest = '';
  socket.setEncoding('utf8').on('data', (text) => {
    let start = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      body(start === 0 ? rest + text.slice(0, end) : text.slice(start, end));
      if (start === 0) rest = '';
      start = end + 1;
    }
    rest += text.slice(start);
  });
}

const HEAD = 8;

function head(id, length) {
  const bytes = Buffer.allocUnsafe(HEAD);
  bytes.writeUInt32LE(length, 0);
  bytes.writeUInt32LE(id, 4);
  return bytes;
}

/** Calls back with each frame: a length, an id, that many bytes. */
function onFrame(socket, body) {
  let parts = [];
  let have = 0;
  let need = HEAD;
  socket.on('data', (data) => {
    parts.push(data);
    have += data.length;
    if (have < need) return;
    let all = parts.length === 1 ? parts[0] : Buffer.concat(parts);
    for (;;) {
      need = all.length < HEAD ? HEAD : HEAD + all.readUInt32LE(0);
      if (all.length < need) break;
      body(all.readUInt32LE(4), all.subarray(HEAD, need));
      all = all.subarray(need);
    }
    parts = [all];
    have = all.length;
  });
}

/** Serves a connection; the first byte selects lines or frames. */
export function serveSocket(socket) {
  socket.setNoDelay?.(true);
  socket.once('data', (first) => {
    const send = coalesced(socket);
    const lines = first[0] === 0x4c;
    const rest = first.subarray(1);
    if (lines) {
      onLine(socket, (line) => send(`${JSON.stringify(JSON.parse(line))}\n`));
    } else {
      onFrame(socket, (id, bytes) => send(head(id, bytes.length), bytes));
    }
    if (rest.length > 0) socket.emit('data', lines ? rest.toString() : rest);
  });
}

/** The calls of a client, over two connections from `open`: one for lines, one for frames. */
export async function callSocket(open) {
  const waiting = new Map();
  let last = 0;
  const settle = (id, value) => {
    const resolve = waiting.get(id);
    waiting.delete(id);
    resolve(value);
  };
  const call = (send) =>
    new Promise((resolve) => {
      last = (last + 1) >>> 0;
      waiting.set(last, resolve);
      send(last);
    });

  const [lines, frames] = [await open(), await open()];
  lines.write('L');
  frames.write('F');
  onLine(lines, (line) => {
    const { id, value } = JSON.parse(line);
    settle(id, value);
  });
  onFrame(frames, settle);
  const [sendLine, sendFrame] = [coalesced(lines), coalesced(frames)];
  return {
    json: (value) => call((id) => sendLine(`${JSON.stringify({ id, value })}\n`)),
    bytes: (buffer) => call((id) => sendFrame(head(id, buffer.length), buffer)),
  };
}

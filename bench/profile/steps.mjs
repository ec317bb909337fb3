// The step of a call to which a sample belongs: JSON or garbage collection if they are anywhere in its stack;
// else that of the first frame, from the inside out, that matches a rule. Rules are tried in order on each
// frame.

const rule = (step, pattern) => ({ step, pattern });

// The system call determines the step of the kernel's work.
const KERNEL = [
  rule('wake the other thread', /eventfd|futex/),
  rule('kernel: write to the socket', /sys_send|sys_write|do_writev|sock_write_iter|tcp_sendmsg/),
  rule('kernel: read from the socket', /sys_recv|sys_read|libc_recv|sock_read_iter|tcp_recvmsg/),
  rule('wait for events', /epoll/),
  rule('kernel: switch threads', /schedule|exit_to_user_mode|apic_timer|rseq/),
  rule('kernel: memory', /page_fault|sys_(madvise|mmap|munmap|brk|mprotect)\b/),
];

const ANYWHERE = [
  rule(
    'collect garbage',
    /Scaveng|MarkCompact|MarkingVisitor|Sweep|GCTracer|ConcurrentMark|Heap::Collect/,
  ),
  rule('JSON.parse', /JsonParse/),
  rule('JSON.stringify', /JsonStringif/),
];

const USER = [
  // Functions of the system's library, for every caller.
  rule(
    'memory: malloc, copies',
    /^__mem\w+_|^(_int_|__libc_)?(malloc|calloc|realloc|free)\b|^cfree|^malloc_|^unlink_chunk/,
  ),
  rule('AES-GCM', /gcm|aes_|aes::|aesni|ghash|polyval|cipher::|EVP_AEAD/i),
  rule('HMAC-SHA256', /sha256|hmac/i),
  rule('encode and read messages', /mesh_core::record::message|mesh_core::wire/),
  rule('records: sequence, keys, buffers', /mesh_core::record/),
  rule('token', /mesh_core::auth/),
  rule('calls, sessions, deadlines', /mesh_core::/),
  rule('HTTP/2: tonic, hyper, h2', /tonic|hyper|\bh2::|http::|http_body|tower|prost/),
  rule('the addon: frames, batches', /secure_stack_mesh|napi::/),
  rule('runtime: tokio', /tokio|mio::|futures/),
  rule(
    'collect garbage',
    /Scaveng|MarkCompact|MarkingVisitor|Heap::|Sweep|GCTracer|ConcurrentMark/,
  ),
  rule('text to bytes and back', /utf8|simdutf|latin1|StringBytes|TextEncoder|Flat|NewStringFrom/i),
  rule('cross the boundary: Node-API', /napi_|node_napi|ThreadSafeFunction|v8impl/),
  rule('the benchmark itself', /bench\/|loops\.mjs|payloads\.mjs|peers\//),
  rule('JavaScript of the package', /dist\/(index|shared)\.cjs/),
  rule(
    'promises and other built-ins',
    /Builtin|builtins|RegExp|MicrotaskQueue|RunMicrotasks|Promise|Async/i,
  ),
  rule('event loop: libuv, Node', /\buv_|node::|node:internal/),
  rule('the rest of V8', /v8::|\bv8_|^JS:|LazyCompile|Function:/),
];

/** The steps, in the order of the table. */
export const STEPS = [
  'the benchmark itself',
  'JSON.stringify',
  'JSON.parse',
  'text to bytes and back',
  'JavaScript of the package',
  'promises and other built-ins',
  'the rest of V8',
  'collect garbage',
  'event loop: libuv, Node',
  'cross the boundary: Node-API',
  'the addon: frames, batches',
  'wake the other thread',
  'calls, sessions, deadlines',
  'encode and read messages',
  'token',
  'records: sequence, keys, buffers',
  'AES-GCM',
  'HMAC-SHA256',
  'HTTP/2: tonic, hyper, h2',
  'runtime: tokio',
  'kernel: write to the socket',
  'kernel: read from the socket',
  'wait for events',
  'kernel: switch threads',
  'kernel: memory',
  'kernel: the rest',
  'memory: malloc, copies',
  'unknown',
];

/**
 * @param frames `{ symbol, object }`, the innermost first
 * @returns one of {@link STEPS}
 */
export function stepOf(frames) {
  const inKernel = /kernel|^\[guest/.test(frames[0]?.object ?? '');
  if (inKernel) {
    const kernel = frames.filter(({ object }) => /kernel|^\[guest/.test(object));
    for (const { step, pattern } of KERNEL) {
      if (kernel.some(({ symbol }) => pattern.test(symbol))) return step;
    }
    return 'kernel: the rest';
  }
  const around = ANYWHERE.find(({ pattern }) => frames.some(({ symbol }) => pattern.test(symbol)));
  if (around !== undefined) return around.step;
  for (const { symbol, object } of frames) {
    const found = USER.find(({ pattern }) => pattern.test(symbol) || pattern.test(object));
    if (found !== undefined) return found.step;
  }
  return 'unknown';
}

// Starts `portcullis demo` on free ports and reads where everything is.
//
// Assumed: `demo --json --any-port --state DIR` prints one line of JSON once everything answers:
//   { "wiki", "payroll", "portal", "console", "admin", "simulator": urls, "admin_token", "certificate" (the leaf, PEM): files,
//     "state": the folder }
import { spawn } from 'node:child_process';
import { X509Certificate, createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const root = new URL('../../', import.meta.url).pathname;
const program = process.env.PORTCULLIS ?? join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'debug', 'portcullis');

export async function startDemo() {
  const state = await mkdtemp(join(tmpdir(), 'portcullis-demo-'));
  const child = spawn(program, ['demo', '--json', '--any-port', '--state', state], { stdio: ['ignore', 'pipe', 'pipe'] });
  const written = [];
  createInterface({ input: child.stderr }).on('line', (line) => written.push(line));
  const first = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the demo does not start:\n${written.join('\n')}`)), 30_000);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the demo ended with ${code}:\n${written.join('\n')}`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      written.push(line);
      clearTimeout(timer);
      resolve(line);
    });
  });
  const addresses = JSON.parse(first);
  return {
    ...addresses,
    spki: await spkiHash(addresses.certificate),
    log: () => written.slice(-200).join('\n'),
    async end() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null && child.kill('SIGTERM')) {
        const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
        await ended;
        clearTimeout(timer);
      }
      await rm(state, { recursive: true, force: true });
    },
  };
}

// Chromium accepts exactly this key although its issuer is unknown; every other certificate error still shows.
async function spkiHash(file) {
  const key = new X509Certificate(await readFile(file)).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(key).digest('base64');
}

// Chromium itself, without the gateway: it starts, trusts the pinned key and no other, and takes a picture.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startBrowser } from './chromium.mjs';

const dir = mkdtempSync(join(tmpdir(), 'portcullis-selfcheck-'));
const shots = new URL('../.cache/shots/', import.meta.url).pathname;
mkdirSync(shots, { recursive: true });
const servers = ['pinned', 'other'].map((name) => {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-keyout', join(dir, `${name}.key`), '-out', join(dir, `${name}.pem`), '-subj', '/CN=wiki.localhost', '-addext', 'subjectAltName=DNS:*.localhost'], { stdio: 'ignore' });
  const [cert, key] = [readFileSync(join(dir, `${name}.pem`)), readFileSync(join(dir, `${name}.key`))];
  const server = https.createServer({ cert, key }, (request, response) => {
    response.end('<!DOCTYPE html><html lang="en"><title>t</title><link rel="icon" href="data:,"><h1>It works</h1>');
  });
  return { cert, server };
});
const ports = await Promise.all(servers.map(({ server }) => new Promise((resolve) => {
  server.listen(0, '127.0.0.1', () => resolve(server.address().port));
})));
const key = new X509Certificate(servers[0].cert).publicKey.export({ type: 'spki', format: 'der' });
const browser = await startBrowser(createHash('sha256').update(key).digest('base64'));
try {
  const visit = await browser.visit({}, shots);
  await visit.page.goto(`https://wiki.localhost:${ports[0]}/`);
  await visit.look('selfcheck');
  visit.assertNothingWentWrong();
  await assert.rejects(visit.page.goto(`https://wiki.localhost:${ports[1]}/`), /ERR_CERT/);
  await visit.end();
  console.log('Chromium starts, trusts the pinned key and no other, and takes a picture');
} finally {
  await browser.end();
  servers.forEach(({ server }) => server.close());
  rmSync(dir, { recursive: true });
}

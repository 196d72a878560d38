// Walks one whole sign-in against `entra-shaped.mjs`, without the gateway, and checks what the relying-party tests
// rely on. Run by `tests/run`, so that a change of the library shows up here and not as a riddle in the gateway.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, createSign, generateKeyPairSync, randomBytes, constants, createPublicKey, verify } from 'node:crypto';
import { createInterface } from 'node:readline';

const tid = '3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77';
const alice = { login: 'alice', oid: '00000000-0000-4000-8000-00000000a11c', name: 'Alice', email: 'alice@contoso.example', groups: ['00000000-0000-4000-8000-000000000001'] };
const redirect = 'https://auth.test/.portcullis/callback';
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
const jwk = { ...keys.publicKey.export({ format: 'jwk' }), kid: 'gateway', use: 'sig', alg: 'PS256' };
const common = { redirect_uris: [redirect], post_logout_redirect_uris: ['https://auth.test/'], grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] };
const clients = [
  { ...common, client_id: 'with-secret', client_secret: 'a secret only for tests', token_endpoint_auth_method: 'client_secret_post' },
  { ...common, client_id: 'with-key', token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'PS256', jwks: { keys: [jwk] } },
];
const provider = spawn(process.execPath, [new URL('entra-shaped.mjs', import.meta.url).pathname], {
  env: { ...process.env, PROVIDER_CONFIG: JSON.stringify({ tid, people: [alice], clients, password: 'demo' }) },
  stdio: ['pipe', 'pipe', 'inherit'],
});
try {
  const first = await new Promise((resolve, reject) => {
    createInterface({ input: provider.stdout }).once('line', resolve);
    provider.once('exit', () => reject(new Error('the provider ended at once')));
  });
  const { issuer } = JSON.parse(first);
  const discovery = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
  assert.equal(discovery.issuer, issuer);
  assert.ok(discovery.token_endpoint.startsWith(issuer), discovery.token_endpoint);
  const jwks = await (await fetch(discovery.jwks_uri)).json();
  assert.equal(jwks.keys[0].kty, 'RSA');
  await wrongPasswordIsRefused(discovery);
  for (const mode of ['form_post', 'query']) {
    for (const client of clients) await wholeSignIn(discovery, jwks, client, mode);
  }
  console.log('oidc-provider dressed as Entra: sign-in, refresh and sign-out work for both client kinds and response modes');
} finally {
  provider.stdin.end();
}

async function wholeSignIn(discovery, jwks, client, mode) {
  const jar = new Map();
  const nonce = randomBytes(16).toString('base64url');
  const verifier = randomBytes(32).toString('base64url');
  const answer = await authorize(discovery, client, { mode, nonce, verifier, jar, password: 'demo' });
  assert.equal(answer.get('state'), 'the-state');
  const tokens = await token(discovery, client, { grant_type: 'authorization_code', code: answer.get('code'), redirect_uri: redirect, code_verifier: verifier });
  const claims = verified(tokens.id_token, jwks);
  assert.equal(claims.iss, discovery.issuer);
  assert.equal(claims.aud, client.client_id);
  assert.equal(claims.nonce, nonce);
  assert.deepEqual([claims.tid, claims.oid, claims.ver], [tid, alice.oid, '2.0']);
  assert.deepEqual([claims.name, claims.preferred_username, claims.groups], [alice.name, alice.email, alice.groups]);
  assert.match(claims.sid, /^[0-9a-f]{32}$/);
  const again = await token(discovery, client, { grant_type: 'refresh_token', refresh_token: tokens.refresh_token });
  assert.equal(verified(again.id_token, jwks).oid, alice.oid);
  assert.equal(verified(again.id_token, jwks).sid, claims.sid);
  const out = new URL(discovery.end_session_endpoint);
  out.search = new URLSearchParams({ id_token_hint: tokens.id_token, post_logout_redirect_uri: 'https://auth.test/', client_id: client.client_id });
  const left = await walk(out.href, jar, () => ({}), 'https://auth.test/');
  assert.equal(left.url.origin, 'https://auth.test');
}

async function wrongPasswordIsRefused(discovery) {
  const answer = await authorize(discovery, clients[0], { mode: 'query', nonce: 'n', verifier: 'v'.repeat(43), jar: new Map(), password: 'wrong' }).catch((error) => error);
  assert.match(String(answer.message), /ended on 4\d\d/);
}

async function authorize(discovery, client, { mode, nonce, verifier, jar, password }) {
  const url = new URL(discovery.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: client.client_id, redirect_uri: redirect, response_type: 'code', response_mode: mode, scope: 'openid profile email offline_access',
    state: 'the-state', nonce, code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
  });
  const { url: end, fields } = await walk(url.href, jar, () => ({ login: 'alice', password }), redirect);
  return mode === 'query' ? end.searchParams : fields;
}

// A very small browser: follows redirects and submits the one form of a page until the address leaves the provider.
async function walk(start, jar, answers, until) {
  let url = new URL(start);
  let request = {};
  for (let hop = 0; hop < 12; hop += 1) {
    if (url.href.startsWith(until)) return { url, fields: new URLSearchParams(request.body ?? '') };
    const cookies = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { ...request, redirect: 'manual', headers: { ...request.headers, cookie: cookies } });
    for (const line of response.headers.getSetCookie()) {
      const [name, value] = line.split(';')[0].split(/=(.*)/s);
      if (value) jar.set(name, value); else jar.delete(name);
    }
    const text = await response.text();
    request = {};
    if (response.headers.get('location')) {
      url = new URL(response.headers.get('location'), url);
      continue;
    }
    if (!text.includes('<form') || !response.ok) throw new Error(`ended on ${response.status} ${text.slice(0, 200)}`);
    const action = /<form[^>]*action="([^"]*)"/.exec(text)[1].replaceAll('&amp;', '&');
    const fields = new URLSearchParams();
    for (const [tag] of text.matchAll(/<input[^>]*>/g)) {
      const name = /name="([^"]*)"/.exec(tag)?.[1];
      if (name) fields.set(name, answers()[name] ?? /value="([^"]*)"/.exec(tag)?.[1] ?? '');
    }
    url = new URL(action, url);
    request = { method: 'POST', body: fields.toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } };
  }
  throw new Error('too many hops');
}

async function token(discovery, client, fields) {
  const proof = client.client_secret
    ? { client_id: client.client_id, client_secret: client.client_secret }
    : { client_id: client.client_id, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: assertion(discovery.token_endpoint, client.client_id) };
  const response = await fetch(discovery.token_endpoint, { method: 'POST', body: new URLSearchParams({ ...fields, ...proof }) });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return body;
}

function assertion(audience, clientId) {
  const now = Math.floor(Date.now() / 1000);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'PS256', typ: 'JWT', kid: 'gateway' })}.${part({ iss: clientId, sub: clientId, aud: audience, jti: randomBytes(16).toString('hex'), iat: now, nbf: now, exp: now + 300 })}`;
  const signature = createSign('sha256').update(signed).sign({ key: keys.privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 });
  return `${signed}.${signature.toString('base64url')}`;
}

function verified(jwt, jwks) {
  const [head, body, signature] = jwt.split('.');
  const header = JSON.parse(Buffer.from(head, 'base64url'));
  assert.equal(header.alg, 'RS256');
  const key = createPublicKey({ format: 'jwk', key: jwks.keys.find((candidate) => candidate.kid === header.kid) });
  assert.ok(verify('sha256', Buffer.from(`${head}.${body}`), key, Buffer.from(signature, 'base64url')));
  return JSON.parse(Buffer.from(body, 'base64url'));
}

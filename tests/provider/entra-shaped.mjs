// npm's certified `oidc-provider`, dressed as one Microsoft Entra tenant, so that the gateway's relying party is
// judged by an implementation that its authors did not write.
//
// What is dressed: the issuer is `http://127.0.0.1:{port}/{tid}/v2.0` with discovery below it; ID tokens carry
// `tid`, `oid`, `ver` "2.0", `name`, `preferred_username`, `email`, `sid` and, where the person has them, `groups`;
// consent is never asked (an administrator gave it); a refresh token comes without `prompt=consent`. An auth context
// asked for in the `claims` parameter comes back in `acrs`, as Entra does it where no policy exists.
// What is not: the endpoints' own paths (the relying party takes them from discovery), AADSTS error bodies,
// front-channel logout.
//
// The configuration is one JSON object in PROVIDER_CONFIG:
//   { tid, people: [{ login, oid, name, email, groups? }], clients: [<OpenID client metadata>], password, port? }
// The first line on stdout is `{"issuer": ..., "port": ...}` once it listens. It ends when its stdin closes, so it
// cannot outlive the test that started it.
import http from 'node:http';
import { createHash } from 'node:crypto';
import Provider, { errors } from 'oidc-provider';

const config = JSON.parse(process.env.PROVIDER_CONFIG);
const prefix = `/${config.tid}/v2.0`;
const people = new Map(config.people.map((person) => [person.login, person]));

const server = http.createServer();
server.listen(config.port ?? 0, '127.0.0.1', () => {
  const { port } = server.address();
  const issuer = `http://127.0.0.1:${port}${prefix}`;
  server.on('request', mountedBelowPrefix(entraShaped(issuer).callback()));
  console.log(JSON.stringify({ issuer, port }));
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));

function entraShaped(issuer) {
  const provider = new Provider(issuer, {
    clients: config.clients,
    responseTypes: ['code'],
    findAccount,
    loadExistingGrant: grantEverything,
    // Entra puts the claims of the granted scopes into the ID token.
    conformIdTokenClaims: false,
    claims: {
      openid: ['sub', 'tid', 'oid', 'ver', 'sid', 'groups', 'acrs'],
      profile: ['name', 'preferred_username'],
      email: ['email'],
    },
    scopes: ['openid', 'profile', 'email', 'offline_access'],
    clientAuthMethods: ['client_secret_post', 'client_secret_basic', 'private_key_jwt'],
    pkce: { required: () => true },
    issueRefreshToken: async (ctx, client) => client.grantTypeAllowed('refresh_token'),
    // Entra keeps a refresh token valid when it is used, and hands out another one.
    rotateRefreshToken: true,
    features: {
      devInteractions: { enabled: true },
      claimsParameter: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        // The page asks nothing and submits itself, as Entra signs out without a question when it knows the account.
        logoutSource: (ctx, form) => {
          ctx.body = `<!DOCTYPE html><title>Sign out</title><body onload="document.forms[0].submit()">${form.replace(
            '</form>',
            '<input type="hidden" name="logout" value="yes"/></form>',
          )}</body>`;
        },
      },
    },
    cookies: { keys: ['only for tests'] },
    ttl: { AccessToken: 3600, IdToken: 3600, Session: 86400, Grant: 86400, Interaction: 600, RefreshToken: 86400 },
  });
  // The development sign-in page takes any password; a relying-party test wants a wrong one refused.
  provider.use(async (ctx, next) => {
    if (ctx.method === 'POST' && ctx.path.startsWith('/interaction/')) await checkPassword(ctx);
    await next();
  });
  provider.on('server_error', (ctx, error) => console.error('server_error', error));
  provider.on('grant.error', (ctx, error) => console.error('grant.error', error.message, error.error_detail ?? ''));
  provider.on('authorization.error', (ctx, error) => console.error('authorization.error', error.message));
  return provider;
}

async function findAccount(ctx, login, token) {
  const person = people.get(login);
  if (!person) return undefined;
  const sessionUid = token?.sessionUid ?? ctx.oidc?.session?.uid;
  return {
    accountId: login,
    claims: async (use, scope, asked) => ({
      acrs: asked?.acrs?.value && ['p1', asked.acrs.value],
      sub: createHash('sha256').update(`${config.tid}:${person.oid}`).digest('base64url'),
      tid: config.tid,
      oid: person.oid,
      ver: '2.0',
      name: person.name,
      preferred_username: person.email,
      email: person.email,
      groups: person.groups,
      sid: sessionUid && createHash('sha256').update(sessionUid).digest('hex').slice(0, 32),
    }),
  };
}

async function grantEverything(ctx) {
  const { provider, client, session, params } = ctx.oidc;
  if (!session.accountId) return undefined;
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope(params.scope);
  grant.addOIDCClaims(['sub', 'tid', 'oid', 'ver', 'sid', 'groups', 'name', 'preferred_username', 'email', 'auth_time', 'acrs']);
  await grant.save();
  return grant;
}

async function checkPassword(ctx) {
  const chunks = [];
  for await (const chunk of ctx.req) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  // The library reads a body that somebody has read before from here.
  ctx.req.body = Object.fromEntries(new URLSearchParams(body.toString()));
  const { prompt, login, password } = ctx.req.body;
  if (prompt !== 'login') return;
  if (password !== config.password || !people.has(login)) {
    throw new errors.CustomOIDCProviderError('access_denied', 'the account or password is incorrect');
  }
}

// Node hands over the whole path; the library finds its mount point by comparing `originalUrl` with `url`.
function mountedBelowPrefix(handler) {
  return (request, response) => {
    if (!request.url.startsWith(`${prefix}/`)) {
      response.writeHead(404, { 'content-type': 'application/json' });
      response.end('{"error":"invalid_tenant"}');
      return;
    }
    request.originalUrl = request.url;
    request.url = request.url.slice(prefix.length);
    handler(request, response);
  };
}

// A real OpenID provider on a port of its own: `issuer.mjs FOLDER PORT MAIL`. FOLDER has oidc-provider, MAIL is the one
// person's address. It says who that is without asking. Its key is new at each start. It prints a line once it listens.
import { generateKeyPairSync } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const [folder, wanted, mail] = process.argv.slice(2);
const library = pathToFileURL(`${folder}/node_modules/oidc-provider/lib/index.js`);
const { default: Provider } = await import(library);

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const key = { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256' };

async function listen(port) {
  const { createServer } = await import('node:http');
  const server = createServer();
  await new Promise((listening) => server.listen(port, '127.0.0.1', listening));
  return server;
}

const server = await listen(Number(wanted));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'domicile-test',
    client_secret: 's3cret-of-the-client',
    redirect_uris: ['https://clinic.example/'],
    grant_types: ['authorization_code'],
    response_types: ['code'],
  }],
  jwks: { keys: [key] },
  cookies: { keys: ['of-a-test'] },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
  features: { devInteractions: { enabled: false } },
  pkce: { required: () => true },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  ttl: { AccessToken: 300, AuthorizationCode: 60, Grant: 300, IdToken: 300, Interaction: 300, Session: 300 },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: mail, email_verified: true, groups: ['Everybody', 'Clinical Audit'] }),
  }),
});

// Each provider has an address of its own to come back to, and its id is not known when this starts.
const back = /^https:\/\/clinic\.example\/v1\/auth\/oidc\/[0-9a-f-]{36}\/callback$/;
provider.Client.prototype.redirectUriAllowed = (uri) => back.test(uri);

provider.use(async (context, next) => {
  if (!context.path.startsWith('/interaction/')) return next();
  const { prompt, params, session } = await provider.interactionDetails(context.req, context.res);
  if (prompt.name === 'login') {
    const result = { login: { accountId: 'account-1' } };
    return provider.interactionFinished(context.req, context.res, result, { mergeWithLastSubmission: false });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope('openid email groups');
  const result = { consent: { grantId: await grant.save() } };
  return provider.interactionFinished(context.req, context.res, result, { mergeWithLastSubmission: true });
});

server.on('request', provider.callback());
console.log(issuer);

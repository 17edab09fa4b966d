// A real OpenID Connect provider for one test: says where it is, gives a refresh token, and serves
// until its standard input ends.
const { generateKeyPairSync } = require("node:crypto");
const { createRequire } = require("node:module");
const http = require("node:http");

const load = createRequire(process.cwd() + "/");

async function main() {
  const { default: Provider } = await import(load.resolve("oidc-provider"));
  const server = http.createServer();
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = { ...privateKey.export({ format: "jwk" }), kid: "one", use: "sig", alg: "RS256" };
  const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    clients: [
      {
        client_id: "reporter",
        client_secret: "secret-of-the-reporter",
        redirect_uris: ["https://console.example.org/callback"],
        grant_types: ["client_credentials", "authorization_code", "refresh_token"],
        response_types: ["code"],
      },
    ],
    scopes: ["openid", "offline_access", "viewer"],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => "urn:caxton",
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          audience: "caxton",
          scope: "viewer",
          accessTokenFormat: "jwt",
          accessTokenTTL: 600,
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
    extraTokenClaims: () => ({ org: "acme" }),
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  });
  server.on("request", provider.callback());
  const grant = new provider.Grant({ accountId: "user-7", clientId: "reporter" });
  grant.addOIDCScope("openid offline_access");
  grant.addResourceScope("urn:caxton", "viewer");
  const refresh = new provider.RefreshToken({
    accountId: "user-7",
    client: await provider.Client.find("reporter"),
    grantId: await grant.save(),
    gty: "authorization_code",
    scope: "openid offline_access viewer",
    resource: "urn:caxton",
  });
  console.log(JSON.stringify({ issuer, refresh: await refresh.save() }));
  process.stdin.on("end", () => process.exit(0)).resume();
}

main();

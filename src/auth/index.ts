export { hashApiKey, newApiKey } from './api-keys.js';
export {
  makeAuthenticator,
  type Authentication,
  type Authenticator,
  type AuthenticatorDeps,
} from './authenticate.js';
export { makeJwtVerifier, parseJwtIssuers, type JwtIssuer, type JwtVerifier } from './jwt.js';
export { importPublicKey, loadKeys, UnusableKey, type ServiceKeys, type SigningKey } from './keys.js';
export {
  bellOf,
  fingerprintOf,
  openMessage,
  sealMessage,
  type Opened,
  type Opening,
} from './message-signature.js';
export { makeSessions, sessionSeconds, type Session, type Sessions } from './session.js';
export {
  currentSigningKey,
  isSigningKeyUnopened,
  makeSigningKey,
  NoSigningKey,
  verifyingKeyOf,
  type Keyed,
  type VerifyingKey,
} from './signing-keys.js';
export { makeWebhookKey, type WebhookKey } from './webhook-key.js';
export { withRolePermissions } from './permissions.js';
export {
  followRights,
  keepWithRights,
  requireRights,
  RightsChanged,
  unknownRights,
  type Rights,
  type RightsNow,
} from './rights.js';

export { withRolePermissions, type Identity } from '../model/principal.js';

export { withRolePermissions } from '../model/principal.js';

// What the API needs of Slack: buttons and windows come in there.
export { callSlack } from './slack-api.js';
export { slackApproval } from './slack-approval.js';
export { modalId, reasonInput, reasonModal, saidModal, type SlackApproval } from './slack-blocks.js';
export { line } from './slack-text.js';
export { updateMessage } from './slack.js';

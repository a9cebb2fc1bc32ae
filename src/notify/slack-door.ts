// What the API needs to serve Slack's buttons and windows.
export { callSlack } from './channels/slack/api.js';
export { slackApproval } from './channels/slack/approval.js';
export { modalId, reasonInput, reasonModal, saidModal, type SlackApproval } from './channels/slack/blocks.js';
export { line } from './channels/slack/text.js';
export { updateMessage } from './channels/slack/slack.js';

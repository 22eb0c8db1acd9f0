/** Six connections of one invocation may wait for headers at a time; a seventh only queues. */
export const connections = 6;

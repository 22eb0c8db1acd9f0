/** Cloudflare's list prices, and what is assumed where nothing can be counted here. */

/** Dollars. */
export const prices = {
  request: 0.3e-6,
  cpuMs: 0.02e-6,
  objectRequest: 0.15e-6,
  objectGbSecond: 12.5e-6,
  objectRowWritten: 1e-6,
  objectRowRead: 0.001e-6,
  d1RowWritten: 1e-6,
  d1RowRead: 0.001e-6,
  r2Write: 4.5e-6,
  r2Read: 0.36e-6,
  queueOperation: 0.4e-6,
  logLine: 0.6e-6,
};

export const assumptions = {
  /** All of workerd, the storage that it simulates included, spends 4 to 8 ms on one here. */
  cpuMsPerRequest: 3,
  /** Of cron: one round, and what it does for each task that it polls. */
  cpuMsPerRound: 1,
  cpuMsPerPoll: 0.5,
  /** Storing a picture: hashing and checking a megabyte. */
  cpuMsPerPicture: 5,
  /** Reads of tasks and pictures for each log line: `LOG_READS`, as it is unless the operator sets another. */
  readsPerLogLine: 10,
  /** Each call waits for D1 at the most, and an object has an eighth of a gigabyte. */
  objectMsPerCall: 20,
  objectGb: 0.125,
};

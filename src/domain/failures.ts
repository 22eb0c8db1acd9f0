/**
 * Why a task failed: the gateway's own codes, with its own words for each. Nothing that the upstream says
 * about a failure is passed on, since its messages hold links, hosts and account details.
 */

interface TaskFailure {
  message: string;
  /** Whether the same request may end better as another task. */
  retryable: boolean;
  /** The failure lies in what the caller sent. */
  isCallers?: true;
}

export const taskFailures = {
  content_policy_violation: {
    message:
      "The request or the picture was refused by the content policy. Change the prompt or the references.",
    retryable: false,
    isCallers: true,
  },
  invalid_parameters: {
    message: "The image model refused the parameters. Check size, number and reference images.",
    retryable: false,
    isCallers: true,
  },
  image_processing_error: {
    message: "A reference image could not be read or processed.",
    retryable: false,
    isCallers: true,
  },
  image_dimension_mismatch: {
    message: "The reference images' dimensions do not suit this request.",
    retryable: false,
    isCallers: true,
  },
  generation_failed_no_content: { message: "The image model produced no picture.", retryable: true },
  generation_timeout: { message: "The image model took too long.", retryable: true },
  service_unavailable: { message: "The image service was not available for this task.", retryable: true },
  upstream_rejected: {
    message: "The gateway's account was refused by the image service. Its operator has to act.",
    retryable: false,
  },
  task_timeout: { message: "The task was not finished before its deadline.", retryable: true },
  submit_outcome_unknown: {
    message: "The image service never confirmed that it took the task before its deadline.",
    retryable: true,
  },
  storage_failed: {
    message: "The pictures could not be stored before their source expired.",
    retryable: true,
  },
  unknown_error: { message: "The task failed for an unknown reason.", retryable: true },
} as const satisfies Record<string, TaskFailure>;

export type TaskFailureCode = keyof typeof taskFailures;
export const taskFailureCodes = Object.keys(taskFailures) as [TaskFailureCode, ...TaskFailureCode[]];

/** Whether a failure lies in what the caller sent. */
export function isCallersFault(code: TaskFailureCode): boolean {
  const failure: TaskFailure = taskFailures[code];
  return failure.isCallers === true;
}

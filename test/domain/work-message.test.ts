/** A message names a work item of this gateway, or nothing. */
import { expect, it } from "vitest";
import { laneItemName, laneKinds, pollItemName, readWorkMessage } from "../../src/domain/work-message.ts";

it("is read as what was sent", () => {
  const poll = pollItemName(1_900_000_000_000, "task-1");
  expect(readWorkMessage(poll)).toEqual({ name: poll, kind: "poll" });
  for (const kind of laneKinds) {
    expect(readWorkMessage(laneItemName(kind, 3))).toEqual({ name: `${kind}:3`, kind });
  }
});

it("is read under its present name when it was sent under its former one", () => {
  expect(readWorkMessage("look:1900000000000:task-1")).toEqual({
    name: "poll:1900000000000:task-1",
    kind: "poll",
  });
});

it.each([["other:1"], ["poll"], [""], [" poll:1"], [null], [7], [{ name: "poll:1" }], [undefined]])(
  "is of no kind when this gateway did not send it: %j",
  (body) => {
    expect(readWorkMessage(body).kind).toBeUndefined();
  },
);

it("is named by a text of bounded length", () => {
  expect(readWorkMessage(`poll:${"x".repeat(5_000)}`).name).toHaveLength(100);
});

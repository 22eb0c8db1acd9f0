/** The lines that are broken, one at least for each capability, and the tests that must notice. */

export interface Mutation {
  /** What no longer holds once the line is broken. */
  breaks: string;
  file: string;
  /** Stands exactly once in the file. */
  line: string;
  broken: string;
  tests: string[];
  /** The project that the tests belong to. */
  project?: "workerd" | "node";
}

export const mutations: Mutation[] = [
  {
    breaks: "a picture is complete before it is stored",
    file: "src/flows/cron/lane-starter.ts",
    line: "if (known !== undefined) return known;",
    broken: "",
    tests: ["test/flows/cron/tick.test.ts"],
  },
];

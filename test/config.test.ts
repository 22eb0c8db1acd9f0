import { describe, expect, it } from "vitest";
import { type Config, readConfig } from "../src/config.ts";

const required = {
  UPSTREAM_API_KEY: "sk-upstream-0123456789",
  ADMIN_API_KEY: "admin-key-0123456789-0123456789-01",
  KEY_SIGNING_SECRET: "signing-secret-0123456789-01234567",
};

/** The configuration, or the names of what is wrong with it. */
function read(over: Record<string, unknown> = {}): Config | string[] {
  const result = readConfig({ ...required, ...over });
  return "config" in result ? result.config : result.misconfigured;
}

function settingOf(name: keyof Config, value: unknown): unknown {
  const result = read({ [name]: value });
  return Array.isArray(result) ? result : result[name];
}

describe("a configuration of the three secrets alone", () => {
  it("has the documented defaults", () => {
    expect(read()).toEqual({
      ...required,
      UPSTREAM_BASE_URL: "https://api.evolink.ai",
      PUBLIC_BASE_URL: null,
      PUBLIC_IMAGE_BASE_URL: null,
      UPSTREAM_TIMEOUT_MS: 30_000,
      TENANT_LOCATION_HINT: null,
      LOG_READS: 10,
      TENANT_CALLS_PER_MINUTE: 12_000,
      FOLLOWERS_PER_TASK: 4,
      FOLLOWERS_PER_KEY: 100,
      TURNSTILE_VERIFY_URL: "https://challenges.cloudflare.com/turnstile/v0/siteverify",
      TASK_DEADLINE_SECONDS: 3_600,
      POLL_ROUND_SECONDS: 2,
      ARCHIVE_MAX_BYTES: 33_554_432,
      ARCHIVE_TASKS_AFTER_DAYS: 30,
      PRICES: { "wan-2.7-image": 30, "wan-2.7-image-pro": 75 },
      MODEL_ALIASES: {},
      ALLOW_PRIVATE_NETWORK: false,
    });
  });

  it("takes nothing over from bindings and names that it does not know", () => {
    expect(read({ DB: {}, TENANTS: {}, UNKNOWN: "x" })).toEqual(read());
  });
});

describe("a secret", () => {
  it.each(["UPSTREAM_API_KEY", "ADMIN_API_KEY", "KEY_SIGNING_SECRET"])("%s has to be there", (name) => {
    for (const value of [undefined, null, "", 7, {}]) expect(read({ [name]: value })).toEqual([name]);
  });

  it.each(["ADMIN_API_KEY", "KEY_SIGNING_SECRET"] as const)("%s has at least 32 characters", (name) => {
    expect(settingOf(name, "x".repeat(31))).toEqual([name]);
    expect(settingOf(name, "x".repeat(32))).toBe("x".repeat(32));
  });

  it("ADMIN_READ_KEY has at least 32 characters where it is set", () => {
    expect(settingOf("ADMIN_READ_KEY", "x".repeat(31))).toEqual(["ADMIN_READ_KEY"]);
    expect(settingOf("ADMIN_READ_KEY", "x".repeat(32))).toBe("x".repeat(32));
  });

  it.each(["ADMIN_READ_KEY", "KEY_SIGNING_SECRET_PREVIOUS"] as const)(
    "%s may be missing or empty",
    (name) => {
      for (const value of [undefined, ""]) expect(settingOf(name, value)).toBeUndefined();
      expect(settingOf(name, "y".repeat(40))).toBe("y".repeat(40));
    },
  );
});

describe("a base URL", () => {
  const names = ["UPSTREAM_BASE_URL", "PUBLIC_BASE_URL", "PUBLIC_IMAGE_BASE_URL"] as const;

  it.each(names)("%s is taken as it is written", (name) => {
    for (const url of ["https://api.example", "http://127.0.0.1:8788", "https://host.example:8443"]) {
      expect(settingOf(name, url)).toBe(url);
    }
  });

  it("that is empty counts as not given", () => {
    expect(settingOf("UPSTREAM_BASE_URL", "")).toBe("https://api.evolink.ai");
    expect(settingOf("PUBLIC_BASE_URL", "")).toBeNull();
    expect(settingOf("PUBLIC_IMAGE_BASE_URL", "")).toBeNull();
  });

  it.each(names)(
    "%s is reported when it is none, or would not make an address with a path behind it",
    (name) => {
      const wrong = [
        "api.example",
        "/v1",
        "nonsense",
        "https://",
        "ftp://host.example",
        "javascript:alert(1)",
        "https://host.example/",
        "https://host.example//",
        "https://host.example/?",
        "https://host.example?",
        "https://host.example?a=1",
        "https://host.example#",
        "https://host.example#a",
        "https://host.example ",
        " https://host.example",
        "https://host.example\n",
        "https://user:password@host.example",
      ];
      for (const value of [...wrong, 7, {}]) expect([value, settingOf(name, value)]).toEqual([value, [name]]);
    },
  );
});

describe("a region", () => {
  it("is one of Cloudflare's, or none", () => {
    for (const value of ["", undefined]) expect(settingOf("TENANT_LOCATION_HINT", value)).toBeNull();
    for (const value of ["weur", "apac-ne"]) expect(settingOf("TENANT_LOCATION_HINT", value)).toBe(value);
    const wrong = ["WEUR", "eu", "weur ", " ", 7, {}];
    for (const value of wrong)
      expect(settingOf("TENANT_LOCATION_HINT", value)).toEqual(["TENANT_LOCATION_HINT"]);
  });
});

describe("a number", () => {
  it.each([
    ["UPSTREAM_TIMEOUT_MS", "1", 1],
    ["UPSTREAM_TIMEOUT_MS", 600_000, 600_000],
    ["TASK_DEADLINE_SECONDS", "86400", 86_400],
    ["POLL_ROUND_SECONDS", "0", 0],
    ["POLL_ROUND_SECONDS", 5, 5],
    ["POLL_ROUND_SECONDS", "60", 60],
    ["ARCHIVE_MAX_BYTES", "67108864", 67_108_864],
    ["ARCHIVE_TASKS_AFTER_DAYS", "0", 0],
    ["LOG_READS", "1", 1],
    ["TENANT_CALLS_PER_MINUTE", "100", 100],
    ["FOLLOWERS_PER_TASK", "1", 1],
    ["FOLLOWERS_PER_KEY", 10_000, 10_000],
  ] as const)("%s takes %j, as text or as a number", (name, value, expected) => {
    expect(settingOf(name, value)).toBe(expected);
  });

  it.each([
    ["UPSTREAM_TIMEOUT_MS", ["0", "600001", "-1"]],
    ["TASK_DEADLINE_SECONDS", ["0", "86401"]],
    ["POLL_ROUND_SECONDS", ["-1", "61"]],
    ["ARCHIVE_MAX_BYTES", ["0", "67108865"]],
    ["ARCHIVE_TASKS_AFTER_DAYS", ["-1", "36501"]],
    ["LOG_READS", ["0", "1000001"]],
    ["TENANT_CALLS_PER_MINUTE", ["99", "1000000001"]],
    ["FOLLOWERS_PER_TASK", ["0", "10001"]],
    ["FOLLOWERS_PER_KEY", ["0", "10001"]],
  ] as const)("%s is reported outside its bounds", (name, values) => {
    for (const value of values) expect([value, settingOf(name, value)]).toEqual([value, [name]]);
  });

  it.each([
    "UPSTREAM_TIMEOUT_MS",
    "TASK_DEADLINE_SECONDS",
    "POLL_ROUND_SECONDS",
    "ARCHIVE_MAX_BYTES",
    "LOG_READS",
    "FOLLOWERS_PER_TASK",
    "FOLLOWERS_PER_KEY",
  ] as const)("%s is reported when it is none, or not whole", (name) => {
    for (const value of ["ten", "2.5", "1e99", "Infinity", "NaN", "2s", " ", null, true, [], {}]) {
      expect([value, settingOf(name, value)]).toEqual([value, [name]]);
    }
  });

  it("that is left empty never means 0", () => {
    expect(settingOf("POLL_ROUND_SECONDS", "")).not.toBe(0);
  });
});

describe("PRICES", () => {
  const prices = { "wan-2.7-image": 12, "wan-2.7-image-pro": 34 };

  it("leaves a model that it does not name at its default", () => {
    for (const value of [{ "wan-2.7-image": 12 }, '{"wan-2.7-image":12}'])
      expect(settingOf("PRICES", value)).toEqual({ "wan-2.7-image": 12, "wan-2.7-image-pro": 75 });
    expect(settingOf("PRICES", "{}")).toEqual({ "wan-2.7-image": 30, "wan-2.7-image-pro": 75 });
  });

  it("is taken as JSON text or as an object", () => {
    expect(settingOf("PRICES", JSON.stringify(prices))).toEqual(prices);
    expect(settingOf("PRICES", prices)).toEqual(prices);
    expect(settingOf("PRICES", { ...prices, "wan-2.7-image": 0 })).toMatchObject({ "wan-2.7-image": 0 });
  });

  it.each([
    "",
    "{",
    "[]",
    "null",
    "30",
    { ...prices, "wan-3": 1 },
    { ...prices, "wan-2.7-image": 1.5 },
    { ...prices, "wan-2.7-image": -1 },
    { ...prices, "wan-2.7-image": "thirty" },
  ])("is reported when it is no object of models with whole prices: %j", (value) => {
    expect(settingOf("PRICES", value)).toEqual(["PRICES"]);
  });

  it.each([null, "", false])("is reported when a price is %j: nothing is free by mistake", (price) => {
    expect(settingOf("PRICES", JSON.stringify({ ...prices, "wan-2.7-image": price }))).toEqual(["PRICES"]);
  });
});

describe("MODEL_ALIASES", () => {
  it("is taken as JSON text or as an object", () => {
    const aliases = { "gpt-image-1": "wan-2.7-image", "dall-e-3": "wan-2.7-image-pro" };
    expect(settingOf("MODEL_ALIASES", JSON.stringify(aliases))).toEqual(aliases);
    expect(settingOf("MODEL_ALIASES", aliases)).toEqual(aliases);
    expect(settingOf("MODEL_ALIASES", "{}")).toEqual({});
  });

  it.each(["{", "[]", { "gpt-image-1": "dall-e-3" }, { "": "wan-2.7-image" }, { a: 7 }])(
    "is reported when it leads to no model: %j",
    (value) => {
      expect(settingOf("MODEL_ALIASES", value)).toEqual(["MODEL_ALIASES"]);
    },
  );
});

describe("ALLOW_PRIVATE_NETWORK", () => {
  it("is true only when it says true", () => {
    for (const value of ["true", true]) expect(settingOf("ALLOW_PRIVATE_NETWORK", value)).toBe(true);
    for (const value of ["false", false, undefined])
      expect(settingOf("ALLOW_PRIVATE_NETWORK", value)).toBe(false);
  });

  it.each(["TRUE", "1", 1, "yes", "on", " true", "truefalse", {}])(
    "is reported, not guessed, when it says %j",
    (value) => {
      expect(settingOf("ALLOW_PRIVATE_NETWORK", value)).toEqual(["ALLOW_PRIVATE_NETWORK"]);
    },
  );
});

describe("a wrong configuration", () => {
  it("is reported whole, each name once", () => {
    const wrong = {
      UPSTREAM_API_KEY: "",
      ADMIN_API_KEY: "short",
      PRICES: { "wan-2.7-image": "a", "wan-2.7-image-pro": "b" },
      POLL_ROUND_SECONDS: "often",
      PUBLIC_BASE_URL: "https://host.example/",
    };
    expect(new Set(read(wrong) as string[])).toEqual(new Set(Object.keys(wrong)));
    expect(read(wrong)).toHaveLength(Object.keys(wrong).length);
  });

  it("is reported by names alone, never by what they hold", () => {
    const wrong = {
      UPSTREAM_API_KEY: { hidden: "sk-hidden" },
      ADMIN_API_KEY: "hidden",
      KEY_SIGNING_SECRET: "hidden",
      UPSTREAM_BASE_URL: "https://hidden.example/",
      PRICES: '{"hidden":1}',
    };
    expect(JSON.stringify(readConfig({ ...required, ...wrong }))).not.toContain("hidden");
  });
});

/**
 * A D1 database that measures each call: rows read, rows written and time, for the log line and `Server-Timing`. It
 * offers what `src/d1` uses (`prepare`, `bind`, `all`, `run`, `batch`) and nothing else.
 */

export interface D1Usage {
  rowsRead: number;
  rowsWritten: number;
}

/**
 * @param timed Runs one call and measures its time.
 * @param count Takes the rows of each statement.
 */
export function measureDatabase(
  db: D1Database,
  timed: <T>(call: () => Promise<T>) => Promise<T>,
  count: (usage: D1Usage) => void,
): D1Database {
  const inner = new WeakMap<object, D1PreparedStatement>();
  const counted = <T extends D1Result>(result: T): T => {
    count({ rowsRead: result.meta.rows_read, rowsWritten: result.meta.rows_written });
    return result;
  };
  const wrap = (statement: D1PreparedStatement): D1PreparedStatement => {
    const outer = {
      bind: (...values: unknown[]) => wrap(statement.bind(...values)),
      all: async <T>() => counted(await timed(() => statement.all<T>())),
      run: async <T>() => counted(await timed(() => statement.run<T>())),
    } as D1PreparedStatement;
    inner.set(outer, statement);
    return outer;
  };
  return {
    prepare: (query: string) => wrap(db.prepare(query)),
    batch: async <T>(statements: D1PreparedStatement[]) => {
      const results = await timed(() => db.batch<T>(statements.map((outer) => inner.get(outer) ?? outer)));
      for (const result of results) counted(result);
      return results;
    },
  } as D1Database;
}

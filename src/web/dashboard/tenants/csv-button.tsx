/**
 * Saves a table of the API's as a file. It is fetched with the admin key in its header, as every call is, and handed to the
 * browser from memory: a plain link would have to carry the key in its address.
 */
import { useAct } from "../../ui/act.ts";
import { call } from "../../ui/call.ts";
import { Problem } from "../../ui/notice.tsx";

interface CsvButtonProps {
  /** Of the file. */
  name: string;
  /** Asks the API for the table. */
  read: (headers: Record<string, string>) => Parameters<typeof call>[0];
}

export function CsvButton({ name, read }: CsvButtonProps) {
  const download = useAct({
    gcTime: 0,
    mutationFn: async () => {
      const table: unknown = await call(read({ accept: "text/csv" }));
      save(`${name}.csv`, String(table));
    },
  });
  return (
    <>
      <Problem error={download.error} />
      <button type="button" class="quiet" disabled={download.isPending} onClick={() => download.mutate()}>
        Download CSV
      </button>
    </>
  );
}

function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The download has its own hold on the bytes once it has begun, which is after this turn.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

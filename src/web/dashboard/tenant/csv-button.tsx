/**
 * Saves a table of the API as a file. The table is fetched with the admin key in a header and given to the browser from
 * memory: a plain link would carry the key in its address.
 */
import { useAction } from "../../ui/action.ts";
import { call } from "../../ui/call.ts";
import { Problem } from "../../ui/notice.tsx";

interface CsvButtonProps {
  /** The file's name without its ending, and the table as it is read from the API at that moment. */
  read: (headers: Record<string, string>) => { name: string; table: Parameters<typeof call>[0] };
}

export function CsvButton({ read }: CsvButtonProps) {
  const download = useAction({
    gcTime: 0,
    mutationFn: async () => {
      const { name, table } = read({ accept: "text/csv" });
      const text: unknown = await call(table);
      save(`${name}.csv`, String(text));
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
  // Reading the reply as text has taken the mark off by which spreadsheets know UTF-8.
  const url = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The download begins after this turn of the event loop and keeps the bytes from then on.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

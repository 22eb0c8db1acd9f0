/**
 * The last data that was read, and the error of the reads since. The query library drops an error between two attempts,
 * and the rows of a list while its next page is loading: without this both would flicker on the screen.
 */
import { useRef } from "preact/hooks";

interface Known<Data> {
  data: Data | undefined;
  error: Error | null;
}

export function useLastKnown<Data>(read: Known<Data> & { isFetching: boolean }): Known<Data> {
  const { data, error, isFetching } = read;
  const last = useRef<Known<Data>>({ data: undefined, error: null });
  const { current } = last;
  if (data !== undefined) current.data = data;
  // An attempt under way keeps the last error; an attempt that has succeeded clears it.
  if (error) current.error = error;
  else if (!isFetching) current.error = null;
  return { data: data ?? current.data, error: current.error };
}

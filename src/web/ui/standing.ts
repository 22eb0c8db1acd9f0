/**
 * What was read last and why it could not be read since. Between two tries of what has never been read the library
 * forgets the error, and with a page that is not there yet the rows before it: both would come and go on the screen.
 */
import { useRef } from "preact/hooks";

interface Known<Data> {
  data: Data | undefined;
  error: Error | null;
}

export function useStanding<Data>(read: Known<Data> & { isFetching: boolean }): Known<Data> {
  const { data, error, isFetching } = read;
  const last = useRef<Known<Data>>({ data: undefined, error: null });
  const { current } = last;
  if (data !== undefined) current.data = data;
  // A try that is under way takes nothing back; one that has succeeded does.
  if (error) current.error = error;
  else if (!isFetching) current.error = null;
  return { data: data ?? current.data, error: current.error };
}

/** The whole page. */
import { Bar } from "../ui/bar.tsx";

export function Playground() {
  return (
    <>
      <Bar page="Playground" />
      <main>
        <h1>Make a picture</h1>
      </main>
    </>
  );
}

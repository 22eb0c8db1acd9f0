/** `/`: the playground. */
import { Playground } from "./playground/playground.tsx";
import { start } from "./ui/start.tsx";

start(<Playground />);

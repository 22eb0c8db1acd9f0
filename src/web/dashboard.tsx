/** `/admin`: the dashboard. */
import { Dashboard } from "./dashboard/dashboard.tsx";
import { start } from "./ui/start.tsx";

start(<Dashboard />);
